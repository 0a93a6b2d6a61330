"""The journal and what is derived from it: whole, in step, and nothing left out."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import Connection, except_, func, select, union

from server.doctor.findings import Check, Finding
from server.progress import Report
from server.projection import CURSOR
from server.store import figures, journal, lost
from server.store.chain import verify_journal
from server.store.submissions import chunks
from server.store.tables import erasing, quarantine, revision
from server.store.tables import journal as entries
from sync.journal import BrokenChainError, Kind

LAG_S_MAX = 60
REBUILD = "Stop the server and run `chapar rebuild`: state is derived again, nothing is lost."


def check_journal(connection: Connection, report: Report) -> Iterator[Finding]:
    """Read the whole journal and check its chain of hashes."""
    check = Check("journal")
    try:
        verify_journal(connection, report)
    except BrokenChainError as error:
        yield check.broken(
            f"{error}: something else than Chapar wrote to it, or the disk failed",
            "Stop the server, keep a copy of the store, restore the newest backup (`chapar restore`).",
        )
    else:
        count = journal.head_position(connection)
        yield check.fine(f"{count:,} entries, the chain of hashes is whole")


def check_state(connection: Connection, *, serves: bool) -> Iterator[Finding]:
    """Hold the derived state against the journal: its cursor, and whether each fact has its row."""
    check = Check("state")
    found = figures.read_figures(connection, CURSOR)
    if found.lag_entries < 0:
        yield check.broken(
            f"it is derived up to entry {journal.cursor(connection, CURSOR)}, the journal ends at {found.position}",
            f"Part of the journal is gone, or the state is another store's. {REBUILD} Then look for a newer backup.",
        )
        return
    without_row, without_entry = len(_without_row(connection)), _count_without_entry(connection)
    if without_row or without_entry:
        yield check.broken(f"{without_row} entries have no row, {without_entry} rows have no entry", REBUILD)
    elif serves and (lag_s := found.lag_s(time.time())) > LAG_S_MAX:
        yield check.warning(
            f"{found.lag_entries:,} entries wait to be derived, the oldest for {lag_s:,.0f} s",
            "Look into the server's log for what stops it.",
        )
    else:
        behind = f"; {found.lag_entries:,} entries wait for the server" if found.lag_entries else ""
        yield check.fine(f"it is in step with the journal{behind}")


def check_lost(connection: Connection) -> Iterator[Finding]:
    """Count what is without payload, and what audits found."""
    check, count, done = Check("audit"), lost.count(connection), lost.read_audit(connection)
    if count:
        yield check.broken(
            f"{count:,} entries are damaged or came without payload",
            "A node that has them sends them again when they meet: `chapar relay now` at the post.",
        )
    elif done.damaged or done.differing:
        yield check.warning(
            f"{done.damaged:,} damaged payloads and {done.differing:,} incomplete ranges were mended",
            "Something damages what is stored: check disk and memory.",
        )
    else:
        yield check.fine("no payload is known to be damaged")


def check_waiting(connection: Connection) -> Iterator[Finding]:
    """Count what waits for a person."""
    check = Check("quarantine")
    count = figures.read_figures(connection, CURSOR).quarantined
    if count:
        yield check.warning(f"{count:,} arrivals wait", "See why each does: `chapar quarantine`.")
    else:
        yield check.fine("nothing waits")


def _without_row(connection: Connection) -> set[int]:
    """The positions of submissions that left no row. What is erased, or about to be, needs none.

    Of a submission that several nodes received one entry has the row.
    """
    facts = select(entries.c.position).where(
        entries.c.kind.in_([Kind.SUBMISSION, Kind.QUARANTINE]),
        entries.c.detail.is_not(None),
        entries.c.position <= journal.cursor(connection, CURSOR),
    )
    rows = [select(table.c.position) for table in (revision, quarantine, erasing)]
    missing = set(connection.execute(except_(facts, *rows)).scalars())
    same = entries.alias()
    for some in chunks(missing):
        query = select(entries.c.position).where(
            entries.c.position.in_(some), same.c.key == entries.c.key, same.c.position.in_(union(*rows))
        )
        missing.difference_update(connection.execute(query).scalars())
    return missing


def _count_without_entry(connection: Connection) -> int:
    strays = except_(select(revision.c.position), select(entries.c.position)).subquery()
    return int(connection.execute(select(func.count()).select_from(strays)).scalar_one())

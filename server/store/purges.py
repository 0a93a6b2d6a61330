"""Records that a post no longer holds because its centre does: what may go, how it goes, and what is left of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, update

from server.store.dialect import insert_ignore, upsert
from server.store.journal import BRANCH, entry_of
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import (
    attachment,
    conflict,
    conflict_side,
    entity_write,
    finding,
    held_file,
    journal,
    key_conflict,
    lost,
    purge_policy,
    purged,
    quarantine,
    revision,
    submission,
    unjoined,
)
from server.store.tallies import add, count
from sync.journal import GENESIS, hash_payload
from sync.logs import Log

RETURNED = "hasIssues"
"""Somebody is to look at the record again, on a tablet of this post."""
DERIVED = (submission, revision, attachment, finding, conflict, conflict_side)
"""What is derived of a record that nobody decided about, from its payloads alone."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record that may go. positions: of its entries, all receipts of each. files: SHA-256."""

    root_id: str
    names: frozenset[str]
    positions: frozenset[int]
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Safe:
    """What the centre has had for long enough. until: of each log everything up to this seq; but for asked, (origin, epoch, seq), which it lost since."""

    until: Mapping[Log, int]
    asked: frozenset[tuple[str, str, int]]

    def has(self, origin: str, epoch: str, seq: int) -> bool:
        """Whether an entry is safe there."""
        return seq <= self.until.get((origin, epoch), 0) and (origin, epoch, seq) not in self.asked


def list_policies(connection: Connection) -> dict[FormKey, int]:
    """Return after how many days at the centre the records of which forms go."""
    return {(row.project_id, row.form_id): row.after_days for row in connection.execute(select(purge_policy))}


def set_policy(connection: Connection, form: FormKey, after_days: int | None) -> None:
    """Let the records of a form go after so many days; None: never."""
    if after_days is None:
        connection.execute(delete(purge_policy).where(*of_form(purge_policy, form)))
    else:
        row = {"project_id": form[0], "form_id": form[1], "after_days": after_days}
        upsert(connection, purge_policy, [row])


def list_settled(connection: Connection, form: FormKey, after: str, limit: int) -> list[str]:
    """Return up to `limit` records behind `after` about which nothing is open and that no tablet here needs."""
    query = select(submission.c.instance_id).where(*_settled(form), submission.c.instance_id > after)
    return list(connection.execute(query.order_by(submission.c.instance_id).limit(limit)).scalars())


def still_settled(connection: Connection, form: FormKey, roots: Collection[str]) -> set[str]:
    """Return those of these records about which nothing is open still."""
    found: set[str] = set()
    for some in chunks(roots):
        query = select(submission.c.instance_id).where(*_settled(form), submission.c.instance_id.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def read_records(connection: Connection, form: FormKey, roots: Collection[str]) -> Iterator[Record]:
    """Yield these records with all that is here of them."""
    names: dict[str, set[str]] = {}
    positions: dict[str, set[int]] = {}
    files: dict[str, set[str]] = {}
    for some in chunks(roots):
        query = select(revision.c.root_id, revision.c.instance_id, revision.c.position)
        for row in connection.execute(query.where(*of_form(revision, form), revision.c.root_id.in_(some))):
            names.setdefault(row.root_id, set()).add(row.instance_id)
            positions.setdefault(row.root_id, set()).add(row.position)
    of_name = {name: root for root, known in names.items() for name in known}
    for some in chunks(of_name):
        columns = (attachment.c.instance_id, attachment.c.position, attachment.c.sha256)
        mine = (*of_form(attachment, form), attachment.c.instance_id.in_(some))
        for row in connection.execute(select(*columns).where(*mine)):
            positions[of_name[row.instance_id]].add(row.position)
            files.setdefault(of_name[row.instance_id], set()).add(row.sha256)
    same = _receipts(connection, {one for some in positions.values() for one in some})
    for root, known in names.items():
        all_of = frozenset(other for one in positions[root] for other in same[one])
        yield Record(root, frozenset(known), all_of, frozenset(files.get(root, ())))


def list_kept(connection: Connection, positions: Collection[int], safe: Safe) -> set[int]:
    """Return which of these entries must stay: not safely at the centre, or not here as they were sealed."""
    kept: set[int] = set()
    for some in chunks(positions):
        for row in connection.execute(select(journal).where(journal.c.position.in_(some))):
            fact = entry_of(connection, row, GENESIS).fact
            is_whole = hash_payload(fact.detail, fact.body) == bytes(row.payload_hash)
            if BRANCH in row.epoch or not safe.has(row.origin, row.epoch, row.seq) or not is_whole:
                kept.add(row.position)
    return kept


def purge(connection: Connection, form: FormKey, records: Sequence[Record]) -> None:
    """Drop these records from the state and their payloads from the journal; headers, hashes and keys stay."""
    now_ms = time.time_ns() // 1_000_000
    roots = [record.root_id for record in records]
    before = count(connection, form, roots)
    key = {"project_id": form[0], "form_id": form[1], "at_ms": now_ms}
    of_position = {one: record.root_id for record in records for one in sorted(record.positions)}
    rows = [key | {"position": one, "instance_id": root} for one, root in of_position.items()]
    insert_ignore(connection, purged, rows)
    for some in chunks(of_position):
        gone = journal.c.position.in_(some)
        connection.execute(update(journal).where(gone).values(detail=None, body=None))
    for names in chunks(name for record in records for name in record.names):
        for table in DERIVED:
            connection.execute(delete(table).where(*of_form(table, form), table.c.instance_id.in_(names)))
    add(connection, form, count(connection, form, roots) - before)


def count_purged(connection: Connection) -> int:
    """Return how many records were dropped."""
    names = select(purged.c.project_id, purged.c.form_id, purged.c.instance_id).distinct().subquery()
    return int(connection.execute(select(func.count()).select_from(names)).scalar_one())


def is_purged(connection: Connection, form: FormKey, instance_id: str) -> bool:
    """Whether a record was dropped here."""
    mine = (*of_form(purged, form), purged.c.instance_id == instance_id)
    return connection.execute(select(purged.c.position).where(*mine).limit(1)).first() is not None


def list_bare(connection: Connection, positions: Collection[int]) -> set[int]:
    """Return which of these entries have no payload here though nobody erased them: it was purged, or lost."""
    found: set[int] = set()
    for some in chunks(positions):
        for table in (purged, lost):
            query = select(table.c.position).where(table.c.position.in_(some))
            found.update(connection.execute(query).scalars())
    return found


def count_asked(connection: Connection, asked: Collection[tuple[str, str, int, str]]) -> int:
    """Return how many of these entries, (origin, epoch, seq, …), were purged here."""
    found = 0
    for origin, epoch, seq, _ in asked:
        same = and_(journal.c.origin == origin, journal.c.epoch == epoch, journal.c.seq == seq)
        joined = select(purged.c.position).join(journal, journal.c.position == purged.c.position)
        found += connection.execute(joined.where(same)).first() is not None
    return found


def note_held(connection: Connection, files: Collection[str], lacking: Collection[str]) -> None:
    """Keep that the centre has these files, and has the others no more."""
    for some in chunks(lacking):
        connection.execute(delete(held_file).where(held_file.c.sha256.in_(some)))
    insert_ignore(connection, held_file, [{"sha256": one} for one in sorted(files)])


def list_held(connection: Connection, files: Collection[str]) -> set[str]:
    """Return which of these files the centre is known to have."""
    found: set[str] = set()
    for some in chunks(files):
        query = select(held_file.c.sha256).where(held_file.c.sha256.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def _receipts(connection: Connection, positions: Collection[int]) -> dict[int, set[int]]:
    """The entries of the same facts, by any of their positions."""
    same = journal.alias()
    found = {position: {position} for position in positions}
    for some in chunks(positions):
        query = select(journal.c.position, same.c.position).join(same, same.c.key == journal.c.key)
        for position, other in connection.execute(query.where(journal.c.position.in_(some))):
            found[position].add(other)
    return found


def _settled(form: FormKey) -> Iterator[ColumnElement[bool]]:
    key = key_conflict.c.duplicate_key == submission.c.duplicate_key
    yield from of_form(submission, form)
    yield submission.c.open_conflicts == 0
    yield submission.c.attachments_present >= submission.c.attachments_expected
    yield func.coalesce(submission.c.review_state, "") != RETURNED
    yield from (~submission.c[name] for name in ("parent_missing", "is_joined", "is_merged", "is_deleted"))
    yield ~exists().where(*of_form(key_conflict, form), key)
    for table in (entity_write, unjoined, quarantine):
        yield ~exists().where(*of_form(table, form), table.c.instance_id == submission.c.instance_id)

"""Which entries are about which record, so that what is decided about it reaches everybody who received it.

Read from the journal behind a cursor of its own, before anything is sent downwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, and_, delete, select

from server.store import journal as entries
from server.store.dialect import insert_ignore
from server.store.engine import reading, writing
from server.store.submissions import chunks, list_names
from server.store.tables import due, journal, mention
from sync.journal import Kind

CURSOR = "mentions"
STEP_MAX = 1000
RECEIPTS = frozenset({Kind.SUBMISSION, Kind.ATTACHMENT, Kind.QUARANTINE})
"""What a node received from tablets. Everything else that names a record says something of it."""


def catch_up(engine: Engine) -> None:
    """Read what is new in the journal."""
    while _step(engine):
        pass


def list_due(connection: Connection, family: Collection[str], limit: int) -> list[int]:
    """Return the positions of up to `limit` entries that are for these nodes only since they were passed over."""
    query = select(due.c.position).where(due.c.origin.in_(family)).distinct().order_by(due.c.position)
    return list(connection.execute(query.limit(limit)).scalars())


def settle_due(connection: Connection, family: Collection[str], positions: Collection[int]) -> None:
    """Say that these nodes have these entries."""
    for some in chunks(positions):
        connection.execute(delete(due).where(due.c.origin.in_(family), due.c.position.in_(some)))


def owe_forms(connection: Connection, origin: str, forms: Collection[str] | None) -> None:
    """Have a node get all that is said of these forms, None for all: it may have passed over it."""
    kinds = (Kind.FORM, Kind.FORM_MEDIA, Kind.FORM_STATE, Kind.RECODE, Kind.DAYS, Kind.PLAN)
    query = select(journal.c.position, journal.c.detail).where(journal.c.kind.in_(kinds))
    rows = [
        {"origin": origin, "position": row.position}
        for row in connection.execute(query)
        if row.detail and (forms is None or orjson.loads(row.detail)["form_id"] in forms)
    ]
    insert_ignore(connection, due, rows)


def owe_again(connection: Connection, origin: str) -> None:
    """Have a node get all that is said of records that it received: it may have lost what was sent to it apart."""
    receipt = mention.alias()
    same = and_(receipt.c.project_id == mention.c.project_id, receipt.c.name == mention.c.name)
    theirs = (receipt.c.is_receipt, receipt.c.origin == origin, mention.c.is_receipt.is_(False))
    positions = connection.execute(select(mention.c.position).where(same, *theirs).distinct()).scalars()
    insert_ignore(connection, due, [{"origin": origin, "position": one} for one in positions])


def _step(engine: Engine) -> bool:
    with reading(engine) as connection:
        seen, end = entries.cursor(connection, CURSOR), entries.head_position(connection)
        own = entries.origin(connection)
        ours = and_(journal.c.origin == own, journal.c.kind.in_(RECEIPTS))
        columns = (
            journal.c.position,
            journal.c.origin,
            journal.c.kind,
            journal.c.project_id,
            journal.c.detail,
        )
        query = select(*columns).where(journal.c.position > seen, ~ours, journal.c.detail.is_not(None))
        rows = connection.execute(query.order_by(journal.c.position).limit(STEP_MAX)).all()
        made = [one for row in rows for one in _mentions(connection, row)]
    reached = rows[-1].position if len(rows) == STEP_MAX else end
    if reached == seen:
        return False
    with writing(engine) as connection:
        if entries.advance(connection, CURSOR, seen, reached):
            insert_ignore(connection, mention, made)
            insert_ignore(connection, due, list(_now_due(connection, made)))
    return True


def _mentions(connection: Connection, row: Any) -> Iterator[dict[str, Any]]:
    """What is said of a record is said of all its edits that are known by then."""
    detail = orjson.loads(row.detail)
    said = (detail.get("instance_id"), detail.get("deprecated_id"), *detail.get("instance_ids", ()))
    names = set(filter(None, said))
    if row.kind not in RECEIPTS and "form_id" in detail:
        form = (row.project_id, detail["form_id"])
        names.update(*(list_names(connection, form, name) for name in tuple(names)))
    for name in sorted(names):
        yield {
            "position": row.position,
            "name": name,
            "project_id": row.project_id,
            "origin": row.origin,
            "is_receipt": row.kind in RECEIPTS,
        }


def _now_due(connection: Connection, made: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was said before of records that came only now from these nodes."""
    receipts = [one for one in made if one["is_receipt"]]
    origins: dict[tuple[int, str], set[str]] = {}
    for one in receipts:
        origins.setdefault((one["project_id"], one["name"]), set()).add(one["origin"])
    for some in chunks({name for _, name in origins}):
        query = select(mention).where(mention.c.name.in_(some), mention.c.is_receipt.is_(False))
        for row in connection.execute(query):
            for origin in sorted(origins.get((row.project_id, row.name), ())):
                yield {"origin": origin, "position": row.position}

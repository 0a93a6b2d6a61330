"""What a centre told posts of their entity lists, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from server.store.dialect import upsert_latest
from server.store.dropping import drop
from server.store.journal import Record
from server.store.submissions import chunks
from server.store.tables import listed as table
from server.store.tables import node
from sync.listed import Listed


def row_of(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `listed` for an entry; `server.relay.listing` writes the detail."""
    names = ("dataset", "post", "uuid", "version", "label", "is_listed")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "data": orjson.dumps(detail["data"]).decode(),
        "seen": orjson.dumps(detail["seen"]).decode(),
        "position": record.position,
        "stamp": record.stamp,
    }


def keep(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, as `row_of` makes them; of two about one entity the later holds, and the other's payload goes.

    Nobody asks for an old list, and what left one may have been erased.
    """
    known: dict[tuple[object, ...], Mapping[str, Any]] = {}
    for some in chunks({row["uuid"] for row in rows}):
        for row in map(dict, connection.execute(select(table).where(table.c.uuid.in_(some))).mappings()):
            known[_key(row)] = row
    old: list[int] = []
    for one in rows:
        before = known.get(_key(one))
        known[_key(one)] = one
        if before is not None:
            earlier, later = sorted((before, one), key=lambda row: int(row["stamp"]))
            known[_key(one)] = later
            old += [earlier["position"]] if earlier["position"] != later["position"] else []
    upsert_latest(connection, table, rows)
    drop(connection, old)


def _key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (row["project_id"], row["dataset"], row["post"], row["uuid"])


def read_told(
    connection: Connection, project_id: int, dataset: str, post: str | None = None
) -> dict[str, Listed]:
    """Return by uuid what a post was told, what this node was told when no other is named."""
    to = select(node.c.origin).scalar_subquery() if post is None else post
    mine = (table.c.project_id == project_id, table.c.dataset == dataset, table.c.post == to)
    return {
        row["uuid"]: Listed(
            row["uuid"],
            row["version"],
            row["label"],
            orjson.loads(row["data"]),
            orjson.loads(row["seen"]),
            row["is_listed"],
        )
        for row in connection.execute(select(table).where(*mine)).mappings()
    }


def read_marks(connection: Connection, project_id: int) -> dict[str, str]:
    """Return by dataset what changes whenever this node is told something."""
    to = select(node.c.origin).scalar_subquery()
    query = select(table.c.dataset, func.count(), func.max(table.c.stamp))
    mine = (table.c.project_id == project_id, table.c.post == to)
    rows = connection.execute(query.where(*mine).group_by(table.c.dataset))
    return {dataset: f"{count}:{stamp}" for dataset, count, stamp in rows}

"""A form as it was at a moment: the facts up to then, projected again into an empty node that vanishes.

So there is no second way to derive anything: what an export as of yesterday holds is what one made yesterday held.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from sqlalchemy import Connection, insert, select

from server import projection
from server.disk import spare_for_texts
from server.exports.options import Options
from server.node import Node
from server.problems import Problem
from server.store.engine import migrate, open_engine, reading, writing
from server.store.tables import dictionary, journal
from server.store.tables import node as nodes
from sync.clock import to_datetime
from sync.journal import Kind

PAGE = 100
"""Rows in memory at once: a record may have megabytes."""
UNRELATED = frozenset({Kind.ENTITY, Kind.LISTED})


def position_at(connection: Connection, as_of: str) -> int:
    """Return the position of the last entry that this node had at a moment.

    as_of: ISO 8601, in UTC when it says no offset. Raises Problem 400.1 when it cannot be read, is yet to come, or was
    before the first entry.
    """
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise Problem(400.1, f"“{as_of[:40]}” is no time. Write it as 2026-11-22T21:00:00Z.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    here = connection.execute(select(nodes.c.origin, nodes.c.position)).one()
    if moment >= datetime.now(UTC):
        raise Problem(400.1, "This moment is yet to come: the same export could not be made again.")
    low, high = 0, here.position
    while low < high:  # this node's own entries are in the order of their stamps
        middle = (low + high + 1) // 2
        own = connection.execute(
            select(journal.c.position, journal.c.stamp)
            .where(journal.c.position <= middle, journal.c.origin == here.origin)
            .order_by(journal.c.position.desc())
            .limit(1)
        ).first()
        if own is None or to_datetime(own.stamp) <= moment:
            low = middle
        else:
            high = own.position - 1
    if low == 0:
        raise Problem(400.1, "There was nothing here yet at this moment.")
    return low


@contextmanager
def node_at(node: Node, project_id: int, form_id: str, position: int) -> Iterator[Node]:
    """Open a node that knows of one form what this one knew when its journal had come to a position.

    What was erased since is gone from the past too. Takes as long as taking all its records in again.
    """
    with TemporaryDirectory(prefix="past-", dir=node.settings.data / "tmp") as folder:
        engine = open_engine(Path(folder))
        try:
            migrate(engine)
            with reading(node.engine) as now, writing(engine) as then:
                _copy(now, then, Path(folder), project_id, form_id, position)
            past = Node(node.settings, engine, node.blobs)
            past.catch_up()
            while projection.join(engine, past.schemas):
                pass
            yield past
        finally:
            engine.dispose()


@contextmanager
def seen_by(node: Node, project_id: int, form_id: str, options: Options) -> Iterator[Node]:
    """Open the node that an export reads from: this one, or as it was."""
    node.catch_up()
    if not options.as_of:
        yield node
        return
    with reading(node.engine) as connection:
        position = position_at(connection, options.as_of)
    with node_at(node, project_id, form_id, position) as past:
        yield past


def _copy(
    now: Connection, then: Connection, folder: Path, project_id: int, form_id: str, position: int
) -> None:
    for table, condition in (
        (nodes, nodes.c.id == 1),
        (dictionary, dictionary.c.project_id == project_id),
        (journal, (journal.c.project_id == project_id) & (journal.c.position <= position)),
    ):
        query = select(table).where(condition).execution_options(yield_per=PAGE)
        for page in now.execute(query).mappings().partitions():
            spare_for_texts([folder])
            rows = [
                dict(row)
                for row in page
                if table is not journal or _concerns(row["kind"], row["detail"], form_id)
            ]
            if rows:
                then.execute(insert(table), rows)


def _concerns(kind: str, detail: bytes | None, form_id: str) -> bool:
    """Whether a fact can change what this form's records say. One without a detail was erased."""
    return (
        detail is not None
        and kind not in UNRELATED
        and orjson.loads(detail).get("form_id", form_id) == form_id
    )

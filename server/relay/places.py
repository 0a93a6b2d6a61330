"""Where a record is: who received each of its revisions from a tablet, and since when the centre has it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from server.store import journal, marks, posts
from server.store.journal import BRANCH
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import journal as entries
from server.store.tables import revision
from sync.clock import to_datetime
from sync.journal import Kind


def describe(connection: Connection, form: FormKey, root_id: str) -> list[dict[str, Any]]:
    """Return {instanceId, receivedBy, receivedAt, atCentreSince} of each receipt, in order of receipt.

    receivedBy: a post's name, "centre", or "" for this server. atCentreSince: None until it is known to be there; at
    a server without a centre, since when it is here.
    """
    columns = (revision.c.position, revision.c.instance_id)
    query = select(*columns).where(*of_form(revision, form), revision.c.root_id == root_id)
    names = {row.position: row.instance_id for row in connection.execute(query)}
    same = entries.alias()
    found: list[Any] = []
    for some in chunks(names):
        found += connection.execute(
            select(same.c.position, entries.c.origin, entries.c.epoch, entries.c.seq, entries.c.stamp).where(
                same.c.position.in_(some),
                same.c.kind == Kind.SUBMISSION,
                entries.c.key == same.c.key,
            )
        )
    known = _names(connection)
    return [
        {
            "instanceId": names[row.position],
            "receivedBy": known.get(row.origin, row.origin),
            "receivedAt": _iso(to_datetime(row.stamp)),
            "atCentreSince": _since(connection, row),
        }
        for row in sorted(found, key=lambda row: (row.stamp, row.origin))
    ]


def _since(connection: Connection, row: Any) -> str | None:
    centre, own = posts.find_centre(connection), journal.origin(connection)
    if centre is None and row.origin == own:
        return _iso(to_datetime(row.stamp))
    log = (row.origin, row.epoch.partition(BRANCH)[0])
    at_ms = marks.find(connection, centre.origin if centre else own, log, row.seq)
    return None if at_ms is None else _iso(datetime.fromtimestamp(at_ms / 1000, UTC))


def _names(connection: Connection) -> dict[str, str]:
    names = {post.origin: post.name for post in posts.list_posts(connection) if post.origin}
    centre = posts.find_centre(connection)
    return names | ({centre.origin: "centre"} if centre else {}) | {journal.origin(connection): ""}


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="seconds")

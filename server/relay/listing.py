"""Telling a post of the entities of its crossings that were not collected there.

Facts of the centre's journal, addressed to the post: they go down like any other entry, over the network or in a bundle.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from sqlalchemy import Connection, func, select

from server.entity_lists import iter_shown
from server.node import Node
from server.store import datasets, forms, journal, listed, mentions, peers
from server.store.datasets import StoredDataset
from server.store.engine import reading, writing
from server.store.posts import Post
from server.store.submissions import chunks
from server.store.tables import entity_write
from sync.journal import Fact, Kind
from sync.listed import Listed, news

CROSSING = "crossing"
"""The property that says of an entity where it belongs."""
FACTS_AT_ONCE = 200


def list_for(node: Node, post: Post) -> int:
    """Tell a post what is new in its entity lists, once it has answered; return of how many entities."""
    if post.origin is None:
        return 0
    node.catch_up()
    with reading(node.engine) as connection:
        found = [
            one
            for project_id, _ in forms.list_projects(connection)
            for one in datasets.list_datasets(connection, project_id)
        ]
    return sum(_tell(node, post.origin, post, one) for one in found)


def owe_forms(node: Node, post: Post, origin: str) -> None:
    """Have a post get all of the forms that it may have now, if these are others than before."""
    with reading(node.engine) as connection:
        met = peers.find_peer(connection, origin)
    if met is None or met.forms != post.forms:
        allowed = None if post.forms is None else orjson.dumps(sorted(post.forms)).decode()
        with writing(node.engine) as connection:
            peers.note(connection, origin, forms=allowed)
            if met is not None:
                mentions.owe_forms(connection, origin, post.forms)


def _tell(node: Node, origin: str, post: Post, found: StoredDataset) -> int:
    with reading(node.engine) as connection:
        before = listed.read_told(connection, found.project_id, found.name, origin)
    new = news(_wanted(node, origin, post, found), before)
    for start in range(0, len(new), FACTS_AT_ONCE):
        facts = [_fact(found, origin, one) for one in new[start : start + FACTS_AT_ONCE]]
        with writing(node.engine) as connection:
            journal.append(connection, facts)
    if new:
        node.catch_up()
    return len(new)


def _wanted(node: Node, origin: str, post: Post, found: StoredDataset) -> Iterator[Listed]:
    """What the list of this post shows of entities that others wrote to too, or that this node was told of itself."""
    names = found.columns()
    for page in iter_shown(node.engine, found):
        with reading(node.engine) as connection:
            written = _seen(connection, found, [one.uuid for one in page])
        for one in page:
            here = written.get(one.uuid, {})
            seen = {
                name: max(one.seen.get(name, 0), here.get(name, 0)) for name in sorted({*one.seen, *here})
            }
            is_of_crossing = post.crossings is None or one.values.get(CROSSING) in post.crossings
            if is_of_crossing and set(seen) != {origin}:
                told = {name: one.values[name] for name in names if one.values.get(name)}
                yield Listed(one.uuid, one.version, found.label(one.uuid, one.label), told, seen)


def _seen(connection: Connection, found: StoredDataset, uuids: list[str]) -> dict[str, dict[str, int]]:
    seen: dict[str, dict[str, int]] = {}
    of_dataset = (entity_write.c.project_id == found.project_id, entity_write.c.dataset == found.name)
    for some in chunks(uuids):
        query = select(entity_write.c.uuid, entity_write.c.origin, func.max(entity_write.c.stamp))
        rows = connection.execute(
            query.where(*of_dataset, entity_write.c.uuid.in_(some)).group_by(
                entity_write.c.uuid, entity_write.c.origin
            )
        )
        for uuid, origin, stamp in rows:
            seen.setdefault(uuid, {})[origin] = stamp
    return seen


def _fact(found: StoredDataset, origin: str, one: Listed) -> Fact:
    detail = {
        "post": origin,
        "dataset": found.name,
        "uuid": one.uuid,
        "version": one.version,
        "label": one.label,
        "data": dict(one.values),
        "seen": dict(one.seen),
        "is_listed": one.is_listed,
    }
    return Fact(Kind.LISTED, found.project_id, None, orjson.dumps(detail))

"""Any schedule of writing, meeting in part, copying and setting back ends in step: each holds what is for it, and no more."""

from __future__ import annotations

import os
import random

import orjson
import pytest
from relaying import add, bring_in_step, new_node, origin_of, relay
from sqlalchemy import select
from test_relay_logs import verified

from server.node import Node
from server.store import identity
from server.store.engine import reading, sqlite_file, writing
from server.store.tables import journal as entries
from sync.journal import Kind

__all__ = ["new_node"]

STEPS = 25
SEEDS = range(10_000) if os.environ.get("CHAPAR_SOAK") else (83,)
"""It once never ended: a node was told again and again of a fork's other side what is not for it."""


class World:
    """A centre, two posts, and copies of their stores."""

    def __init__(self, nodes: dict[str, Node], chance: random.Random) -> None:
        self.nodes = nodes
        self.chance = chance
        self.copies: dict[str, bytes] = {}
        self.count = 0

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        return [(self.nodes[name], self.nodes["centre"]) for name in self.nodes if name != "centre"]

    def step(self) -> None:
        name = self.chance.choice(list(self.nodes))
        match self.chance.choice(["add", "add", "add", "say", "meet", "meet", "part", "copy", "back"]):
            case "add":
                self.count += 1
                add(self.nodes[name], f"uuid:{self.count}")
            case "say":
                if self.count:
                    about = self.chance.randint(1, self.count)
                    self.count += 1
                    if name == "centre" or f"uuid:{about}" in received_at(self.nodes[name]):
                        add(self.nodes[name], f"uuid:{about}", Kind.COMMENT, number=self.count)
            case "meet":
                relay(*self.chance.choice(self.pairs))
            case "part":
                relay(*self.chance.choice(self.pairs), self.chance)
            case "copy":
                self.nodes[name].engine.dispose()
                self.copies[name] = sqlite_file(self.nodes[name].settings.data).read_bytes()
            case "back":
                if name in self.copies:
                    self.set_back(name, noticed=self.chance.random() < 0.5)

    def set_back(self, name: str, *, noticed: bool) -> None:
        """Put an old store in the place of the present one, which is gone for good; noticed: and a new epoch begins."""
        node = self.nodes[name]
        node.engine.dispose()
        for stray in node.settings.data.glob("chapar.sqlite-*"):
            stray.unlink()
        sqlite_file(node.settings.data).write_bytes(self.copies[name])
        if noticed:
            with writing(node.engine) as connection:
                identity.begin_epoch(connection)


def received_at(node: Node) -> set[str]:
    """The records that a node itself took in: of others it may say nothing, but for the centre."""
    own = origin_of(node)
    return {name for _, origin, kind, name in written(node) if (origin, kind) == (own, Kind.SUBMISSION)}


def written(node: Node) -> list[tuple[bytes, str, str, str]]:
    """Hash, origin, kind and instanceID of every entry that is here."""
    columns = (entries.c.hash, entries.c.origin, entries.c.kind, entries.c.detail)
    with reading(node.engine) as connection:
        rows = connection.execute(select(*columns)).all()
    return [(bytes(row.hash), row.origin, row.kind, orjson.loads(row.detail)["instance_id"]) for row in rows]


@pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_any_schedule_ends_in_step(new_node, seed):
    chance = random.Random(seed)
    world = World({name: new_node(name) for name in ("centre", "north", "south")}, chance)
    for _ in range(STEPS):
        world.step()
    bring_in_step(*world.pairs)
    verified(*world.nodes.values())
    centre = written(world.nodes["centre"])
    for post, _ in world.pairs:
        own = origin_of(post)
        received = {name for _, origin, kind, name in centre if origin == own and kind == Kind.SUBMISSION}
        meant = {
            digest
            for digest, origin, kind, name in centre
            if origin == own or (kind == Kind.COMMENT and name in received)
        }
        # What another post wrote and has lost, as has the centre, the centre takes from nobody else.
        known = {origin_of(post), origin_of(world.nodes["centre"])}
        here = {digest for digest, origin, *_ in written(post) if digest in meant or origin in known}
        assert here == meant

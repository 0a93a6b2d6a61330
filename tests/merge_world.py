"""Tablets, posts and a centre that fill, edit, send, relay, decide, erase, fail and come back: in memory, over `sync`.

A schedule is a list of deeds, each with a seed for what it leaves open: it can be kept, cut short and played again.
Whatever happens, nodes that hold the same entries show the same to the last byte; once each has given all to each,
all show what the union of their entries shows, but for what was erased, of which nobody holds a byte.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import orjson

from forms.cells import Cell
from sync import journal
from sync.clock import tick
from sync.erasure import FOLLOWS, Names, Reason
from sync.history import components
from sync.journal import Entry, Head, Kind, seal, verify
from sync.registers import DELETED
from sync.revision import Revision, RevisionKind
from tests.merge_cases import Fact, dump, form, merge
from tests.merge_draws import put, slots

FORM = form("laws")
SLOTS = [
    slots("laws", "1")[path] for path in ("/head", "/age", "/child", "/school", "/needs", "/member/name")
]
NODES = ("post-1", "post-2", "centre")
DECISIONS = [kind for kind in RevisionKind if kind is not RevisionKind.EDIT]
ROUNDS_MAX = 9
Place = tuple[str, str, int]
"""origin, epoch, seq."""
Disk = dict[Place, Entry]
Schedule = Sequence[tuple[str, int]]
"""Names of deeds, each with its seed."""


class Node:
    """disk: the entries that it holds, in the order they came. promised: keys of what it acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock_ms = 1000
        self.epochs = 0
        self.disk: Disk = {}
        self.promised: set[bytes | None] = set()
        self.come_back({})

    def come_back(self, disk: Disk) -> None:
        """Start from a disk that is older than what others know: under an epoch that nobody saw."""
        self.epochs += 1
        self.disk = dict(disk)
        self.promised &= {entry.fact.key for entry in disk.values()}
        self.start(f"{self.name}-{self.epochs}")

    def start(self, epoch: str) -> None:
        """Learn from the disk where the log ends and what it holds."""
        own = [entry for entry in self.disk.values() if entry.origin == self.name]
        self.keys = {entry.fact.key for entry in own}
        self.head = Head(self.name, epoch)
        for entry in own:
            if entry.epoch == epoch and entry.seq > self.head.seq:
                self.head = Head(entry.origin, epoch, entry.seq, entry.hash, entry.stamp)

    def kill(self) -> None:
        """End at once, and start again with what was committed."""
        self.start(self.head.epoch)

    def receive(self, fact: journal.Fact) -> None:
        """Commit a fact once, acknowledge it, and have it dropped if it is one of an erased record."""
        self.append(fact)
        self.promised.add(fact.key)
        self.drop_erased()

    def append(self, fact: journal.Fact) -> None:
        if fact.key not in self.keys:
            (entry,) = seal(self.head, [fact], self._stamps())
            self.head = Head(entry.origin, entry.epoch, entry.seq, entry.hash, entry.stamp)
            self.disk[place_of(entry)] = entry
            self.keys.add(fact.key)

    def take(self, entries: Iterable[Entry]) -> None:
        """Keep what another node gave."""
        for entry in entries:
            known = self.disk.setdefault(place_of(entry), entry)
            assert known.hash == entry.hash, "a sequence number was used twice"
            self.promised.add(entry.fact.key)
        self.drop_erased()

    def drop_erased(self) -> None:
        """Drop the payloads of erased records and of what edits them; give the names of those an entry of their own."""
        names = self.erased()
        late: list[Entry] = []
        waiting = [entry for entry in self.disk.values() if entry.fact.detail and not is_erasure(entry)]
        while found := [entry for entry in waiting if names.meets(names_in(entry))]:
            late += found
            waiting = [entry for entry in waiting if entry not in found]
            for entry in found:
                names.update(names_in(entry))
        if names != self.erased():
            self.append(erasure(names, FOLLOWS))
        for entry in late:
            self.disk[place_of(entry)] = replace(entry, fact=replace(entry.fact, detail=b"", body=b""))

    def erased(self) -> Names:
        """What is erased as far as it knows."""
        names = Names()
        for entry in filter(is_erasure, self.disk.values()):
            detail = orjson.loads(entry.fact.detail)
            names.update(Names(set(detail["instance_ids"]), set(detail["digests"])))
        return names

    def state(self) -> dict[str, bytes]:
        """What it shows of each submission."""
        return state_of(self.disk.values())

    def _stamps(self) -> Iterator[int]:
        yield tick(self.head.stamp, self.clock_ms)


def place_of(entry: Entry) -> Place:
    return (entry.origin, entry.epoch, entry.seq)


def unbroken(disk: Disk) -> dict[tuple[str, str], int]:
    """How far each log is there from its first entry on: what lay between may be lost with a node that failed."""
    whole = {place[:2]: 0 for place in disk}
    for log in whole:
        while (*log, whole[log] + 1) in disk:
            whole[log] += 1
    return whole


def is_erasure(entry: Entry) -> bool:
    return entry.fact.kind is Kind.ERASURE


def names_in(entry: Entry) -> Names:
    return Names.of(orjson.loads(entry.fact.detail))


def state_of(entries: Iterable[Entry]) -> dict[str, bytes]:
    shown = (merge(FORM, group) for group in groups_of(entries))
    return {merged.view.history.instance_id: dump(merged) for merged in shown}


def groups_of(entries: Iterable[Entry]) -> list[list[Fact]]:
    facts = [fact_of(entry) for entry in entries if entry.fact.detail and not is_erasure(entry)]
    groups = [{one.digest for one in group} for group in components(fact.revision for fact in facts)]
    return [[fact for fact in facts if fact.revision.digest in group] for group in groups]


def fact_of(entry: Entry) -> Fact:
    detail = orjson.loads(entry.fact.detail)
    name, about = detail["instance_id"], detail["deprecated_id"]
    if entry.fact.kind is Kind.SUBMISSION:
        revision = Revision(name, detail["digest"], about, entry.stamp)
        return Fact(revision, "1", orjson.loads(entry.fact.body))
    digest, parents = hashlib.sha256(entry.fact.detail).hexdigest(), tuple(detail["upon"])
    decided = {name: Cell(*cell) for name, cell in detail["cells"].items()}
    revision = Revision(name, digest, about, entry.stamp, RevisionKind(detail["kind"]), parents)
    return Fact(revision, decided=decided)


def said(kind: Kind, detail: dict[str, object], body: bytes = b"") -> journal.Fact:
    told = orjson.dumps(detail)
    return journal.Fact(kind, 1, hashlib.sha256(told).digest(), told, body)


def erasure(names: Names, reason: str) -> journal.Fact:
    facts = {"instance_ids": sorted(names.instance_ids), "digests": sorted(names.digests), "reason": reason}
    return said(Kind.ERASURE, facts)


class World:
    """What can happen to a survey. orders: the payloads that people had erased, by the key of what they ordered."""

    def __init__(self, names: Sequence[str]) -> None:
        self.nodes = [Node(name) for name in names]
        self.count = 0
        self.cut: set[frozenset[str]] = set()
        self.sent: list[journal.Fact] = []
        self.copies: dict[str, Disk] = {}
        self.hashes: dict[Place, bytes] = {}
        self.orders: dict[bytes | None, set[bytes]] = {}

    def name(self) -> str:
        self.count += 1
        return f"i{self.count}"

    def one_sent(self, chance: random.Random) -> journal.Fact | None:
        """What is still on a tablet: most often something of late."""
        return chance.choice(self.sent[chance.choice((0, -4)) :]) if self.sent else None

    def fill(self, chance: random.Random) -> None:
        """Two tablets may fill the same record: siblings."""
        document = {"head": chance.choice(["Zahra", "Zohra"]), "child": "yes", "member": [{"row": "r1"}]}
        self.send(document, chance.choice(["a", "b", self.name()]), None, chance.choice(self.nodes))

    def edit(self, chance: random.Random) -> None:
        """A tablet edits what it or another sent; the answer may come before its parent, or never."""
        if one := self.one_sent(chance):
            document = copy.deepcopy(orjson.loads(one.body))
            slot = chance.choice([SLOTS[0], *SLOTS])
            put(document, slot, chance.randint(1, 2), chance.choice(("", *slot.answers)))
            node = None if chance.random() < 0.2 else chance.choice(self.nodes)
            self.send(document, self.name(), orjson.loads(one.detail)["instance_id"], node)

    def save_again(self, chance: random.Random) -> None:
        if one := self.one_sent(chance):
            edits = orjson.loads(one.detail)["instance_id"]
            self.send(orjson.loads(one.body), self.name(), edits, chance.choice(self.nodes))

    def send(self, document: dict[str, Any], name: str, edits: str | None, node: Node | None) -> None:
        body = orjson.dumps(document | {"meta": {"instanceID": name}})
        digest = hashlib.sha256(body).hexdigest()
        detail = {"instance_id": name, "deprecated_id": edits, "digest": digest}
        self.sent.append(said(Kind.SUBMISSION, detail, body))
        if node:
            node.receive(self.sent[-1])

    def send_again(self, chance: random.Random) -> None:
        """To the same or another post, after an answer that got lost; also what was erased meanwhile."""
        if one := self.one_sent(chance):
            chance.choice(self.nodes).receive(one)

    def kill(self, chance: random.Random) -> None:
        chance.choice(self.nodes).kill()

    def kill_between_commit_and_answer(self, chance: random.Random) -> None:
        """The post kept it, the tablet does not know: it sends it again to another one."""
        if one := self.one_sent(chance):
            node, other = chance.sample(self.nodes, 2)
            node.append(one)
            node.kill()
            other.receive(one)
            node.drop_erased()

    def relay(self, chance: random.Random) -> None:
        """Any part of what one holds, in any order. What was erased is told with whatever is given."""
        giver, taker = chance.sample(self.nodes, 2)
        if frozenset([giver.name, taker.name]) not in self.cut:
            entries = list(giver.disk.values())
            given = chance.sample(entries, chance.choice([len(entries), chance.randint(0, len(entries))]))
            taker.take([*filter(is_erasure, entries), *given])
            assert taker.state() == state_of(sorted(taker.disk.values(), key=place_of))

    def cut_off(self, chance: random.Random) -> None:
        self.cut.add(frozenset(node.name for node in chance.sample(self.nodes, 2)))

    def mend(self, _: random.Random) -> None:
        self.cut.clear()

    def jump_clock(self, chance: random.Random) -> None:
        node = chance.choice(self.nodes)
        node.clock_ms = max(0, node.clock_ms + chance.randint(-5_000, 5_000))

    def back_up(self, chance: random.Random) -> None:
        node = chance.choice(self.nodes)
        self.copies[node.name] = dict(node.disk)

    def restore(self, chance: random.Random) -> None:
        """An old copy comes back; what it had promised or erased since is with others, or lost with it."""
        node = chance.choice(self.nodes)
        if node.name in self.copies:
            node.come_back(self.copies[node.name])

    def decide(self, chance: random.Random) -> None:
        """A person at a node resolves, deletes, restores or undoes what they see there."""
        node, kind = chance.choice(self.nodes), chance.choice(DECISIONS)
        groups = groups_of(node.disk.values())
        if not groups:
            return
        group = chance.choice(groups)
        merged = merge(FORM, group)
        past = merged.view.history
        upon = [past.order[place].digest for place in past.heads]
        cells: dict[str, list[object]] = {}
        if kind is RevisionKind.WITHDRAWAL:
            made = [fact.revision.digest for fact in group if fact.document is None]
            upon = [chance.choice(made)] if made else []
        elif kind is RevisionKind.RESOLUTION:
            for conflict in merged.view.conflicts:
                if conflict.cells != (DELETED,):
                    side = chance.choice(conflict.candidates).cells
                    cells |= {name: list(cell) for name, cell in side.items()}
        if upon:
            about = past.order[0].instance_id if past.order else group[0].revision.instance_id
            detail = {"instance_id": self.name(), "deprecated_id": about}
            node.receive(said(Kind.DECISION, detail | {"kind": kind, "upon": upon, "cells": cells}))

    def erase(self, chance: random.Random) -> None:
        """A person at a node erases a record: all that is known there of it."""
        node = chance.choice(self.nodes)
        if groups := groups_of(node.disk.values()):
            known = {fact.revision.digest for fact in chance.choice(groups)}
            names, payloads = Names(), set[bytes]()
            for entry in node.disk.values():
                if entry.fact.detail and not is_erasure(entry) and fact_of(entry).revision.digest in known:
                    names.update(names_in(entry))
                    payloads |= {entry.fact.detail, entry.fact.body}
            order = erasure(names, Reason.PERSON_ASKED)
            self.orders.setdefault(order.key, set()).update(payloads - {b""})
            node.receive(order)

    def look(self) -> None:
        """What holds at any time at every node."""
        for node in self.nodes:
            assert node.promised <= {entry.fact.key for entry in node.disk.values()}, "a promise was broken"
            erased = node.erased()
            for place, entry in node.disk.items():
                known = self.hashes.setdefault(place, entry.hash)
                assert known == entry.hash, "a sequence number was used twice"
                if entry.fact.detail and not is_erasure(entry):
                    assert not erased.meets(names_in(entry)), "a node holds what it knows to be erased"

    def end(self) -> dict[str, bytes]:
        """Have everybody give everything to everybody; return what all of them show."""
        held: Disk = {}
        for node in self.nodes:
            held |= {place: entry for place, entry in node.disk.items() if entry.fact.detail}
        expected = state_of(self.without_erased(held))
        gone = set().union(*(self.orders.get(entry.fact.key, ()) for entry in held.values()))
        for _ in range(ROUNDS_MAX):
            before = [len(node.disk) for node in self.nodes]
            for one, other in permutations(self.nodes, 2):
                other.take([*filter(is_erasure, one.disk.values()), *one.disk.values()])
            self.look()
            if before == [len(node.disk) for node in self.nodes]:
                break
        whole = unbroken(self.nodes[0].disk)
        for one, other in combinations(self.nodes, 2):
            assert one.disk == other.disk, "nodes in step hold the same"
        for node in self.nodes:
            assert held.keys() <= node.disk.keys(), "what one held is with all"
            log = sorted(node.disk.values(), key=place_of)
            verify(entry for entry in log if entry.seq <= whole[entry.origin, entry.epoch])
            assert node.state() == expected, "nodes in step show the union"
            kept = {payload for entry in log for payload in (entry.fact.detail, entry.fact.body)}
            assert gone.isdisjoint(kept), "a byte of what was erased is left"
        return expected

    def without_erased(self, held: Disk) -> list[Entry]:
        """The entries without those of erased records, told slowly: an instanceID at a time."""
        gone: set[str] = set()
        for entry in filter(is_erasure, held.values()):
            gone |= set(orjson.loads(entry.fact.detail)["instance_ids"])
        facts = {place: fact_of(entry) for place, entry in held.items() if not is_erasure(entry)}
        links = [{one.revision.instance_id, one.revision.deprecated_id} - {None} for one in facts.values()]
        while more := [link for link in links if link & gone and not link <= gone]:
            gone |= more[0]
        return [held[place] for place, one in facts.items() if one.revision.instance_id not in gone]


WEIGHTS: dict[Callable[[World, random.Random], None], int] = {
    World.fill: 3,
    World.edit: 8,
    World.save_again: 1,
    World.send_again: 3,
    World.kill: 1,
    World.kill_between_commit_and_answer: 1,
    World.relay: 6,
    World.cut_off: 1,
    World.mend: 1,
    World.jump_clock: 2,
    World.back_up: 2,
    World.restore: 2,
    World.decide: 4,
    World.erase: 1,
}
DEEDS = {deed.__name__: deed for deed in WEIGHTS}


def draw_schedule(chance: random.Random, deeds: int) -> Schedule:
    names = chance.choices(list(DEEDS), list(WEIGHTS.values()), k=deeds)
    return [(name, chance.getrandbits(32)) for name in names]


def play(schedule: Schedule, names: Sequence[str] = NODES) -> dict[str, bytes]:
    """Do what a schedule says and hold what must hold; return what all show in the end."""
    world = World(names)
    for deed, seed in schedule:
        DEEDS[deed](world, random.Random(seed))
        world.look()
    return world.end()


def shortest(schedule: Schedule, breaks: Callable[[Schedule], bool]) -> Schedule:
    """Return a part of the schedule that still breaks, and does no longer when any one deed is left out."""
    for at in range(len(schedule)):
        rest = [*schedule[:at], *schedule[at + 1 :]]
        if breaks(rest):
            return shortest(rest, breaks)
    return schedule

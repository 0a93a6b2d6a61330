"""Tablets, posts and a centre that fill, edit, send, relay, decide, fail and come back: all in memory, over `sync`.

Each node keeps a journal of its own and the entries it was given. The oracle is the set union: nodes that hold the
same entries show the same to the last byte, and when all hold everything they show what the union shows.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from forms.cells import Cell
from sync import journal
from sync.clock import tick
from sync.history import components
from sync.journal import GENESIS, Entry, Head, Kind, seal, verify
from sync.registers import DELETED
from sync.revision import Revision, RevisionKind
from tests.merge_cases import Fact, dump, form, merge, put, slots

FORM = form("laws")
SLOTS = [
    slots("laws", "1")[path] for path in ("/head", "/age", "/child", "/school", "/needs", "/member/name")
]
NODES = ("post-1", "post-2", "centre")
RUNS = 25
Place = tuple[str, str, int]
"""origin, epoch, seq."""


@dataclass
class Node:
    """head: where its own log ends. entries: all that it holds. acknowledged: keys of what it promised to keep."""

    name: str
    head: Head
    entries: dict[Place, Entry] = field(default_factory=dict)
    acknowledged: set[bytes] = field(default_factory=set)
    clock_ms: int = 1000

    def append(self, fact: journal.Fact) -> None:
        """Commit a fact once and acknowledge it."""
        assert fact.key is not None
        if fact.key not in {entry.fact.key for entry in self.entries.values() if entry.origin == self.name}:
            (entry,) = seal(self.head, [fact], self._stamps())
            self.head = Head(entry.origin, entry.epoch, entry.seq, entry.hash, entry.stamp)
            self.entries[place_of(entry)] = entry
        self.acknowledged.add(fact.key)

    def take(self, entries: Iterable[Entry]) -> None:
        """Keep what another node gave."""
        for entry in entries:
            known = self.entries.setdefault(place_of(entry), entry)
            assert known.hash == entry.hash, "a sequence number was used twice"
            assert entry.fact.key is not None
            self.acknowledged.add(entry.fact.key)

    def state(self) -> dict[str, bytes]:
        """What it shows of each submission."""
        return state_of(self.entries.values())

    def _stamps(self) -> Iterator[int]:
        yield tick(self.head.stamp, self.clock_ms)


def place_of(entry: Entry) -> Place:
    return (entry.origin, entry.epoch, entry.seq)


def state_of(entries: Iterable[Entry]) -> dict[str, bytes]:
    shown = (merge(FORM, group) for group in groups_of(entries))
    return {merged.view.history.instance_id: dump(merged) for merged in shown}


def groups_of(entries: Iterable[Entry]) -> list[list[Fact]]:
    facts = [fact_of(entry) for entry in entries]
    groups = [{one.digest for one in group} for group in components(fact.revision for fact in facts)]
    return [[fact for fact in facts if fact.revision.digest in group] for group in groups]


def fact_of(entry: Entry) -> Fact:
    detail = orjson.loads(entry.fact.detail)
    digest = hashlib.sha256(entry.fact.body or entry.fact.detail).hexdigest()
    if entry.fact.kind is Kind.SUBMISSION:
        revision = Revision(detail["id"], digest, digest, detail["edits"], entry.stamp)
        return Fact(revision, "1", orjson.loads(entry.fact.body))
    kind, parents = RevisionKind(detail["kind"]), tuple(detail["upon"])
    decided = {name: Cell(*cell) for name, cell in detail["cells"].items()}
    return Fact(
        Revision(detail["id"], digest, "", detail["about"], entry.stamp, kind, parents), decided=decided
    )


def revision_fact(kind: Kind, detail: dict[str, object], body: bytes = b"") -> journal.Fact:
    told = orjson.dumps(detail)
    return journal.Fact(kind, 1, hashlib.sha256(told + body).digest(), told, body)


class World(RuleBasedStateMachine):
    """What can happen to a survey."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 1  # the epochs that the nodes begin with
        self.nodes = [Node(name, Head(name, f"{name}-1")) for name in NODES]
        self.cut: set[frozenset[str]] = set()
        self.sent: list[journal.Fact] = []
        self.copies: dict[str, tuple[dict[Place, Entry], set[bytes]]] = {}
        self.known: dict[Place, bytes] = {}

    def name(self) -> str:
        self.count += 1
        return f"i{self.count}"

    @rule(record=st.sampled_from("ab"), head=st.sampled_from(["Zahra", "Zohra"]), node=st.integers(0, 2))
    def fill(self, record, head, node):
        """Two tablets may fill the same record: siblings."""
        self.send(orjson.dumps({"head": head, "child": "yes", "member": [{"row": "r1"}]}), record, None, node)

    @precondition(lambda self: self.sent)
    @rule(
        opened=st.integers(0, 30),
        slot=st.sampled_from(SLOTS),
        row=st.integers(1, 2),
        answer=st.integers(0, 3),
        node=st.integers(0, 2),
        is_lost=st.booleans(),
    )
    def edit(self, opened, slot, row, answer, node, is_lost):
        """A tablet edits what it or another sent; the answer may come before its parent, or never."""
        one = self.sent[opened % len(self.sent)]
        document = copy.deepcopy(orjson.loads(one.body))
        put(document, slot, row, ("", *slot.answers)[answer % (len(slot.answers) + 1)])
        edits = orjson.loads(one.detail)["id"]
        self.send(orjson.dumps(document), self.name(), edits, None if is_lost else node)

    @precondition(lambda self: self.sent)
    @rule(opened=st.integers(0, 30), node=st.integers(0, 2))
    def save_again(self, opened, node):
        one = self.sent[opened % len(self.sent)]
        self.send(one.body, self.name(), orjson.loads(one.detail)["id"], node)

    def send(self, body, name, edits, node):
        fact = revision_fact(Kind.SUBMISSION, {"id": name, "edits": edits}, b"%s " % body + name.encode())
        fact = replace(fact, body=orjson.dumps(orjson.loads(body) | {"meta": {"instanceID": name}}))
        self.sent.append(fact)
        if node is not None:
            self.nodes[node].append(fact)

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 30), node=st.integers(0, 2))
    def send_again(self, which, node):
        """To the same or another post, after an answer that got lost."""
        self.nodes[node].append(self.sent[which % len(self.sent)])

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 30), node=st.integers(0, 2))
    def kill_between_commit_and_answer(self, which, node):
        """The post kept it, the tablet does not know: it sends it again to another one."""
        fact = self.sent[which % len(self.sent)]
        self.nodes[node].append(fact)
        self.nodes[(node + 1) % 3].append(fact)

    @rule(one=st.integers(0, 2), other=st.integers(0, 2), chance=st.randoms(use_true_random=False))
    def relay(self, one, other, chance):
        """Any part of what one holds, in any order."""
        giver, taker = self.nodes[one], self.nodes[other]
        if frozenset([giver.name, taker.name]) not in self.cut:
            entries = chance.sample(list(giver.entries.values()), chance.randint(0, len(giver.entries)))
            taker.take(entries)

    @rule(one=st.integers(0, 2), other=st.integers(0, 2))
    def cut_off(self, one, other):
        self.cut.add(frozenset([NODES[one], NODES[other]]))

    @rule()
    def mend(self):
        self.cut.clear()

    @rule(node=st.integers(0, 2), by_ms=st.integers(-5_000_000, 5_000_000))
    def jump_clock(self, node, by_ms):
        self.nodes[node].clock_ms = max(0, self.nodes[node].clock_ms + by_ms)

    @rule(node=st.integers(0, 2))
    def back_up(self, node):
        one = self.nodes[node]
        self.copies[one.name] = (dict(one.entries), set(one.acknowledged))

    @precondition(lambda self: self.copies)
    @rule(node=st.integers(0, 2))
    def restore(self, node):
        """An old copy comes back under a new epoch; what it had promised since is with others, or lost with it."""
        one = self.nodes[node]
        if one.name in self.copies:
            entries, acknowledged = self.copies[one.name]
            self.count += 1
            epoch = f"{one.name}-{self.count}"
            one.entries, one.acknowledged = dict(entries), set(acknowledged)
            one.head = Head(one.name, epoch, 0, GENESIS, 0)

    @rule(
        node=st.integers(0, 2),
        kind=st.sampled_from([kind for kind in RevisionKind if kind is not RevisionKind.EDIT]),
        chance=st.randoms(use_true_random=False),
    )
    def decide(self, node, kind, chance):
        """A person at a node resolves, deletes, restores or undoes what they see there."""
        one = self.nodes[node]
        groups = groups_of(one.entries.values())
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
            detail = {"id": self.name(), "about": about, "kind": kind, "upon": upon, "cells": cells}
            one.append(revision_fact(Kind.DECISION, detail))

    @invariant()
    def what_was_acknowledged_is_here(self):
        for node in self.nodes:
            assert node.acknowledged <= {entry.fact.key for entry in node.entries.values()}

    @invariant()
    def no_sequence_number_is_used_twice(self):
        for node in self.nodes:
            for place, entry in node.entries.items():
                assert self.known.setdefault(place, entry.hash) == entry.hash

    def teardown(self):
        """Whatever happened: every node shows what its set shows, and in step they all show the union."""
        for node in self.nodes:
            shuffled = sorted(node.entries.values(), key=lambda entry: entry.hash)
            assert node.state() == state_of(shuffled)
            log = [entry for entry in node.entries.values() if entry.origin == node.name]
            verify(sorted(log, key=lambda entry: (entry.epoch, entry.seq)))
        union = {place: entry for node in self.nodes for place, entry in node.entries.items()}
        for one, other in pairwise([*self.nodes, *reversed(self.nodes), *self.nodes]):
            other.take(one.entries.values())
        expected = state_of(union.values())
        for node in self.nodes:
            assert node.entries == union
            assert node.state() == expected


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens_nodes_in_step_show_the_union():
    run(RUNS, 30)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
def test_ten_thousand_schedules_end_in_the_union():
    run(int(os.environ.get("CHAPAR_SOAK_SCHEDULES", "10000")), 40)

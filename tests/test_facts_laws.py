"""The state of a store follows from the set of its facts: any order and any repetition gives the same rows."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update

from server import projection
from server.enrolment import create_app_user, revoke_app_user
from server.evolution import Consent
from server.node import Node
from server.publishing import publish, set_media
from server.store import arrivals, erasures, journal
from server.store.dialect import insert_ignore
from server.store.engine import reading, writing
from server.store.tables import STATE, erasing, revision, submission
from server.store.tables import journal as entries
from server.store.tables import node as own
from server.store.tallies import Tally, tally
from server.sweeping import sweep
from sync.erasure import Names, Reason
from sync.journal import Fact, Kind
from sync.revision import RevisionKind
from tests.test_merge_laws import SOAK

SLOTS = """
| survey   |           |          |       |               |
|          | type      | name     | label | chapar::flags |
|          | text      | slot     | Slot  | D             |
|          | integer   | count    | Count |               |
| checks   |           |            |                  |
|          | check_id  | check      | columns_to_clean |
|          | late      | ${count} > 3 | count          |
| settings |           |          |       |
|          | form_title | form_id | version |
|          | Slots     | slots    | 1     |
"""
LOCAL = frozenset({"position", "origin"})
"""Columns that say where this node learnt something."""


def said(entry: Kind, /, **facts: object) -> Fact:
    detail = orjson.dumps({"form_id": "slots", "actor_id": 1, "actor_name": "", **facts})
    return Fact(entry, 1, hashlib.sha256(entry.encode() + detail).digest(), detail)


def edit(name: str, edits: str, slot: str, count: int) -> Fact:
    deprecated = f"<deprecatedID>{edits}</deprecatedID>" if edits else ""
    xml = (
        f'<data id="slots" version="1"><slot>{slot}</slot><count>{count}</count>'
        f"<meta><instanceID>{name}</instanceID>{deprecated}</meta></data>"
    ).encode()
    facts = {
        "instance_id": name,
        "deprecated_id": edits or None,
        "digest": hashlib.sha256(xml).hexdigest(),
        "version": "1",
        "submitter_id": 1,
        "submitter_name": "",
        "device_id": "",
    }
    return replace(said(Kind.SUBMISSION, **facts), body=xml)


def digest_of(fact: Fact) -> str:
    return hashlib.sha256(fact.body or fact.detail).hexdigest()


NAMES = st.sampled_from("aabbcd")
DEEDS = st.sampled_from(["edit", "edit", "delete", "restore", "undo", *"rrcldde"])


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Facts of four records and a few edits of them, in an order in which people could have said them."""
    done: list[Fact] = []
    heads = [edit("a", "", "s", 1), edit("b", "", "s", 1)]
    done += heads
    for number in range(draw(st.integers(1, 9))):
        name, some = draw(NAMES), draw(st.lists(st.sampled_from(done), max_size=2))
        known = sorted({digest_of(one) for one in some if one.kind in {Kind.SUBMISSION, Kind.DECISION}})
        match draw(DEEDS):
            case "edit":
                own = draw(st.sampled_from(["c", "d", f"e{number}"]))
                edits = draw(st.sampled_from(["", name, f"e{number - 1}"]))
                done.append(edit(own, edits if edits != own else "", draw(st.sampled_from("st")), number))
            case "delete" | "restore" | "undo" as deed:
                kinds = {
                    "delete": RevisionKind.TOMBSTONE,
                    "restore": RevisionKind.RESTORE,
                    "undo": RevisionKind.WITHDRAWAL,
                }
                done.append(
                    said(
                        Kind.DECISION,
                        kind=kinds[deed],
                        instance_id=f"decision-{number}",
                        deprecated_id=name,
                        parents=known,
                        cells={},
                        submitter_id=1,
                        submitter_name="",
                    )
                )
            case "r":
                state = draw(st.sampled_from(["approved", "rejected", None]))
                upon = draw(st.sampled_from([known, [digest_of(one) for one in done]]))
                done.append(said(Kind.REVIEW, instance_id=name, state=state, upon=upon, id=f"r{number}"))
            case "c":
                done.append(said(Kind.COMMENT, instance_id=name, body="x", id=f"c{number}"))
            case "l":
                changed = {"kind": "change", "cell": "/count", "new": "7", "version": "1", "undoes": ""}
                rest = dict.fromkeys(("old", "base", "reason", "check_id"), "")
                whole = changed | rest | {"supersedes": [], "remarks": {}}
                facts = {"instance_id": name, "batch": f"l{number}", "entries": [whole]}
                done.append(said(Kind.CLEANING, **facts))
            case "d":
                names = draw(st.sampled_from(["ab", "ab", "ac", "abc"]))
                holds = draw(st.booleans())
                done.append(said(Kind.DISTINCT, instance_ids=sorted(names), holds=holds, id=f"d{number}"))
            case _:
                erased = erasures.fact((1, "slots"), Names({name}), Reason.PERSON_ASKED, 1)
                done.append(erased)
    return done


@pytest.fixture
def slots(node: Node) -> Node:
    publish(node, 1, SLOTS.encode(), "slots.md", {})
    return node


def tell(
    node: Node, facts: Sequence[tuple[int, Fact]], steps: Sequence[int], *, dropping: bool, **identity: str
) -> object:
    """Start from the published form, take in the facts (stamp, fact), project after the given numbers; the state.

    What a node says itself while it takes in facts comes with them, and is dropped with what they say. identity:
    columns of what it is called instead.
    """
    with reading(node.engine) as connection:
        form = journal.head_position(connection)
        first = connection.execute(select(own)).mappings().one()
        kept = connection.execute(select(entries).where(entries.c.position <= form)).mappings().all()
    if identity:
        with writing(node.engine) as connection:
            connection.execute(update(own).values(**identity))
    for number, (stamp, fact) in enumerate(facts):
        with writing(node.engine) as connection:
            journal.append(connection, [fact], iter([stamp]))
        if number in steps:
            node.catch_up()
            if dropping:
                sweep(node.engine, node.blobs)
    node.catch_up()
    if dropping:
        sweep(node.engine, node.blobs)
        assert projected(node) == (projection.rebuild(node.engine, node.schemas), projected(node))[1]
    state = projected(node)
    assert tallied(node) == counted(node)
    put_back(node, first, kept)
    return state


def put_back(node: Node, first: Any, kept: Any) -> None:
    """Make a node what it was when it had these entries alone."""
    with writing(node.engine) as connection:
        for table in (*STATE, entries, own):
            connection.execute(delete(table))
        connection.execute(insert(own).values(**first))
        insert_ignore(connection, entries, kept)
    for remembered in (node.schemas._known, node.schemas._lines, node.schemas._logic):
        remembered.clear()
    node.catch_up()


def tallied(node: Node) -> Tally:
    with reading(node.engine) as connection:
        return tally(connection, (1, "slots"))


def counted(node: Node) -> Tally:
    with reading(node.engine) as connection:
        shown = connection.execute(
            select(submission.c.edits, submission.c.open_conflicts).where(submission.c.is_deleted.is_(False))
        ).all()
        revisions = connection.execute(select(func.count()).select_from(revision)).scalar_one()
    return Tally(len(shown), sum(row[0] for row in shown), sum(row[1] for row in shown), revisions)


def projected(node: Node) -> object:
    with reading(node.engine) as connection:
        return {
            table.name: sorted(
                (
                    tuple(value for name, value in row.items() if name not in LOCAL)
                    for row in connection.execute(select(table)).mappings()
                ),
                key=repr,
            )
            for table in STATE
            if table is not erasing and table.name != "cursor"
        }


def any_order(examples: int) -> Callable[[Any], Any]:
    """Have a test try so many drawn facts, on SQLite."""

    def decorate(test: Any) -> Any:
        drawn = settings(
            max_examples=examples,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )(given(facts=facts(), data=st.data())(test))
        return pytest.mark.parametrize("settings", ["sqlite"], indirect=True)(drawn)

    return decorate


def hold(slots: Node, facts: Sequence[Fact], data: st.DataObject) -> None:
    """Also when submissions of several revisions are joined apart, and some came by another node, earlier or later."""
    stamped = [((number + 1) << 16, fact) for number, fact in enumerate(facts)]
    of_revisions = [pair for pair in stamped if pair[1].kind in {Kind.SUBMISSION, Kind.DECISION}]
    for stamp, fact in data.draw(st.lists(st.sampled_from(of_revisions), max_size=2, unique_by=id)):
        elsewhere = replace(fact, key=hashlib.sha256(b"elsewhere" + (fact.key or b"")).digest())
        at = stamp + data.draw(st.sampled_from([-5, 5, -(1 << 17), 1 << 17]))
        stamped.append((max(at, 1), elsewhere))
    other = data.draw(st.permutations(stamped + data.draw(st.lists(st.sampled_from(stamped), max_size=3))))
    everywhere = st.just(set(range(len(other))))
    steps = data.draw(everywhere | st.sets(st.integers(0, len(other))))
    first = tell(slots, stamped, (), dropping=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrivals, "AT_ONCE_MAX", data.draw(st.sampled_from([1, 2, 50])))
        assert tell(slots, other, sorted(steps), dropping=data.draw(st.booleans())) == first


@any_order(20)
def test_any_order_and_repetition_of_what_was_said_gives_the_same_state(slots, facts, data):
    hold(slots, facts, data)


@any_order(6)
def test_renaming_origins_changes_nothing(slots, facts, data):
    """A node that is called otherwise, or has come back under another epoch, shows the same."""
    stamped = [((number + 1) << 16, fact) for number, fact in enumerate(facts)]
    names = data.draw(st.sampled_from([{"origin": "a"}, {"origin": "z"}, {"epoch": "0"}]))
    assert tell(slots, stamped, (), dropping=False, **names) == tell(slots, stamped, (), dropping=False)


RENAMED = SLOTS.replace("slot     | Slot", "place    | Place").replace("slots    | 1", "slots    | 2")


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_forms_lists_and_tablets_may_arrive_after_what_is_of_them(node: Node):
    """As by relay: an older version after a newer one, a revocation before the account, answers before their form."""
    with reading(node.engine) as connection:
        first = connection.execute(select(own)).mappings().one()
        start = journal.head_position(connection)
        kept = connection.execute(select(entries)).mappings().all()
    publish(node, 1, SLOTS.encode(), "slots.md", {})
    publish(node, 1, RENAMED.encode(), "slots.md", {}, Consent(frozenset(), ("slot=place",)))
    for content in (b"code,name\n1,a\n", b"code,name\n1,b\n"):
        set_media(node, 1, "slots", "list.csv", content)
    for name in ("kept", "lost"):
        enrolled = create_app_user(node, 1, name)
    revoke_app_user(node, 1, enrolled.id)
    of_unknown = edit("d", "", "s", 4)
    of_unknown = replace(of_unknown, detail=of_unknown.detail.replace(b'"version":"1"', b'"version":"9"'))
    decision = {"kind": "resolution", "instance_id": "r", "deprecated_id": "a", "version": "1"}
    about = {"parents": [], "cells": {"/slot": ["t", "t", False]}, "submitter_id": 1, "submitter_name": ""}
    with writing(node.engine) as connection:
        journal.append(connection, [edit("a", "", "s", 1), edit("b", "a", "s", 2), edit("c", "a", "t", 3)])
        journal.append(connection, [of_unknown, said(Kind.DECISION, **decision, **about)])
        found = connection.execute(select(entries).where(entries.c.position > start)).mappings().all()
        bodies = journal.read_bodies(connection, [row["position"] for row in found])
    facts = [
        (row["stamp"], Fact(Kind(row["kind"]), 1, row["key"], row["detail"], bodies[row["position"]]))
        for row in found
    ]
    put_back(node, first, kept)
    told = tell(node, facts, (), dropping=False)
    assert all(told[name] for name in ("form_version", "form_media", "app_user", "submission", "conflict"))
    chance = random.Random(1)
    for _ in range(8):
        other = chance.sample(facts, len(facts))
        steps = chance.sample(range(len(facts)), chance.randint(0, len(facts)))
        assert tell(node, other, steps, dropping=False) == told


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
@any_order(SOAK // 10)
def test_any_order_gives_the_same_state_in_a_thousand_schedules(slots, facts, data):
    hold(slots, facts, data)

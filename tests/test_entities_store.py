"""Entities as rows, on both databases: whatever the batches and the order, the same facts make the same rows."""

from __future__ import annotations

import random

import pytest
from entity_world import BRANCH, JOHNNY, MEGAN, OTHER, World, create, record
from sqlalchemy import delete, select, update

from server import projection
from server.node import Node
from server.store import entity_arrivals
from server.store.datasets import NO_DIGEST
from server.store.engine import reading, writing
from server.store.tables import dataset, entity, entity_write


@pytest.fixture
def world(node: Node) -> World:
    return World(node)


def busy(world: World) -> None:
    """A few entities with most of what can happen to one."""
    world.johnny()
    world.send(create(), record("o1", OTHER, branch=BRANCH, status="lost"))
    world.send(record("j1", base=1, trunk=1, branch=BRANCH, status="a", age="23"))
    world.patch(2, age="40", status="b")
    world.send(
        record("j2", base=1, status="c", label="Johnny"),
        record("j3", base=2, trunk=1, branch=BRANCH, status="d"),
    )
    world.send(
        record("j2b", base=1, status="e", edits="j2"), record("m2b", MEGAN, base=2, verb="", edits="m2")
    )
    world.send(record("m2", MEGAN, base=1, status="gone"), record("m3", MEGAN, base=2, name="Meg"))
    world.delete(MEGAN)
    world.send(record("m4", MEGAN, base=3, age="21"), record("x", "no-uuid", base=1, age="1"))


def tables(node: Node) -> dict[str, list[tuple[object, ...]]]:
    with reading(node.engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in (dataset, entity, entity_write)
        }


def test_entities_derived_again_from_the_journal_are_the_same_row_for_row(world):
    busy(world)
    before = tables(world.node)
    projection.rebuild(world.node.engine, world.node.schemas)
    assert tables(world.node) == before
    assert before["entity"]


def test_any_order_repetition_and_batching_of_the_same_facts_makes_the_same_rows(world):
    busy(world)
    before = tables(world.node)
    with reading(world.node.engine) as connection:
        facts = [dict(row) for row in connection.execute(select(entity_write)).mappings()]
    for seed in range(8):
        chance = random.Random(seed)
        with writing(world.node.engine) as connection:
            for table in (entity, entity_write):
                connection.execute(delete(table))
            connection.execute(update(dataset).values(list_digest=NO_DIGEST))
        waiting = facts + chance.sample(facts, len(facts) // 2)
        chance.shuffle(waiting)
        while waiting:
            size = chance.randint(1, 6)
            batch, waiting = waiting[:size], waiting[size:]
            with writing(world.node.engine) as connection:
                for change in entity_arrivals.changes(connection, batch):
                    change(connection)
        assert tables(world.node) == before, f"seed {seed}"


def test_an_edited_record_speaks_for_what_it_edits(world):
    world.johnny()
    world.send(record("r1", base=1, status="open", age="30"))
    world.send(record("r2", base=1, status="closed", edits="r1"))
    assert world.shown() == {"first_name": "Johnny", "age": "22", "status": "closed"}
    assert (world.version(), world.entity()["conflict"]) == (3, None)
    assert [one["superseded"] for one in world.versions()] == [False, True, False]


def test_an_edit_that_comes_before_what_it_edits_gives_the_same(world):
    world.johnny()
    world.send(record("r2", base=1, status="closed", edits="r1"))
    world.send(record("r1", base=1, status="open", age="30"))
    assert world.shown() == {"first_name": "Johnny", "age": "22", "status": "closed"}


def test_a_record_edited_to_another_case_takes_back_what_it_did_to_the_first(world):
    world.johnny()
    world.send(create(), record("r1", JOHNNY, base=1, status="moved"))
    world.send(record("r2", MEGAN, base=1, status="moved", edits="r1"))
    assert (world.shown(JOHNNY).get("status"), world.shown(MEGAN)["status"]) == ("", "moved")


def test_a_record_edited_to_create_nothing_takes_its_entity_off_the_lists(world):
    world.send(create())
    world.send(record("two-b", verb="", edits="two"))
    assert world.listed() == world.pending() == []


def test_two_edits_of_one_record_that_differ_are_a_conflict(world):
    world.johnny()
    world.send(record("r1", base=1, status="open"))
    world.send(record("r2", base=1, status="x", edits="r1"), record("r3", base=1, status="y", edits="r1"))
    assert world.entity()["conflict"] == "hard"
    assert {one["value"] for one in world.entity()["currentVersion"]["conflicts"]["status"]} == {"x", "y"}


def test_the_same_uuid_created_twice_is_one_entity_in_conflict(world):
    world.send(create("c1", name="Megan", status="new"), create("c2", name="Meghan", status="new"))
    assert world.entity(MEGAN)["conflict"] == "hard"
    assert {one["value"] for one in world.entity(MEGAN)["currentVersion"]["conflicts"]["first_name"]} == {
        "Megan",
        "Meghan",
    }
    assert world.shown(MEGAN)["first_name"] == "Meghan"


def test_what_a_record_cannot_have_is_told_and_the_record_is_taken(world):
    world.send(record("x", "no-uuid", base=1, age="1"))
    assert world.faults() == ["The entity's ID is no UUID."]


def test_a_chain_of_two_thousand_updates_is_derived_and_told(world):
    world.johnny()
    world.send(
        *(record(f"r{step}", base=step, trunk=1, branch=BRANCH, age=str(step)) for step in range(2000, 0, -1))
    )
    assert (world.version(), world.shown()["age"], world.entity()["conflict"]) == (2001, "2000", None)

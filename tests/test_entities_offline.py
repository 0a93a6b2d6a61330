"""The 41 situations of offline entities that ODK Central tests (its `offline-entities.js`), as sequences of records.

The result here is the same or strictly better; docs/entities.md lists where it differs, and why. Each test is named
for what happens here.
"""

from __future__ import annotations

import random

import pytest
from entity_world import BRANCH, JOHNNY, MEGAN, OTHER, World, create, record

from server import projection
from server.node import Node

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""What the merge decides is decided before any database is asked; test_entities_store.py runs on both."""


@pytest.fixture
def world(node: Node) -> World:
    made = World(node)
    made.johnny()
    return made


def johnny(instance: str = "one", base: int = 1, **more: str) -> bytes:
    """An offline update of Johnny in the branch that began at version 1."""
    return record(instance, base=base, **{"trunk": 1, "branch": BRANCH, "status": "arrived"} | more)


def megan(instance: str, base: int = 1, **more: str) -> bytes:
    """An offline update of Megan, whom the same tablet created offline."""
    answers = {"name": "Megan", "status": "checked in", "age": "20"} | more
    return record(instance, MEGAN, base=base, **{"branch": BRANCH, "label": "Megan (20)"} | answers)


# Branch and trunk in the record


def test_1_a_create_has_no_base_trunk_or_branch(world):
    world.send(create())
    current = world.entity(MEGAN)["currentVersion"]
    assert current["data"] == {"first_name": "Megan", "status": "new", "age": "20"}
    assert current["version"] == 1
    assert {current[name] for name in ("baseVersion", "trunkVersion", "branchId", "branchBaseVersion")} == {
        None
    }


def test_2_an_update_tells_its_branch(world):
    world.send(johnny())
    current = world.entity()["currentVersion"]
    assert current["data"] == {"first_name": "Johnny", "age": "22", "status": "arrived"}
    assert (current["version"], current["baseVersion"]) == (2, 1)
    assert (current["branchId"], current["branchBaseVersion"], current["trunkVersion"]) == (BRANCH, 1, 1)


def test_3_blank_branch_and_trunk_make_an_online_update(world):
    world.send(johnny(trunk="", branch=""))
    current = world.entity()["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchId"]) == (2, 1, None)
    assert world.shown()["status"] == "arrived"


def test_4_a_trunk_without_a_branch_is_an_update_of_that_trunk(world):
    world.send(johnny(branch=""))
    assert world.shown()["status"] == "arrived"
    assert world.entity()["conflict"] is None


# In order


def test_5_updates_of_one_branch_follow_each_other(world):
    world.send(johnny(), johnny("one-update", 2, status="departed"))
    current = world.entity()["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (3, 2, 2)
    assert world.shown() == {"first_name": "Johnny", "age": "22", "status": "departed"}
    assert world.entity()["conflict"] is None


def test_6_a_branch_joins_after_the_server_went_on(world):
    world.patch(1, label="Johnny Doe (age 22)")
    world.send(johnny(), johnny("one-update", 2, status="departed"))
    entity = world.entity()
    assert (entity["currentVersion"]["version"], entity["currentVersion"]["baseVersion"]) == (4, 3)
    assert (entity["currentVersion"]["label"], world.shown()["status"]) == ("Johnny Doe (age 22)", "departed")
    assert entity["conflict"] == "soft"


def test_7_a_branch_is_interrupted_twice(world):
    world.patch(1, label="Johnny - changed label")
    world.send(johnny())
    world.patch(3, label="Johnny Doe (age 22)")
    world.send(johnny("one-update", 2, status="departed"))
    entity = world.entity()
    assert (entity["currentVersion"]["version"], entity["currentVersion"]["baseVersion"]) == (5, 3)
    assert (entity["currentVersion"]["label"], world.shown()["status"]) == ("Johnny Doe (age 22)", "departed")
    assert entity["conflict"] == "soft"


def test_8_a_branch_begins_with_a_create(world):
    world.send(create(), megan("two-update"))
    current = world.entity(MEGAN)["currentVersion"]
    assert (current["version"], current["baseVersion"], current["trunkVersion"]) == (2, 1, None)
    assert (current["branchId"], current["branchBaseVersion"]) == (BRANCH, 1)
    assert world.shown(MEGAN)["status"] == "checked in"


def test_9_online_updates_between_offline_ones_of_other_properties_all_stay(world):
    world.send(create())
    world.patch(1, MEGAN, age="30")
    world.send(record("two-update", MEGAN, branch=BRANCH, status="arrived"))
    world.patch(3, MEGAN, age="40")
    world.send(record("two-update2", MEGAN, base=2, branch=BRANCH, status="complete"))
    current = world.entity(MEGAN)["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (5, 3, 2)
    assert world.shown(MEGAN) == {"first_name": "Megan", "age": "40", "status": "complete"}


# Out of order: what Central holds in its backlog is shown here at once, marked


def test_10_an_update_whose_predecessor_is_missing_is_shown_and_marked(world):
    world.send(johnny(base=2))
    assert world.shown()["status"] == "arrived"
    assert world.entity()["currentVersion"]["ancestorsMissing"]
    assert world.entity()["conflict"] is None


def test_11_a_gap_inside_a_branch_is_marked_and_its_values_follow_each_other(world):
    world.send(johnny(), johnny("one-update2", 3, status="departed"))
    assert (world.shown()["status"], world.entity()["conflict"]) == ("departed", None)
    assert [one["ancestorsMissing"] for one in world.versions()] == [False, False, True]


def test_12_a_trunk_that_no_server_here_gave_stands_beside_what_is_here(world):
    world.patch(1, status="here")
    world.send(johnny(base=9, trunk=9, status="weird case"))
    entity = world.entity()
    assert entity["currentVersion"]["ancestorsMissing"]
    assert entity["conflict"] == "hard"
    open_values = {one["value"] for one in entity["currentVersion"]["conflicts"]["status"]}
    assert open_values == {"here", "weird case"}


def test_13_what_came_too_early_joins_when_the_gap_closes(world):
    world.send(johnny(), johnny("one-update2", 3, status="departed"))
    world.send(johnny("one-update1", 2, status="working"))
    assert (world.version(), world.shown()["status"], world.entity()["conflict"]) == (4, "departed", None)
    assert not any(one["ancestorsMissing"] for one in world.versions())
    assert world.conflicts() == [None] * 4


def test_14_an_update_before_its_create_waits_visibly_and_joins(world):
    world.send(megan("two-update"))
    assert (world.pending(), world.listed()) == ([MEGAN], [JOHNNY])
    world.send(create())
    assert (world.pending(), world.listed()) == ([], [JOHNNY, MEGAN])
    current = world.entity(MEGAN)["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (2, 1, 1)
    assert world.shown(MEGAN) == {"first_name": "Megan", "age": "20", "status": "checked in"}
    assert world.entity(MEGAN)["conflict"] is None


def test_15_a_branch_that_comes_in_backwards_is_in_order_when_its_create_comes(world):
    world.send(megan("two-update2", 2, status="working"))
    world.send(megan("two-update"))
    assert world.pending() == [MEGAN]
    world.send(create())
    current = world.entity(MEGAN)["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (3, 2, 2)
    assert (world.shown(MEGAN)["status"], world.conflicts(MEGAN)) == ("working", [None] * 3)


def test_16_nothing_has_to_be_forced_for_an_update_to_be_seen(world):
    world.send(johnny("one-update1", 2, status="working"))
    assert world.versions()[-1]["source"]["submission"]["instanceId"] == "one-update1"
    world.send(johnny())
    assert (world.shown()["status"], world.entity()["conflict"]) == ("working", None)


def test_17_an_update_never_creates_and_the_create_joins_as_what_it_is(world):
    world.send(megan("two-update"))
    assert world.listed() == [JOHNNY]
    world.send(create())
    assert [one["source"]["submission"]["instanceId"] for one in world.versions(MEGAN)] == [
        "two",
        "two-update",
    ]
    assert world.conflicts(MEGAN) == [None, None]


def test_18_who_sent_what_waited_stays_its_author(world):
    world.send(johnny("one-update1", 2, status="working"), johnny())
    assert {one["creator"]["displayName"] for one in world.versions()[1:]} == {"Tablet 7"}


# Approval of records before they create entities: Chapar has no such setting


def test_19_deriving_everything_again_changes_nothing_of_what_waits(world):
    world.send(johnny(base=2))
    before = world.versions()
    projection.rebuild(world.node.engine, world.node.schemas)
    assert world.versions() == before
    world.send(johnny("one-update", status="waiting"))
    assert len(world.versions()) == 3
    assert world.shown()["status"] == "arrived"


def test_20_a_create_that_comes_late_for_whatever_reason_starts_its_chain(world):
    world.send(megan("two-update"))
    projection.rebuild(world.node.engine, world.node.schemas)
    world.send(create())
    assert (world.version(MEGAN), world.shown(MEGAN)["status"]) == (2, "checked in")


def test_21_an_update_whose_create_is_lost_waits_for_ever_and_stays_visible(world):
    world.send(megan("two-update"))
    projection.rebuild(world.node.engine, world.node.schemas)
    assert (world.pending(), world.listed()) == ([MEGAN], [JOHNNY])
    assert world.shown(MEGAN)["status"] == "checked in"


# What Central forces after five days


def test_22_a_missing_predecessor_keeps_nothing_back(world):
    world.send(johnny(base=2))
    current = world.entity()["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (2, 1, 2)
    assert world.shown() == {"first_name": "Johnny", "age": "22", "status": "arrived"}


def test_23_two_updates_whose_predecessor_is_missing_follow_each_other(world):
    world.send(johnny(base=2), johnny("one-update2", 3, status="departed"))
    current = world.entity()["currentVersion"]
    assert (current["version"], current["baseVersion"], current["branchBaseVersion"]) == (3, 2, 3)
    assert (world.shown()["status"], world.entity()["conflict"]) == ("departed", None)


def test_24_updates_without_a_create_are_shown_as_pending_and_make_no_nameless_entity(world):
    world.send(record("one", OTHER, base=2, branch=BRANCH, status="arrived"))
    world.send(megan("two", 2, label=""))
    assert world.listed() == [JOHNNY]
    assert sorted(world.pending()) == sorted([OTHER, MEGAN])
    assert world.shown(OTHER) == {"status": "arrived"}


def test_25_a_chain_without_its_create_grows_while_it_waits(world):
    world.send(record("one", OTHER, branch=BRANCH, status="arrived"))
    world.send(record("one-update", OTHER, base=2, branch=BRANCH, name="Dana", status="checked in"))
    assert world.shown(OTHER) == {"first_name": "Dana", "status": "checked in"}
    world.send(record("one-update10", OTHER, base=10, branch=BRANCH, name="Dana", status="registered"))
    assert (world.version(OTHER), world.shown(OTHER)["status"]) == (3, "registered")
    assert (world.pending(), world.entity(OTHER)["conflict"]) == ([OTHER], None)


def test_26_a_delayed_create_does_not_undo_the_update_that_came_before_it(world):
    world.send(record("two-update", MEGAN, branch=BRANCH, status="checked in"))
    world.send(create())
    entity = world.entity(MEGAN)
    assert world.shown(MEGAN) == {"first_name": "Megan", "age": "20", "status": "checked in"}
    assert (entity["currentVersion"]["label"], entity["conflict"]) == ("Megan (20)", None)


def test_27_a_create_without_a_label_is_taken_and_its_lack_told(world):
    world.send(record("two-update", MEGAN, branch=BRANCH, status="checked in"))
    world.send(record("two", MEGAN, verb="create", base="", name="Megan", status="new"))
    assert world.shown(MEGAN) == {"first_name": "Megan", "status": "checked in"}
    assert world.entity(MEGAN)["currentVersion"]["label"] == "people 12345678"
    assert world.faults() == ["The new entity has no label."]


def test_28_time_passing_changes_nothing(world, monkeypatch):
    world.send(johnny(base=2))
    monkeypatch.setattr("server.store.journal.time.time_ns", lambda: 4_000_000_000_000_000_000)
    world.send(johnny("one-update", 3, status="departed"))
    assert (world.version(), world.shown()["status"], world.entity()["conflict"]) == (3, "departed", None)


@pytest.mark.parametrize("number", [29, 30])
def test_29_and_30_what_was_received_counts_whatever_becomes_of_its_form_or_record(world, number):
    world.send(johnny(base=2))
    assert (world.version(), world.shown()["status"]) == (2, "arrived")


def test_31_an_update_of_a_deleted_entity_brings_it_back_flagged(world):
    world.send(johnny(base=2))
    world.delete()
    assert world.listed() == []
    world.send(johnny("one-update", 3, status="departed"))
    assert (world.listed(), world.entity()["conflict"]) == ([JOHNNY], "hard")
    world.delete()
    assert world.listed() == []


# Conflict marks


def test_32_an_interrupted_branch_is_soft_and_the_same_property_hard(world):
    world.patch(1, age="24")
    world.send(johnny(), record("one-update2", base=2, trunk=1, branch=BRANCH, age="26"))
    assert world.conflicts() == [None, None, "soft", "hard"]
    assert world.versions()[-1]["conflictingProperties"] == ["age"]
    assert world.entity()["conflict"] == "hard"
    assert {one["value"] for one in world.entity()["currentVersion"]["conflicts"]["age"]} == {"24", "26"}


def test_33_one_tablet_alone_makes_no_conflict_in_whatever_order_it_sends(world):
    world.send(johnny("one-update2", 2, status="checked in"), johnny())
    world.send(johnny("one-update4", 4, status="departed"))
    assert (world.conflicts(), world.entity()["conflict"]) == ([None] * 4, None)
    assert world.shown()["status"] == "departed"


def test_34_what_was_settled_stays_settled_and_a_later_clash_is_marked_anew(world):
    world.patch(1, age="24")
    world.send(johnny())
    assert world.entity()["conflict"] == "soft"
    world.patch(3, resolve=True)
    assert world.entity()["conflict"] is None
    world.send(record("one-update2", base=2, trunk=1, branch=BRANCH, age="26"))
    assert world.conflicts() == [None, None, "soft", "hard"]
    assert [one["resolved"] for one in world.versions()] == [False, False, True, False]
    assert world.entity()["conflict"] == "hard"


def test_35_answers_sent_again_unchanged_take_nothing_back(world):
    world.send(create())
    world.patch(1, MEGAN, age="24")
    world.send(megan("two-update1", status="arrived"))
    assert world.shown(MEGAN) == {"first_name": "Megan", "age": "24", "status": "arrived"}
    assert world.entity(MEGAN)["conflict"] == "soft"
    world.patch(3, MEGAN, resolve=True)
    world.send(megan("two-update2", 2, status="arrived", age="27"))
    assert world.conflicts(MEGAN) == [None, None, "soft", "hard"]
    assert {one["value"] for one in world.entity(MEGAN)["currentVersion"]["conflicts"]["age"]} == {"24", "27"}


def test_36_a_branch_after_its_own_create_is_no_interruption(world):
    world.send(create(), megan("two-update", status="arrived", age="27"))
    assert (world.conflicts(MEGAN), world.entity(MEGAN)["conflict"]) == ([None, None], None)


@pytest.mark.parametrize("answers", [{"age": "22", "label": ""}, {}], ids=["37", "38"])
def test_37_and_38_a_delayed_create_conflicts_with_nothing_that_followed_it(world, answers):
    world.send(megan("two-update1", **answers))
    world.send(create())
    assert (world.conflicts(MEGAN), world.entity(MEGAN)["conflict"]) == ([None, None], None)
    assert world.shown(MEGAN) == {
        "first_name": "Megan",
        "age": answers.get("age", "20"),
        "status": "checked in",
    }


# Races and leftovers


def test_39_create_and_update_in_any_order_and_batching_end_alike(world):
    chance = random.Random(39)
    for number in range(20):
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        pair = [create(f"c{number}", uuid), record(f"u{number}", uuid, branch=BRANCH, status="checked in")]
        world.send(*chance.sample(pair, 2))
        assert (world.version(uuid), world.shown(uuid)["status"]) == (2, "checked in")
    assert (len(world.listed()), world.pending()) == (21, [])


def test_40_two_updates_followed_by_their_create(world):
    world.send(megan("two-update2", 2, status="working"), megan("two-update1"), create())
    assert (world.version(MEGAN), world.shown(MEGAN)["status"]) == (3, "working")
    assert world.entity(MEGAN)["conflict"] is None


def test_41_a_person_cannot_change_what_is_not_created_yet_and_the_create_joins(world):
    world.send(megan("two-update1"))
    with pytest.raises(Exception, match="waits for the record"):
        world.patch(1, MEGAN, age="24")
    world.send(create())
    world.patch(2, MEGAN, age="24")
    assert world.shown(MEGAN) == {"first_name": "Megan", "age": "24", "status": "checked in"}
    assert world.entity(MEGAN)["conflict"] is None

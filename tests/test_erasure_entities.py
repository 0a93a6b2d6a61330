"""What an erased record wrote into entity lists goes with it; what others wrote stays."""

import pytest
from conftest import Live
from entity_world import MEGAN, World, create, record
from people import People

from server import projection
from server.permissions import Role
from server.problems import Problem


def erase(live: Live, name: str) -> None:
    people = People(live, "people")
    done = people.post(
        f"submissions/{name}/erase", role=Role.ADMINISTRATOR, reason="person_asked", confirm=name
    )
    assert done.is_success


def test_an_entity_that_only_the_erased_record_wrote_is_gone_for_good(live):
    world = World(live.node)
    world.send(create("two"))
    assert world.shown(MEGAN)["first_name"] == "Megan"
    erase(live, "two")
    with pytest.raises(Problem):
        world.entity(MEGAN)
    world.send(create("two"))
    projection.rebuild(live.node.engine, live.node.schemas)
    with pytest.raises(Problem):
        world.entity(MEGAN)


def test_what_another_record_wrote_into_the_entity_stays(live):
    world = World(live.node)
    world.send(create("two"), record("three", MEGAN, base=1, status="met"))
    assert world.shown(MEGAN)["status"] == "met"
    erase(live, "three")
    assert world.shown(MEGAN)["status"] == "new"
    assert world.version(MEGAN) == 1

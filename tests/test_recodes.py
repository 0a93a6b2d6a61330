"""Recodes: changes that are kept and made again to what arrives later, once for each answer."""

from __future__ import annotations

import pytest
from conftest import Live, household, send, state_of
from people import People
from test_cleaning import answers
from typer.testing import CliRunner

from server import projection
from server.cli import app
from server.permissions import Role

SPELLINGS = {
    "field": "needs/water",
    "kind": "add_option",
    "source": "head",
    "values": {"آب آشاميدني": "water"},
}


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


def run(people: People, name: str) -> int:
    return people.post("cleaning/recodes/run").json()[name]["entered"]


def put(people: People, name: str, role: Role = Role.COORDINATOR, **edit: object) -> int:
    return people._ask("PUT", f"cleaning/recodes/{name}", edit, role).status_code


def test_a_recode_is_made_again_to_what_comes_later_and_never_twice_to_one_answer(live, people):
    send(live, household("uuid:1", "3000"))
    grams = {"where": "${size} >= 1000", "field": "size", "formula": "${size} div 1000", "reason": "in grams"}
    assert put(people, "kilos", **grams) == 200
    assert (run(people, "kilos"), run(people, "kilos")) == (1, 0)
    send(live, household("uuid:2", "5000"))
    assert run(people, "kilos") == 1
    assert [answers(live, name)["size"] for name in ("uuid:1", "uuid:2")] == ["3", "5"]
    (first, _) = people.get("cleaning").json()["entries"]
    assert (first["checkId"], first["actor"]["displayName"]) == ("recode:kilos", "coordinator@example.org")
    people.post("cleaning/undo", ids=[first["id"]])
    assert (run(people, "kilos"), answers(live)["size"]) == (0, "3000")
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_written_under_other_becomes_a_choice_however_it_is_spelt(live, people):
    send(live, household("uuid:1", extra="<head> آب  آشامیدنی</head><needs>food</needs>"))
    send(live, household("uuid:2", extra="<head>نان</head>"))
    assert put(people, "water", Role.ADMINISTRATOR, **SPELLINGS) == 200
    assert run(people, "water") == 1
    assert answers(live)["needs"] == "food water"
    listed = [people.get("cleaning/recodes", role).json()[0]["edit"] for role in Role]
    assert listed[0]["values"] == SPELLINGS["values"]
    assert listed[1] is None


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_recode_that_cannot_be_read_is_not_kept_and_one_given_up_is_not_made(live, people):
    assert put(people, "broken", where="${sise} > 1", field="size", new="1") == 400
    assert put(people, "one", where="${size} = 5", field="size", new="1") == 200
    assert people.delete("cleaning/recodes/one").status_code == 200
    assert people.delete("cleaning/recodes/one").status_code == 404
    send(live, household())
    assert people.post("cleaning/recodes/run").json() == {}


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_commands_keep_and_make_recodes(live, people, tmp_path):
    send(live, household(extra="<consent>no</consent>"))
    live.node.catch_up()
    values = tmp_path / "values.csv"
    values.write_text("No,yes\n")

    def command(*words: str) -> str:
        done = CliRunner().invoke(app, ["cleaning", *words, "--data", str(live.node.settings.data)])
        assert done.exit_code == 0, done.output
        return done.output

    command("recode", "household", "turned", "--field", "consent", "--values", str(values))
    assert "turned: 1 entered" in command("recodes", "household", "--run")
    assert answers(live)["consent"] == "yes"
    assert "No recode" in command("recodes", "household", "--give-up", "turned")

"""Recodes: changes that are kept and made again to what arrives later, once for each answer."""

from __future__ import annotations

import pytest
from conftest import Live, household, send, state_of, wait_for
from people import People
from relaying import bring_in_step, collect, give, new_node, up
from test_cleaning import answers, cleaned
from test_relay_sessions import centre, post
from typer.testing import CliRunner

from server import projection, recoding
from server.cleaning.bulk_edit import Edit
from server.cli import app
from server.permissions import OPERATOR, Role
from server.store.cleaning import list_entries
from server.store.engine import reading
from sync.cleaning import EntryKind

__all__ = ["centre", "new_node", "post"]

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


def size(live: Live, name: str) -> str:
    """What the log makes of it, "" while it says nothing of the record."""
    done = cleaned(live, name)
    return str(done.answers["size"]) if done else ""


def put(people: People, name: str, role: Role = Role.COORDINATOR, **edit: object) -> int:
    return people._ask("PUT", f"cleaning/recodes/{name}", edit, role).status_code


def test_a_recode_is_made_again_to_what_comes_later_and_never_twice_to_one_answer(live, people):
    send(live, household("uuid:1", "3000"))
    grams = {"where": "${size} >= 1000", "field": "size", "formula": "${size} div 1000", "reason": "in grams"}
    assert put(people, "kilos", **grams) == 200
    assert (run(people, "kilos"), run(people, "kilos")) == (1, 0)
    send(live, household("uuid:2", "5000"))
    wait_for(lambda: size(live, "uuid:2") == "5")
    assert [run(people, "kilos"), answers(live)["size"]] == [0, "3"]
    (first, second) = people.get("cleaning").json()["entries"]
    for one in (first, second):
        assert (one["checkId"], one["actor"]["displayName"]) == ("recode:kilos", "coordinator@example.org")
        people.post("cleaning/undo", ids=[one["id"]])
    send(live, household("uuid:3", "7000"))
    wait_for(lambda: size(live, "uuid:3") == "7")
    assert [run(people, "kilos"), *(answers(live, name)["size"] for name in ("uuid:1", "uuid:2"))] == [
        0,
        "3000",
        "5000",
    ]
    states = []
    for _ in range(2):
        states.append({name: rows for name, rows in state_of(live.node).items() if name != "cursor"})
        projection.rebuild(live.node.engine, live.node.schemas)
    assert states[0] == states[1]


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


@pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
def test_a_recode_of_the_centre_is_made_at_the_post_and_stands_in_the_log_once(centre, post):
    edit = Edit("${size} >= 1000", EntryKind.CHANGE, "size", formula="${size} div 1000")
    household_form = (1, "household")
    recoding.keep(centre, OPERATOR, household_form, "kilos", edit, personal=True)
    bring_in_step((post, centre))
    post.catch_up()
    collect(post, "uuid:1", size="3000")
    post.catch_up()
    give(post, centre, up(post)(centre))  # the centre gets the record before anything is said of it
    centre.catch_up()
    for node in (post, centre):
        while recoding.follow(node):
            pass
    bring_in_step((post, centre))
    for node in (post, centre):
        node.catch_up()
        with reading(node.engine) as connection:
            assert [one.new for one in list_entries(connection, household_form)] == ["3"]

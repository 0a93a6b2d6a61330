"""The sheet `checks`: what it may say, what is found in records as they arrive, and how findings are decided."""

from __future__ import annotations

import re
from typing import Any

import pytest
from conftest import HOUSEHOLD, Live, household, send, state_of
from people import People
from typer.testing import CliRunner

from forms.compile import compile_form
from forms.errors import FormError
from server import projection
from server.cli import app
from server.permissions import Role
from server.publishing import publish

CHECKS = """
| checks   |          |                   |                                  |                  |
|          | check_id | description       | check_to_perform                 | columns_to_clean |
|          | big      | A large household | ${size} > 10 and ${consent} = 'yes' | size, consent |
|          | old      | Over 110 years    | ${m_age} > 110                   | ${m_age}         |
"""
SHEET = HOUSEHOLD + CHECKS
MEMBERS = "".join(f"<member><m_age>{age}</m_age></member>" for age in (30, 300, 4))
SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def version(number: int, sheet: str = SHEET) -> bytes:
    return sheet.replace("| household| 1 ", f"| household| {number} ").encode()


@pytest.fixture
def people(live: Live) -> People:
    publish(live.node, 1, version(2), "household.md", {})
    return People(live)


def found(people: People, role: Role = Role.COORDINATOR, query: str = "") -> list[dict[str, Any]]:
    return people.get(f"cleaning/checks?{query}", role).json()["findings"]


def places(people: People) -> list[tuple[str, str, str]]:
    return [(one["instanceId"], one["checkId"], one["cell"]) for one in found(people)]


def faults(sheet: str) -> list[tuple[int | None, str]]:
    with pytest.raises(FormError) as error:
        compile_form(sheet.encode(), "household.md")
    return [(one.row, one.column) for one in error.value.faults]


def test_checks_are_part_of_the_form_but_not_of_what_tablets_get():
    form = compile_form(SHEET.encode(), "household.md")
    assert [one.id for one in form.schema.checks] == ["big", "old"]
    assert form.schema.checks[1].columns == ("m_age",)
    assert b"110" not in form.xform


def test_a_sheet_of_that_name_without_our_columns_is_somebodys_notes():
    notes = "\n| checks |      |\n|        | todo |\n|        | call |\n"
    assert compile_form((HOUSEHOLD + notes).encode(), "household.md").schema.checks == ()


@pytest.mark.parametrize(
    ("was", "now", "column"),
    [
        ("${size} > 10", "${sise} > 10", "check_to_perform"),
        ("${m_age} > 110", "${m_age} >  ", "check_to_perform"),
        ("size, consent", "size, sise", "columns_to_clean"),
        ("| old ", "| big ", "check_id"),
    ],
)
def test_what_is_wrong_in_a_check_is_told_with_its_place(was, now, column):
    assert {one for _, one in faults(SHEET.replace(was, now))} == {column}


def test_findings_follow_a_record_and_say_which_row(live, people):
    send(live, household("uuid:1", "11", extra="<consent>yes</consent>" + MEMBERS, version="2"))
    send(live, household("uuid:2", "11", version="2"))
    assert places(people) == [("uuid:1", "big", ""), ("uuid:1", "old", "/member[@2]")]
    answers = {one["checkId"]: one["answers"] for one in found(people)}
    assert answers == {"big": {"/size": "11", "/consent": "yes"}, "old": {"/member[@2]/m_age": "300"}}
    send(live, household("uuid:3", "4", deprecated_id="uuid:1", version="2"))
    assert places(people) == []
    send(live, household("uuid:4", "12", extra="<consent>yes</consent>", deprecated_id="uuid:2", version="2"))
    assert places(people) == [("uuid:2", "big", "")]
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before
    people.delete("submissions/uuid:2")
    assert places(people) == []


@SQLITE
def test_a_new_check_is_asked_of_what_came_before_it(live, people):
    send(live, household("uuid:1", "8", extra="<consent>yes</consent>"))
    assert places(people) == []
    publish(live.node, 1, version(3, SHEET.replace("> 10", "> 7")), "household.md", {})
    assert places(people) == [("uuid:1", "big", "")]
    publish(live.node, 1, version(4, HOUSEHOLD), "household.md", {})
    assert places(people) == []


@SQLITE
def test_a_finding_is_decided_by_the_log_and_open_again_when_that_is_taken_back(live, people):
    send(live, household("uuid:1", "11", extra="<consent>yes</consent>", version="2"))
    line = {"instanceId": "uuid:1", "kind": "no_action", "field": "size", "checkId": "big"}
    batch = people.post("cleaning", entries=[line]).json()["batch"]
    assert [one["state"] for one in found(people)] == ["decided"]
    people.post("cleaning/undo", batch=batch)
    assert [one["state"] for one in found(people)] == ["open"]


@SQLITE
def test_findings_come_in_pages_by_check_and_without_what_few_may_see(live, people):
    named = SHEET.replace("${size} > 10 and ${consent} = 'yes'", "${head} = 'x'").replace(
        "size, consent", "head"
    )
    publish(live.node, 1, version(3, named), "household.md", {})
    for number in range(3):
        send(live, household(f"uuid:{number}", extra="<head>x</head>", version="3"))
    first, second, third = found(people)
    assert found(people, query=f"limit=1&after={first['position']}") == [second]
    assert found(people, query="checkId=old") == []
    assert third["answers"] == {"/head": None}
    assert found(people, Role.ADMINISTRATOR)[2]["answers"] == {"/head": "x"}
    assert people.get("cleaning/checks?after=x").status_code == 400
    said = CliRunner().invoke(
        app, ["cleaning", "checks", "household", "--data", str(live.node.settings.data)]
    )
    assert re.search(r"big: 3 .*\n(.*\n)*open +big +uuid:0 +/head=\(hidden\)", said.output)

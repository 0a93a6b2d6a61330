"""Slots that were planned against those with a record: a gap is not zero."""

from __future__ import annotations

from datetime import date

import pytest
from conftest import Live, household, send, state_of
from people import People
from typer.testing import CliRunner
from workbooks import book

from server import projection, slots
from server.cli import app
from server.permissions import OPERATOR, Role
from server.problems import Problem
from server.publishing import publish
from sync.slots import Coverage, Planned, coverage

FLOWS = """
| survey   |               |            |          |
|          | type          | name       | label    |
|          | begin_group   | hdr        | Header   |
|          | text          | crossing   | Crossing |
|          | date          | shift_date | Date     |
|          | end_group     |            |          |
|          | time          | begins     | Begins   |
| settings |               |            |          |
|          | form_title    | form_id    | version  |
|          | Flows         | flows      | 1        |
"""
FORM = (1, "flows")
PLAN = "crossing,shift_date,begins,weekdays\nMIL,2026-11-02/2026-11-08,08:00,sun mon\nMIL,2026-11-02,12:30,\nDOG,2026-11-03,08:00,\n"


def test_a_plan_is_held_against_what_was_counted_day_by_day():
    first, last = date(2026, 11, 2), date(2026, 11, 4)
    plan = [Planned(("M", slot), first, date(2026, 11, 30), frozenset({0, 1})) for slot in "ab"]
    counted = {first: {("M", "a"), ("M", "z"), ("D", "b")}, last: {("M", "a")}}
    assert coverage(plan, counted, last) == [
        Coverage(first, "M", 2, (("b",),), 1),
        Coverage(date(2026, 11, 3), "M", 2, (("a",), ("b",)), 0),
    ]


@pytest.fixture
def people(live: Live) -> People:
    publish(live.node, 1, FLOWS.encode(), "flows.md", {})
    return People(live, "flows")


def count(live: Live, name: str, day: str, begins: str, crossing: str = "MIL") -> None:
    extra = (
        f"<hdr><crossing>{crossing}</crossing><shift_date>{day}</shift_date></hdr><begins>{begins}</begins>"
    )
    xml = household(name, extra=extra, form_id="flows").replace(b"<size>5</size>", b"")
    assert send(live, xml).status_code == 201


def test_gaps_are_told_by_crossing_and_day(live, people, tmp_path):
    path = tmp_path / "plan.csv"
    path.write_text(PLAN)

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--data", str(live.node.settings.data)])
        assert done.exit_code == 0, done.output
        return done.output

    if live.node.settings.database_url:
        slots.keep_plan(live.node, OPERATOR, FORM, path.read_bytes(), "csv")
    else:
        assert "3 rows" in run("cleaning", "plan", "flows", str(path))
    count(live, "uuid:1", "2026-11-02", "08:00:00.000+04:30")
    count(live, "uuid:2", "2026-11-08", "08:00")
    count(live, "uuid:3", "2026-11-02", "09:00")
    found = people.get("cleaning/slots?until=2026-11-09").json()
    assert (found["planned"], found["gaps"], found["unplanned"]) == (4, 2, 1)
    gaps = [(one["day"], one["place"], one["counted"], one["gaps"]) for one in found["days"]]
    assert gaps == [
        ("2026-11-02", "MIL", 1, [["12:30"]]),
        ("2026-11-03", "DOG", 0, [["08:00"]]),
        ("2026-11-08", "MIL", 1, []),
    ]
    people.post("cleaning", entries=[{"instanceId": "uuid:2", "kind": "remove_record", "reason": "a test"}])
    assert people.get("cleaning/slots?until=2026-11-09").json()["gaps"] == 3
    assert [
        len(people.get(f"cleaning/slots?until={day}").json()["days"]) for day in ("2026-11-02", "9999-12-31")
    ] == [1, 3]
    if not live.node.settings.database_url:
        assert "2026-11-03  DOG: 0 of 1; missing 08:00" in run(
            "cleaning", "slots", "flows", "--until", "2026-11-09"
        )
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_plan_that_cannot_be_read_is_refused_row_by_row_and_a_workbook_is_read(live, people):
    assert people.get("cleaning/slots").status_code == 404
    bad = "crossing,shift_date,begins\nMIL,2026-11-31,08:00\nMIL,2026-11-02,8 am\n,2026-11-02,08:00\n"
    with pytest.raises(Problem) as caught:
        slots.keep_plan(live.node, OPERATOR, FORM, bad.encode(), "csv")
    assert [text.partition(":")[0] for text in caught.value.extra["faults"]] == ["Row 2", "Row 3", "Row 4"]
    for header in ("crossing,begins", "shift_date", "crossing,shift_date,ends"):
        with pytest.raises(Problem):
            slots.keep_plan(live.node, OPERATOR, FORM, f"{header}\nMIL,2026-11-02,x\n".encode(), "csv")
    workbook = book(plan=[["crossing", "shift_date"], ["MIL", "2026-11-02"], ["DOG", "2026-11-02"]])
    answer = live.client.put(
        f"{live.url}/v1/projects/1/forms/flows/cleaning/slots",
        content=workbook,
        headers=people.headers[Role.COORDINATOR],
    )
    assert answer.json() == {"rows": 2}
    quality = people.get("cleaning/quality").json()
    assert (quality["slots"]["planned"], quality["slots"]["gaps"]) == (2, 2)

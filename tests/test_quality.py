"""What stands out among the records of a form, and the work of those who took them."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from conftest import Live, household, send
from people import People
from typer.testing import CliRunner

from server import measuring
from server.cli import app
from server.measuring import measured
from server.publishing import publish
from server.store.engine import reading
from sync.audit import active_minutes
from sync.quality import FEW, Measured, enumerators, standouts

USUAL = Measured("", "a", minutes=30, ahead_min=-5, asked=10, answered=10)
SHEET = """
| survey   |                                    |          |          |
|          | type                               | name     | label    |
|          | start                              | start    |          |
|          | end                                | end      |          |
|          | select_one yn                      | consent  | Consent  |
|          | select_one_from_file crossings.csv | crossing | Crossing |
|          | geopoint                           | place    | Place    |
|          | integer                            | size     | Size     |
|          | select_one yn                      | q1       | Q1       |
|          | select_one yn                      | q2       | Q2       |
|          | select_one yn                      | q3       | Q3       |
|          | select_one yn                      | q4       | Q4       |
|          | select_one yn                      | q5       | Q5       |
| choices  |           |       |       |
|          | list_name | name  | label |
|          | yn        | yes   | Yes   |
|          | yn        | no    | No    |
|          | yn        | dk    | ?     |
| settings |            |         |         |
|          | form_title | form_id | version |
|          | Talk       | talk    | 1       |
"""
CROSSINGS = b"name,label,lat,lon\nA,A,34.66,60.96\nB,B,30.98,61.81\n"


def crowd(*odd: Measured) -> list[Measured]:
    usual = [
        replace(
            USUAL, id=str(n), minutes=25 + n % 10, numbers={"/size": 3 + n % 5, f"/m[{n}]/age": 20 + n % 9}
        )
        for n in range(FEW)
    ]
    return [*usual, *odd]


def told(*odd: Measured) -> list[tuple[str, str, str]]:
    return [(one.id, one.check_id, one.cell) for one in standouts(crowd(*odd))]


def test_usual_records_do_not_stand_out():
    assert told() == []


@pytest.mark.parametrize(
    ("odd", "check_id", "cell"),
    [
        (replace(USUAL, minutes=5), "short", ""),
        (replace(USUAL, minutes=200), "long", ""),
        (replace(USUAL, minutes=-1), "times-reversed", ""),
        (replace(USUAL, ahead_min=90), "clock-ahead", ""),
        (replace(USUAL, answered=5), "missing", ""),
        (replace(USUAL, unknown=4), "dont-know", ""),
        (replace(USUAL, alike=("/a", "/b", "/c", "/d", "/e")), "straight-line", "/a"),
        (replace(USUAL, apart_km=("/place", 30.0)), "far-away", "/place"),
        (replace(USUAL, numbers={"/size": 5000}), "outlier", "/size"),
        (replace(USUAL, numbers={"/m[1]/age": 2000}), "outlier", "/m[1]/age"),
    ],
)
def test_a_record_that_differs_is_told_with_where_and_how_much(odd, check_id, cell):
    assert told(replace(odd, id="odd")) == [("odd", check_id, cell)]


def test_a_refusal_is_not_missing():
    assert told(replace(USUAL, id="no", asked=10, answered=1, refused=True)) == []


def test_one_huge_mistake_hides_no_other():
    mistakes = (replace(USUAL, id=str(size), numbers={"/size": size}) for size in (10**9, 5000))
    assert [name for name, *_ in told(*mistakes)] == [str(10**9), "5000"]


def test_few_records_are_not_compared():
    assert (
        standouts([replace(USUAL, id="1"), replace(USUAL, id="2", minutes=1, numbers={"/size": 900})]) == []
    )


def test_who_works_otherwise_than_all_is_told():
    quick = [replace(USUAL, who="b", minutes=10, unknown=3) for _ in range(FEW)]
    by_who = {one.who: one for one in enumerators([*crowd(), *crowd(), *quick])}
    assert (by_who["a"].drifts, by_who["b"].drifts) == ((), ("faster", "more don't-knows"))
    assert (by_who["b"].records, by_who["b"].minutes, by_who["b"].unknown) == (FEW, 10, 0.3)


AUDIT = "event,node,start,end\nform start,,0,\nquestion,/data/q1,{0},{1}\nquestion,/data/q2,{1},{2}\nend screen,,{1},{2}\nform exit,,{2},\n"


def test_an_audit_log_tells_how_long_questions_were_open_and_nothing_when_it_cannot_be_read():
    log = AUDIT.format(60_000, 120_000, 180_000) + "question,/data/q3,3600000,3660000\nquestion,,9,5\n"
    assert active_minutes("\ufeff" + log) == 3
    for unread in ("", "event,node\nquestion,/a\n", "event,node,start,end\nform start,,5,\n", "\x00\x00"):
        assert active_minutes(unread) is None


def test_who_was_at_the_questions_for_a_moment_only_is_told_by_the_audit_log():
    timed = [replace(one, active_min=12.0) for one in crowd()]
    odd = [replace(USUAL, id=name, active_min=minutes) for name, minutes in (("quick", 2.0), ("slow", 50.0))]
    found = [(one.id, one.check_id, one.usual) for one in standouts([*timed, *odd])]
    assert found == [("quick", "active-short", 12), ("slow", "active-long", 12)]
    assert standouts([*crowd(), *odd]) == []
    quick = [replace(USUAL, who="b", active_min=2.0) for _ in range(FEW)]
    by_who = {one.who: one for one in enumerators([*timed, *timed, *quick])}
    assert (by_who["b"].drifts, by_who["b"].active_min) == (("faster",), 2)


AUDITED = SHEET.replace(
    "| start                              | start    |",
    "| audit                              | audit    |",
    1,
)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_audit_logs_are_read_when_asked(live: Live):
    publish(live.node, 1, AUDITED.encode(), "talk.md", {"crossings.csv": CROSSINGS})
    xml = household("uuid:1", form_id="talk").replace(
        b"</instanceID>", b"</instanceID><audit>audit.csv</audit>"
    )
    log = AUDIT.format(60_000, 120_000, 180_000).encode()
    for instance_id, files in ((b"uuid:1", {"audit.csv": log}), (b"uuid:2", {})):
        assert send(live, xml.replace(b"uuid:1", instance_id), files).status_code == 201
    people = People(live, "talk")
    minutes = [
        people.get(f"cleaning/quality?audits={asked}").json()["enumerators"][0]["active_min"]
        for asked in ("false", "true")
    ]
    assert minutes == [None, 2]
    words = ["cleaning", "quality", "talk", "--audits", "--data", str(live.node.settings.data)]
    assert "(2.0 active)" in CliRunner().invoke(app, words).output


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_audit_logs_are_fetched_several_at_once(live: Live, monkeypatch: pytest.MonkeyPatch):
    publish(live.node, 1, AUDITED.encode(), "talk.md", {"crossings.csv": CROSSINGS})
    for name in ("uuid:1", "uuid:2"):
        xml = household(name, form_id="talk").replace(
            b"</instanceID>", b"</instanceID><audit>audit.csv</audit>"
        )
        assert send(live, xml, {"audit.csv": name.encode()}).status_code == 201
    live.node.catch_up()
    met = threading.Barrier(2)

    def wait_for_the_other(_: str) -> float:
        met.wait(60)
        return 2

    monkeypatch.setattr(measuring, "active_minutes", wait_for_the_other)
    with reading(live.node.engine) as connection:
        found = list(measured(connection, live.node, (1, "talk"), personal=True, audits=True))
    assert [one.active_min for one in found] == [2, 2]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_records_are_measured_in_the_clean_view_and_decided_by_the_log(live: Live):
    publish(live.node, 1, SHEET.encode(), "talk.md", {"crossings.csv": CROSSINGS})
    answers = (
        "<start>2026-11-01T10:00:00.000+03:30</start><end>2099-11-01T09:00:00.000+03:30</end>"
        "<consent>dk</consent><crossing>A</crossing><place>30.98 61.81 0 5</place><size>4</size>"
        + "".join(f"<q{number}>dk</q{number}>" for number in range(1, 6))
    )
    send(live, household("uuid:1", extra=answers, form_id="talk").replace(b"<size>5</size>", b"", 1))
    people = People(live, "talk")
    found = people.get("cleaning/quality").json()
    odd = {one["checkId"]: (one["cell"], one["figure"], one["state"]) for one in found["standouts"]}
    assert odd.keys() == {"clock-ahead", "dont-know", "straight-line", "far-away"}
    assert odd["far-away"][:2] == ("/place", pytest.approx(417, abs=5))
    entry = {"instanceId": "uuid:1", "kind": "no_action", "checkId": "far-away"}
    people.post("cleaning", entries=[entry, {"instanceId": "uuid:1", "kind": "blank", "field": "q1"}])
    after = {one["checkId"]: one["state"] for one in people.get("cleaning/quality").json()["standouts"]}
    assert after["far-away"] == "decided"
    assert (after["clock-ahead"], found["enumerators"][0]["records"]) == ("open", 1)
    words = ["cleaning", "quality", "talk", "--data", str(live.node.settings.data)]
    assert "far-away" in CliRunner().invoke(app, words).output

"""The cleaning log over the API: entering, reading, many records at once, taking back, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import HOUSEHOLD, Live, household, send, state_of
from people import People

from server import erasing, projection
from server.cleaning.records import Cleaned, open_cleaner
from server.permissions import OPERATOR, Role
from server.publishing import Consent, publish
from server.store import journal, submissions
from server.store.engine import reading
from sync.erasure import Reason

FORM = (1, "household")
SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what says nothing of the database."""
MEMBERS = "<head>Gulnar</head><needs>food</needs><member><m_name>A</m_name><m_age>30</m_age></member>"


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


def cleaned(live: Live, name: str = "uuid:1", up_to: int | None = None) -> Cleaned | None:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        end = journal.head_position(connection) if up_to is None else up_to
        cleaner = open_cleaner(connection, live.node.schemas, FORM, end)
        one = submissions.find_submission(connection, *FORM, name)
        assert one is not None
        return cleaner.clean(connection, [one]).get(one.instance_id)


def answers(live: Live, name: str = "uuid:1") -> dict[str, Any]:
    done = cleaned(live, name)
    assert done is not None
    return done.answers


def change(people: People, *lines: dict[str, Any], role: Role = Role.COORDINATOR, **options: Any) -> Any:
    entries = [{"instanceId": "uuid:1", "kind": "change"} | line for line in lines]
    return people.post("cleaning", role, entries=entries, **options)


def log(people: People, query: str = "", role: Role = Role.COORDINATOR) -> list[dict[str, Any]]:
    return people.get(f"cleaning?{query}", role).json()["entries"]


def fault_codes(answer: Any) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (400, 400.33)
    return [one["code"] for one in answer.json()["details"]["faults"]]


def test_a_change_is_logged_with_who_and_why_and_the_received_answer_stays(live, people):
    send(live, household())
    line = {"field": "size", "new": "6", "old": "5", "reason": "called back", "checkId": "big"}
    assert change(people, line).json()["entered"] == 1
    (one,) = log(people)
    assert (one["old"], one["new"], one["reason"], one["checkId"]) == ("5", "6", "called back", "big")
    assert (one["cell"], one["status"]) == ("/size", "applied")
    assert one["actor"]["displayName"] == "coordinator@example.org"
    assert answers(live)["size"] == "6"
    assert b"<size>5</size>" in people.get("submissions/uuid:1.xml", Role.ADMINISTRATOR).content


@SQLITE
def test_what_is_so_already_is_not_entered_again(live, people):
    send(live, household())
    change(people, {"field": "size", "new": "6"})
    again = change(people, {"field": "/size", "new": " 06"}).json()
    assert (again["entered"], again["unchanged"]) == (0, [0])


@SQLITE
def test_a_line_that_is_wrong_stops_all_unless_the_rest_is_asked_for(live, people):
    send(live, household(extra=MEMBERS))
    lines = [
        {"instanceId": "uuid:none", "field": "size", "new": "6"},
        {"field": "size", "new": "6", "old": "9"},
        {"field": "sise", "new": "6"},
        {"field": "size", "new": "many"},
        {"field": "consent", "new": "perhaps"},
        {"field": "needs", "new": "food shoes"},
        {"field": "m_age", "new": "3"},
        {"field": "m_age", "row": "2", "new": "3"},
        {"field": "meta/instanceID", "new": "x"},
        {"field": "size", "new": "7"},
        {"field": "size", "new": "8"},
    ]
    codes = [
        "unknown-record",
        "other-old-value",
        "unknown-question",
        "wrong-type",
        "unknown-choice",
        "unknown-choice",
        *["unknown-question"] * 3,
        "contradiction",
    ]
    assert fault_codes(change(people, *lines)) == codes
    assert log(people) == []
    answer = change(people, *lines, partial=True).json()
    assert (answer["entered"], len(answer["faults"])) == (1, len(codes))
    assert answers(live)["size"] == "7"


@SQLITE
def test_rows_and_choices_are_named_as_in_an_export(live, people):
    send(live, household(extra=MEMBERS))
    change(
        people,
        {"field": "m_age", "row": "uuid:1/member[1]", "new": "31"},
        {"field": "needs/water", "new": "1"},
        {"field": "needs.food", "new": "FALSE"},
    )
    done = answers(live)
    assert (done["member"][0]["m_age"], done["needs"]) == ("31", "water")
    change(people, {"kind": "remove_row", "row": "uuid:1/member[1]"})
    assert answers(live)["member"] == []


def test_a_batch_is_undone_as_a_whole_and_the_undoing_too(live, people):
    for number in "12":
        send(live, household(f"uuid:{number}"))
    lines = [{"instanceId": f"uuid:{number}", "field": "size", "new": "6"} for number in "12"]
    batch = change(people, *lines).json()["batch"]
    undone = people.post("cleaning/undo", batch=batch, reason="mistake").json()["batch"]
    assert [answers(live, name)["size"] for name in ("uuid:1", "uuid:2")] == ["5", "5"]
    assert people.post("cleaning/undo", batch=batch).json()["code"] == 409.34
    people.post("cleaning/undo", batch=undone)
    assert [answers(live, name)["size"] for name in ("uuid:1", "uuid:2")] == ["6", "6"]
    first = log(people, f"batch={batch}")[0]["id"]
    people.post("cleaning/undo", ids=[first])
    assert {one["id"]: one["status"] for one in log(people, f"batch={batch}")}[first] == "undone"


@SQLITE
def test_a_record_that_is_edited_after_it_was_cleaned_shows_the_edit_and_tells(live, people):
    send(live, household())
    change(people, {"field": "size", "new": "6"})
    send(live, household("uuid:2", "50", deprecated_id="uuid:1"))
    assert answers(live)["size"] == "50"
    assert [one["status"] for one in log(people)] == ["changed"]


def test_the_log_is_that_up_to_a_position_of_the_journal(live, people):
    send(live, household())
    change(people, {"field": "size", "new": "6"})
    with reading(live.node.engine) as connection:
        then = journal.head_position(connection)
    extent = people.get("cleaning").json()
    change(people, {"field": "size", "new": "7"}, {"kind": "remove_record", "reason": "pilot"})
    done = cleaned(live, up_to=then)
    assert done is not None
    assert (done.answers["size"], done.is_removed) == ("6", False)
    with reading(live.node.engine) as connection:
        cleaner = open_cleaner(connection, live.node.schemas, FORM, then)
    assert (cleaner.count, cleaner.sha256) == (extent["count"], extent["sha256"])
    now = cleaned(live)
    assert now is not None
    assert (now.answers["size"], now.is_removed, now.reason) == ("7", True, "pilot")


@SQLITE
def test_a_log_follows_a_renamed_question(live, people):
    send(live, household())
    change(people, {"field": "size", "new": "6"})
    renamed = HOUSEHOLD.replace("| size     |", "| persons  |").replace("| household| 1 ", "| household| 2 ")
    publish(live.node, 1, renamed.encode(), "household.md", {}, Consent(renames=("size=persons",)))
    assert answers(live)["size"] == "6"
    edit = household("uuid:2", deprecated_id="uuid:1", version="2").replace(b"size>", b"persons>")
    send(live, edit.replace(b"<meta>", b"<consent>no</consent><meta>"))
    assert answers(live)["persons"] == "6"
    change(people, {"field": "size", "new": "8"})
    assert answers(live)["persons"] == "8"


def test_many_records_are_changed_after_a_preview_and_only_as_it_showed(live, people):
    for number, size in enumerate(("3", "30", "40"), 1):
        send(live, household(f"uuid:{number}", size))
    wanted = {
        "where": "${size} >= 30",
        "field": "size",
        "formula": "${size} div 10",
        "reason": "typed in tens",
    }
    shown = people.post("cleaning/bulk?preview=true", **wanted).json()
    assert [(one["instanceId"], one["old"], one["new"]) for one in shown["changes"]] == [
        ("uuid:2", "30", "3"),
        ("uuid:3", "40", "4"),
    ]
    assert log(people) == []
    send(live, household("uuid:4", "41", deprecated_id="uuid:3"))
    done = people.post("cleaning/bulk", token=shown["token"]).json()
    assert (done["entered"], [one["code"] for one in done["faults"]]) == (1, ["stale"])
    assert (answers(live, "uuid:2")["size"], cleaned(live, "uuid:3")) == ("3", None)
    people.post("cleaning/undo", batch=done["batch"])
    assert answers(live, "uuid:2")["size"] == "30"


@SQLITE
def test_a_filter_looks_at_each_row_of_a_repeat(live, people):
    rows = "".join(f"<member><m_age>{age}</m_age></member>" for age in (30, 300, 4))
    send(live, household(extra=rows))
    wanted = {"where": "${m_age} > 120", "kind": "blank", "field": "m_age"}
    token = people.post("cleaning/bulk?preview=true", **wanted).json()["token"]
    people.post("cleaning/bulk", token=token)
    assert [row["m_age"] for row in answers(live)["member"]] == ["30", "", "4"]


@SQLITE
def test_a_filter_that_cannot_be_read_is_refused(live, people):
    for where in ("${sise} > 3", "${size} >"):
        answer = people.post("cleaning/bulk?preview=true", where=where, field="size", new="1")
        assert answer.json()["code"] == 400.33


@SQLITE
def test_who_may_not_see_an_answer_neither_cleans_it_nor_finds_it_out(live, people):
    send(live, household(extra=MEMBERS))
    name = {"field": "head", "new": "Gulnaz"}
    assert fault_codes(change(people, name)) == ["hidden"]
    assert change(people, name, role=Role.ADMINISTRATOR).json()["entered"] == 1
    assert [(one["old"], one["new"]) for one in log(people)] == [(None, None)]
    assert log(people, role=Role.ADMINISTRATOR)[0]["new"] == "Gulnaz"
    asked = {"where": "${head} = 'Gulnaz'", "field": "size", "new": "9"}
    assert people.post("cleaning/bulk?preview=true", **asked).json()["count"] == 0
    assert people.post("cleaning/bulk?preview=true", Role.ADMINISTRATOR, **asked).json()["count"] == 1
    batch = log(people)[0]["batch"]
    assert people.post("cleaning/undo", batch=batch).json()["code"] == 403.1


@SQLITE
def test_a_tablet_does_not_clean(live):
    send(live, household())
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    url = f"{live.url}/v1/projects/1/forms/household/cleaning"
    answer = live.client.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_the_log_is_derived_again_from_the_journal(live, people):
    send(live, household())
    change(people, {"field": "size", "new": "6", "reason": "گزارش"})
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


def test_what_was_said_of_an_erased_record_goes_with_it_and_nothing_else_does(live, people):
    for number in "12":
        send(live, household(f"uuid:{number}"))
    lines = [{"instanceId": f"uuid:{number}", "field": "size", "new": "6"} for number in "12"]
    change(people, *lines)
    with reading(live.node.engine) as connection:
        one = submissions.find_submission(connection, *FORM, "uuid:1")
    assert one is not None
    erasing.erase(live.node, OPERATOR, one, Reason.PERSON_ASKED)
    assert [one["instanceId"] for one in log(people)] == ["uuid:2"]
    projection.rebuild(live.node.engine, live.node.schemas)
    assert [one["instanceId"] for one in log(people)] == ["uuid:2"]

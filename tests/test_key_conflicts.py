"""Two records with one duplicate key: shown as one conflict, decided by people, and decided otherwise again."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from conftest import Live, household, send, state_of
from people import People
from typer.testing import CliRunner

from forms.compile import compile_form
from server import projection
from server.cli import app
from server.permissions import Role
from server.publishing import BUNDLED, publish

SLOTS = """
| survey   |           |           |           |          |               |             |
|          | type      | name      | label     | required | chapar::flags | calculation |
|          | text      | crossing  | Crossing  |          | D             |             |
|          | date      | day       | Day       |          | D             |             |
|          | text      | head      | Head      |          | P D           |             |
|          | integer   | size      | Size      |          |               |             |
|          | calculate | slot_key  |           |          | D             | concat(${crossing}, '/', ${day}) |
| settings |            |           |          |
|          | form_title | form_id   | version  |
|          | Slots      | slots     | 1        |
"""
SOFT = re.sub(r"\| slots     \|", "| soft      |", SLOTS).replace("slot_key", "soft_key")
PLAIN = re.sub(r"\| slots     \|", "| plain     |", re.sub(r".*slot_key.*\n", "", SLOTS))


def slot(
    name: str, crossing: str = "A", day: str = "2026-11-01", form_id: str = "slots", edits: str = ""
) -> bytes:
    key = "soft_key" if form_id == "soft" else "slot_key"
    extra = f"<crossing>{crossing}</crossing><day>{day}</day><head>Gulnar</head>"
    extra += "" if form_id == "plain" else f"<{key}>{crossing}/{day}</{key}>"
    return household(name, extra=extra, form_id=form_id, deprecated_id=edits)


@pytest.fixture
def people(live: Live) -> People:
    for sheet in (SLOTS, SOFT, PLAIN):
        publish(live.node, 1, sheet.encode(), "slots.md", {})
    return People(live, "slots")


def open_ones(people: People, state: str = "open") -> list[list[str]]:
    found = people.get(f"key-conflicts?state={state}").json()
    return [one["instanceIds"] for one in found]


def only(people: People, state: str = "open") -> dict[str, Any]:
    (one,) = people.get(f"key-conflicts?state={state}").json()
    return one


def decide(people: People, **decision: Any) -> str:
    one = only(people)
    answer = people.post(f"key-conflicts/{one['id']}/decide", seen=one["seen"], **decision)
    assert answer.status_code == 200, answer.text
    return answer.json()["decision"]


def listed(people: People) -> list[str]:
    return [one["instanceId"] for one in people.get("submissions").json()]


def test_two_records_with_one_key_are_one_conflict_until_it_is_decided(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2", crossing="B"))
    assert open_ones(people) == []
    send(live, slot("uuid:3"))
    assert open_ones(people) == [["uuid:1", "uuid:3"]]
    assert only(people)["kind"] == "exact"


def test_one_is_kept_and_the_others_come_back_when_that_is_undone(live, people):
    for number in range(1, 4):
        send(live, slot(f"uuid:{number}"))
    key = only(people)["id"]
    decision = decide(people, keep="uuid:2")
    assert listed(people) == ["uuid:2"]
    assert (open_ones(people), open_ones(people, "decided")) == ([], [["uuid:1", "uuid:2", "uuid:3"]])
    shown = people.get(f"key-conflicts/{key}").json()
    assert {one["id"] for one in shown["decisions"]} == {decision}
    assert people.post(f"key-conflicts/{key}/undo", decision=decision).status_code == 200
    assert listed(people) == ["uuid:1", "uuid:2", "uuid:3"]
    assert people.post(f"key-conflicts/{key}/undo", decision=decision).json()["code"] == 409.34
    assert decide(people, keep="uuid:1")
    assert listed(people) == ["uuid:1"]


def test_different_records_may_share_a_key_until_a_third_comes(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    key = only(people)["id"]
    decision = decide(people, distinct=True)
    assert (open_ones(people), open_ones(people, "decided")) == ([], [["uuid:1", "uuid:2"]])
    send(live, slot("uuid:3"))
    assert open_ones(people) == [["uuid:1", "uuid:2", "uuid:3"]]
    people.delete("submissions/uuid:3")
    assert open_ones(people) == []
    assert people.post(f"key-conflicts/{key}/undo", decision=decision).status_code == 200
    assert open_ones(people) == [["uuid:1", "uuid:2", "uuid:3"]]
    assert decide(people, distinct=True) != decision


def test_a_mistake_in_the_key_is_corrected_and_its_calculation_follows(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    key = only(people)["id"]
    correction = {"instanceId": "uuid:2", "answers": {"/crossing": "B"}}
    decision = decide(people, correct=correction)
    assert open_ones(people) == open_ones(people, "decided") == []
    send(live, slot("uuid:3", crossing="B"))
    assert open_ones(people) == [["uuid:2", "uuid:3"]]
    assert people.post(f"key-conflicts/{key}/undo", decision=decision).status_code == 200
    assert open_ones(people) == [["uuid:1", "uuid:2"]]


def test_an_edit_that_gives_another_key_leaves_the_conflict(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    send(live, slot("uuid:2b", crossing="B", edits="uuid:2"))
    assert open_ones(people) == []


def test_what_does_not_suit_is_refused_with_a_sentence(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    one = only(people)
    path = f"key-conflicts/{one['id']}/decide"

    def code(**decision: Any) -> float:
        return people.post(path, **{"seen": one["seen"], **decision}).json()["code"]

    assert code(keep="uuid:9") == 400.31
    assert code(keep="uuid:1", distinct=True) == 400.1
    assert code(distinct=True, seen="old") == 409.33
    assert code(correct={"instanceId": "uuid:1", "answers": {"/size": "3"}}) == 400.31
    assert code(correct={"instanceId": "uuid:1", "answers": {"/day": "yesterday"}}) == 400.11
    assert people.get("key-conflicts/nothing").json()["code"] == 404.1
    assert open_ones(people) == [["uuid:1", "uuid:2"]]


def test_only_who_may_export_personal_answers_sees_them(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    path = f"key-conflicts/{only(people)['id']}"
    seen = [
        people.get(path, role).json()["submissions"][0]["answers"]["/head"]
        for role in (Role.COORDINATOR, Role.ADMINISTRATOR)
    ]
    assert seen == [None, "Gulnar"]
    assert "Gulnar" not in repr(state_of(live.node)["key_conflict"])


def test_a_soft_key_only_shows_the_pair(live, people):
    soft = people.at("soft")
    send(live, slot("uuid:1", form_id="soft"))
    send(live, slot("uuid:2", form_id="soft"))
    assert only(soft)["kind"] == "soft"
    decide(soft, distinct=True)
    assert listed(soft) == ["uuid:1", "uuid:2"]


def test_without_a_composed_key_all_flagged_answers_are_one_and_a_blank_one_makes_none(live, people):
    plain = people.at("plain")
    for name, crossing in (("uuid:1", "A"), ("uuid:2", "A"), ("uuid:3", ""), ("uuid:4", "")):
        send(live, slot(name, crossing, form_id="plain"))
    assert open_ones(plain) == [["uuid:1", "uuid:2"]]


@pytest.mark.parametrize(
    ("sheet", "key"),
    [
        ("flow_monitoring_registry", "slot_key"),
        ("flow_monitoring_survey", "soft_key"),
        ("protection_needs_assessment", "case_code"),
    ],
)
def test_the_shipped_forms_have_the_keys_that_their_specification_names(sheet, key):
    path = BUNDLED / f"{sheet}.xlsx"
    assert [field.name for field in compile_form(path.read_bytes(), path.name).schema.key_fields] == [key]


def test_an_erased_record_leaves_its_conflict(live, people):
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    assert open_ones(people) == [["uuid:1", "uuid:2"]]
    people.post("submissions/uuid:2/erase", Role.ADMINISTRATOR, reason="person_asked", confirm="uuid:2")
    assert open_ones(people) == []


def test_decisions_are_the_same_after_a_rebuild(live, people):
    for number in range(1, 4):
        send(live, slot(f"uuid:{number}"))
        send(live, slot(f"uuid:b{number}", crossing="B"))
    decided = [only_of["id"] for only_of in people.get("key-conflicts").json()]
    for number, key in enumerate(decided):
        one = people.get(f"key-conflicts/{key}").json()
        decision = {"distinct": True} if number else {"keep": one["instanceIds"][0]}
        assert people.post(f"key-conflicts/{key}/decide", seen=one["seen"], **decision).status_code == 200
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


def test_a_key_that_too_many_share_is_counted_and_nothing_is_decided(live, people, monkeypatch):
    monkeypatch.setattr("server.store.key_conflicts.MEMBERS_MAX", 2)
    monkeypatch.setattr("server.key_conflicts.MEMBERS_MAX", 2)
    for number in range(4):
        send(live, slot(f"uuid:{number}"))
    one = only(people)
    assert (one["count"], len(one["instanceIds"])) == (4, 2)
    answer = people.post(f"key-conflicts/{one['id']}/decide", seen=one["seen"], distinct=True)
    assert answer.json()["code"] == 400.31


def test_the_command_lists_shows_decides_and_undoes(live, people, monkeypatch):
    monkeypatch.setenv("CHAPAR_DATA", str(live.node.settings.data))
    monkeypatch.setenv("CHAPAR_DATABASE_URL", live.node.settings.database_url)

    def chapar(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["duplicates", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert chapar("list", "slots") == "No records share a key.\n"
    send(live, slot("uuid:1"))
    send(live, slot("uuid:2"))
    assert "uuid:1, uuid:2" in chapar("list", "slots")
    key = only(people)["id"]
    assert "/head=(hidden)" in chapar("show", "slots", key)
    for decision in (["keep", "slots", key, "uuid:1"], ["distinct", "slots", key]):
        made = orjson.loads(chapar(*decision, "--json"))["decision"]
        assert made in chapar("show", "slots", key)
        assert chapar("undo", "slots", key, made) == "undone\n"
    corrected = chapar("correct", "slots", key, "uuid:2", "--set", "/crossing=B")
    assert "undo with" in corrected
    assert chapar("list", "slots") == "No records share a key.\n"

"""Editing over REST, what each edit changed, and joined answers as an instance, in Central's shape."""

from __future__ import annotations

import pytest
from conftest import Live, household
from test_api_conflicts import EXTRA, Desk, tell, two_edits

from forms.header import read_header

RECORD = "forms/household/submissions/uuid:1"
XML = {"Content-Type": "application/xml"}


@pytest.fixture
def desk(live: Live) -> Desk:
    return Desk(live, "administrator")


def test_an_edit_is_put_with_what_it_edits(live, desk):
    tell(live, household("uuid:1", "5"))
    edit = household("uuid:2", "6", deprecated_id="uuid:1")
    for _ in range(2):
        done = desk.ask("PUT", RECORD, content=edit, headers=XML)
        assert (done.status_code, done.json()["currentVersion"]["instanceId"]) == (200, "uuid:2")
    assert len(desk.get(f"{RECORD}/versions")) == 2
    late = household("uuid:3", "7", deprecated_id="uuid:1")
    assert desk.ask("PUT", RECORD, content=late, headers=XML).json()["openConflicts"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (household("uuid:2", "6"), 400.19),
        (household("uuid:2", "6", deprecated_id="uuid:2"), 400.19),
        (household("uuid:2", "6", deprecated_id="uuid:9"), 404.5),
        (household("uuid:2", "6", deprecated_id="uuid:1", form_id="other"), 400.1),
        (b"<data", 400.1),
    ],
)
def test_what_does_not_edit_the_record_is_refused_and_not_kept(live, desk, body, code):
    tell(live, household("uuid:1", "5"))
    assert desk.ask("PUT", RECORD, content=body, headers=XML).json()["code"] == code
    assert len(desk.get(f"{RECORD}/versions")) == 1
    assert desk.get("quarantine") == []


def test_what_each_revision_changed_is_told_and_personal_answers_to_few(live, desk):
    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    tell(live, household("uuid:b", "6", EXTRA.format("Zohra", "no"), "uuid:1"))
    tell(live, household("uuid:c", "7", EXTRA.format("Zahra", "no"), "uuid:1"))
    one = next(one for one in desk.get("conflicts") if one["path"] == "/size")
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="8")
    found = desk.get(f"{RECORD}/diffs")
    decision = next(name for name in found if name not in {"uuid:1", "uuid:b", "uuid:c"})
    assert found["uuid:1"] == []
    changed = {tuple(change["path"]): (change.get("old"), change.get("new")) for change in found["uuid:b"]}
    assert changed == {
        ("size",): ("5", "6"),
        ("head",): ("Zahra", "Zohra"),
        ("meta", "instanceID"): ("uuid:1", "uuid:b"),
        ("meta", "deprecatedID"): (None, "uuid:1"),
    }
    assert found[decision] == [{"path": ["size"], "new": "8"}]
    hidden = Desk(live, "coordinator").get(f"{RECORD}/diffs")["uuid:b"]
    assert {"path": ["head"], "old": None, "new": None} in hidden
    assert {"path": ["size"], "old": "5", "new": "6"} in hidden


def test_joined_answers_are_given_as_an_instance_that_can_be_edited_again(live, desk):
    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    tell(live, household("uuid:b", "6", EXTRA.format("Zahra", "no"), "uuid:1"))
    newest = household("uuid:c", "5", EXTRA.format("Zohra", "no"), "uuid:1")
    tell(live, newest)
    joined = desk.ask("GET", f"{RECORD}.xml").content
    assert b"<size>6</size>" in joined
    assert b"<head>Zohra</head>" in joined
    header = read_header(joined)
    assert (header.instance_id, header.deprecated_id) == ("uuid:c", "uuid:1")
    assert desk.ask("GET", f"{RECORD}/versions/uuid:c.xml").content == newest
    edit = joined.replace(b">uuid:c<", b">uuid:d<").replace(b">uuid:1<", b">uuid:c<").replace(b">6<", b">9<")
    assert desk.ask("PUT", RECORD, content=edit, headers=XML).status_code == 200
    assert (desk.size(), [one["path"] for one in desk.get("conflicts")]) == ("9", ["/size"])


def test_a_chain_of_edits_is_given_as_its_exact_bytes(live, desk):
    two_edits(live)
    one = desk.only()
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=0)
    assert desk.ask("GET", f"{RECORD}.xml").content == household(
        "uuid:1c", "7", EXTRA.format("Zahra", "no"), "uuid:1"
    )

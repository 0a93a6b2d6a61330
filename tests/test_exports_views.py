"""Views of the same records: as received, merged, cleaned, and all of these as of a moment that has gone by."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from conftest import HOUSEHOLD, Live, household, send
from exporting import zipped_with
from people import People

from server import erasing
from server.exports.options import Options, View
from server.node import Node
from server.permissions import OPERATOR, Role
from server.problems import Problem
from server.publishing import Consent, publish
from server.store.engine import reading
from server.store.submissions import find_submission
from sync.erasure import Reason

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
MEMBERS = "<head>Gulnar</head><needs>food</needs><member><m_name>A</m_name><m_age>30</m_age></member>"


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


def rows(files: dict[str, bytes], name: str = "household.csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[name].decode(), newline="")))


def exported(node: Node, **options: Any) -> dict[str, bytes]:
    return zipped_with(node, "household", Options(**options), documents=True)


def clean(people: People, *lines: dict[str, Any]) -> None:
    answer = people.post("cleaning", Role.ADMINISTRATOR, entries=list(lines))
    assert answer.status_code in (200, 201), answer.text


def now() -> str:
    """A moment behind all that happened, and before all that will."""
    time.sleep(0.005)
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.005)
    return moment


def test_the_clean_view_says_what_the_log_says_and_names_it(live: Live, people: People) -> None:
    send(live, household("uuid:1", "5", MEMBERS))
    send(live, household("uuid:2", "6"))
    clean(
        people,
        {"instanceId": "uuid:1", "kind": "change", "field": "size", "new": "4", "reason": "counted twice"},
        {
            "instanceId": "uuid:1",
            "kind": "change",
            "field": "head",
            "new": "Gol",
            "reason": "Gulnar said so",
        },
        {"instanceId": "uuid:2", "kind": "remove_record", "reason": "a test"},
    )
    merged, cleaned = exported(live.node), exported(live.node, view=View.CLEAN)
    assert [row["size"] for row in rows(merged)] == ["5", "6"]
    assert [row["size"] for row in rows(cleaned)] == ["4"]
    manifest = json.loads(cleaned["manifest.json"])
    assert manifest["cleaning"]["entries"] == 3
    assert manifest["records"]["excluded"] == [{"why": "removed", "count": 1, "keys": ["uuid:2"]}]
    assert "cleaning" not in json.loads(merged["manifest.json"])
    log = rows(cleaned, "cleaning_log.csv")
    assert [(one["question"], one["old_value"], one["new_value"]) for one in log] == [
        ("/size", "5", "4"),
        ("/head", "", ""),
        ("", "", ""),
    ]
    assert not any(b"Gulnar" in content or b"Gol" in content for content in cleaned.values())
    full = rows(exported(live.node, view=View.CLEAN, personal=True), "cleaning_log.csv")
    assert (full[1]["new_value"], full[1]["reason"]) == ("Gol", "Gulnar said so")


def test_the_raw_view_has_every_revision_as_it_came(live: Live, people: People) -> None:
    send(live, household("uuid:1", "5", MEMBERS))
    send(live, household("uuid:2", " 6 ", deprecated_id="uuid:1"))
    send(live, household("uuid:2", "7", deprecated_id="uuid:1"))
    send(live, household("uuid:3", "8"))
    files = exported(live.node, view=View.RAW, personal=True)
    found = rows(files)
    assert [row["size"] for row in found] == ["5", " 6 ", "7", "8"]
    assert len({row["KEY"] for row in found}) == 4
    assert [row["KEY"].partition("~")[0] for row in found] == ["uuid:1", "uuid:2", "uuid:2", "uuid:3"]
    members = rows(files, "household-member.csv")
    assert [(row["PARENT_KEY"], row["m_age"]) for row in members] == [("uuid:1", "30")]


def test_an_export_as_of_a_moment_is_the_one_made_then(live: Live, people: People) -> None:
    send(live, household("uuid:1", "5", MEMBERS))
    send(live, household("uuid:2", "6"))
    clean(people, {"instanceId": "uuid:2", "kind": "change", "field": "size", "new": "60"})
    then = {view: exported(live.node, view=view) for view in View}
    moment = now()
    send(live, household("uuid:3", "7", deprecated_id="uuid:1"))
    send(live, household("uuid:4", "8"))
    clean(people, {"instanceId": "uuid:2", "kind": "change", "field": "size", "new": "61"})
    people.delete("submissions/uuid:2", Role.ADMINISTRATOR)
    newer = HOUSEHOLD.replace("| household| 1 ", "| household| 2 ").replace(
        "integer              | size ", "integer              | people "
    )
    publish(live.node, 1, newer.encode(), "household.md", {}, Consent(frozenset(["looks-renamed:/size"])))
    for view in View:
        past = exported(live.node, view=view, as_of=moment)
        assert {name: past[name] for name in past if name != "manifest.json"} == {
            name: then[view][name] for name in then[view] if name != "manifest.json"
        }
        before, after = orjson.loads(then[view]["manifest.json"]), orjson.loads(past["manifest.json"])
        assert after["options"].pop("as_of") == moment
        before["options"].pop("as_of")
        assert (after["records"], after["options"]) == (before["records"], before["options"])
        assert exported(live.node, view=view, as_of=moment) == past


@SQLITE
def test_what_was_erased_since_is_gone_from_the_past_too(live: Live) -> None:
    send(live, household("uuid:1", "5", MEMBERS))
    send(live, household("uuid:2", "6"))
    live.node.catch_up()
    moment = now()
    with reading(live.node.engine) as connection:
        about = find_submission(connection, 1, "household", "uuid:1")
    assert about
    erasing.erase(live.node, OPERATOR, about, Reason.PERSON_ASKED)
    past = exported(live.node, as_of=moment, personal=True)
    assert [row["KEY"] for row in rows(past)] == ["uuid:2"]
    assert not any(b"Gulnar" in content for content in past.values())


@SQLITE
def test_what_was_flagged_since_stays_out_of_the_past_too(live: Live, people: People) -> None:
    send(live, household("uuid:1", "5", MEMBERS))
    clean(people, {"instanceId": "uuid:1", "kind": "change", "field": "size", "new": "7731"})
    moment = now()
    flagged = HOUSEHOLD.replace("| household| 1 ", "| household| 2 ")
    flagged = flagged.replace("| yes      | Q ", "| yes      | P ")
    assert flagged.count("| yes      | P ") == 1
    publish(live.node, 1, flagged.encode(), "household.md", {})
    files = exported(live.node, view=View.CLEAN, as_of=moment)
    assert "size" not in rows(files)[0]
    assert not any(b"7731" in content for content in files.values())
    assert rows(exported(live.node, view=View.CLEAN, as_of=moment, personal=True))[0]["size"] == "7731"


@SQLITE
def test_only_a_moment_that_has_gone_by_can_be_asked_for(live: Live) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for moment in ("yesterday", "2026-13-01", tomorrow, "1999-01-01"):
        with pytest.raises(Problem) as caught:
            exported(live.node, as_of=moment)
        assert caught.value.code == 400.1

"""Conflicts over REST: two tablets edit one record, people see what they disagree about, settle and undo it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from conftest import Live, household, send, state_of

from server import projection
from server.auth import hash_password
from server.store import accounts
from server.store.engine import reading, writing

PASSWORD = "correct horse battery"
EXTRA = "<head>{}</head><consent>{}</consent>"


class Desk:
    """A person who works with conflicts. get, post: JSON of an answer; any status but 200 fails."""

    def __init__(self, live: Live, role: str) -> None:
        email = f"{role}@example.org"
        with writing(live.node.engine) as connection:
            accounts.add_user(connection, email, hash_password(PASSWORD), role, one_time=False)
        self.node, self._live, self._auth = live.node, live, (email, PASSWORD)

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        url = f"{self._live.url}/v1/projects/1/{path}"
        return self._live.client.request(method, url, auth=self._auth, **given)

    def get(self, path: str, /, **params: Any) -> Any:
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, /, **body: Any) -> Any:
        answer = self.ask("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, /, **body: Any) -> float:
        return self.ask("POST", path, json=body).json()["code"]

    def only(self, **params: Any) -> dict[str, Any]:
        (one,) = self.get("conflicts", **params)
        return one

    def size(self) -> str:
        """The answer that is exported."""
        rows = self.ask("GET", "forms/household/submissions.csv").text.splitlines()
        return dict(zip(rows[0].split(","), rows[1].split(","), strict=True))["size"]


@pytest.fixture
def desk(live: Live) -> Desk:
    return Desk(live, "administrator")


def two_edits(live: Live, record: str = "uuid:1", sizes: tuple[str, str] = ("6", "7")) -> None:
    """One record, and two tablets that change its size without knowing of each other."""
    tell(live, household(record, "5", EXTRA.format("Zahra", "no")))
    for name, size in zip("bc", sizes, strict=True):
        tell(live, household(f"{record}{name}", size, EXTRA.format("Zahra", "no"), record))


def tell(live: Live, xml: bytes, files: dict[str, bytes] | None = None) -> None:
    assert send(live, xml, files).status_code == 201
    live.node.catch_up()


def answers(one: dict[str, Any]) -> list[dict[str, str]]:
    return [side["answers"] for side in one["candidates"]]


def test_a_conflict_tells_who_said_what_where_and_when(live, desk):
    two_edits(live)
    one = desk.only()
    assert (one["kind"], one["path"], one["instanceId"], one["state"]) == ("value", "/size", "uuid:1", "open")
    assert answers(one) == [{"/size": "7"}, {"/size": "6"}]
    (later,) = one["candidates"][0]["revisions"]
    assert (later["instanceId"], later["version"], later["submitter"]["displayName"]) == (
        "uuid:1c",
        "1",
        "tablet",
    )
    assert later["post"]
    assert desk.get("forms/household/conflicts") == [one]
    assert desk.get(f"conflicts/{one['id']}") == one


def test_choosing_a_side_changes_what_is_exported_and_undoing_opens_it_again(live, desk):
    two_edits(live)
    one = desk.only()
    assert desk.size() == "7"
    done = desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=1, reason="called them")
    assert (done["state"], done["decision"]["reason"], done["id"]) == ("resolved", "called them", one["id"])
    assert answers(done) == answers(one)
    assert (desk.size(), desk.get("conflicts")) == ("6", [])
    assert desk.only(state="resolved") == done
    assert desk.post(f"conflicts/{one['id']}/undo") == one
    assert desk.size() == "7"
    again = desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=1, reason="called them")
    assert (again["state"], desk.size()) == ("resolved", "6")
    desk.post(f"conflicts/{one['id']}/undo")
    assert (desk.only(), desk.size()) == (one, "7")
    assert desk.refused(f"conflicts/{one['id']}/undo") == 409.34


@pytest.mark.parametrize(
    ("choice", "size"),
    [
        ({"policy": "first"}, "6"),
        ({"policy": "larger"}, "10"),
        ({"value": " 8 "}, "8"),
        ({"value": ""}, ""),
        ({"values": {"/size": "8"}}, "8"),
    ],
)
def test_a_conflict_is_settled_by_a_rule_or_by_typing(live, desk, choice, size):
    two_edits(live, sizes=("6", "10"))
    one = desk.only()
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], **choice)
    assert desk.size() == size


def test_a_revision_names_its_side(live, desk):
    two_edits(live)
    one = desk.only()
    digest = one["candidates"][1]["revisions"][0]["sha256"]
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], revision=digest)
    assert desk.size() == "6"


@pytest.mark.parametrize(
    "choice",
    [{"value": "many"}, {"candidate": 2}, {"revision": "0" * 64}, {"values": {"/head": "x"}}, {"keep": True}],
)
def test_a_choice_that_does_not_suit_is_refused_and_changes_nothing(live, desk, choice):
    two_edits(live)
    one = desk.only()
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], **choice) == 400.11
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], policy="first", **choice) == 400.1
    assert desk.only() == one


def test_who_has_not_seen_the_newest_candidate_is_told_so(live, desk):
    two_edits(live)
    one = desk.only()
    tell(live, household("uuid:1d", "9", EXTRA.format("Zahra", "no"), "uuid:1"))
    newer = desk.only()
    assert newer["id"] == one["id"]
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=0) == 409.33
    desk.post(f"conflicts/{one['id']}/resolve", seen=newer["seen"], candidate=0)
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=newer["seen"], candidate=1) == 409.33
    assert desk.size() == "9"


def test_resolving_one_field_leaves_the_other_and_a_late_edit_opens_only_its_own(live, desk):
    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    tell(live, household("uuid:b", "6", EXTRA.format("Zohra", "no"), "uuid:1"))
    tell(live, household("uuid:c", "7", EXTRA.format("Zeinab", "no"), "uuid:1"))
    by_path = {one["path"]: one for one in desk.get("conflicts")}
    assert set(by_path) == {"/head", "/size"}
    for path, left in (("/head", {"/size"}), ("/size", set())):
        one = by_path[path]
        desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=0)
        assert {other["path"] for other in desk.get("conflicts")} == left
    tell(live, household("uuid:d", "8", EXTRA.format("Zahra", "no"), "uuid:1"))
    reopened = desk.only()
    assert (reopened["path"], reopened["id"]) == ("/size", by_path["/size"]["id"])
    assert reopened["decision"]
    assert answers(reopened) == [{"/size": "8"}, {"/size": "7"}]


def test_who_may_not_see_personal_answers_sees_that_they_differ_and_chooses_unseen(live, desk):
    coordinator = Desk(live, "coordinator")
    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    tell(live, household("uuid:b", "5", EXTRA.format("Zohra", "no"), "uuid:1"))
    tell(live, household("uuid:c", "5", EXTRA.format("Zeinab", "no"), "uuid:1"))
    one = coordinator.only()
    assert answers(one) == [{"/head": None}, {"/head": None}]
    assert answers(desk.only()) == [{"/head": "Zeinab"}, {"/head": "Zohra"}]
    done = coordinator.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=1)
    assert "Zohra" not in str(done)
    rows = desk.ask("GET", "forms/household/submissions.csv", params={"personal": True}).text
    assert "Zohra" in rows


def test_a_deleted_and_edited_record_is_kept_or_deleted_by_a_person(live, desk):
    from server.deciding import decide
    from server.permissions import OPERATOR
    from server.store import submissions
    from sync.revision import RevisionKind

    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    with reading(live.node.engine) as connection:
        found = submissions.find_submission(connection, 1, "household", "uuid:1")
    decide(live.node, OPERATOR, found, RevisionKind.TOMBSTONE)
    two_edits(live)
    by_kind = {one["kind"]: one for one in desk.get("conflicts")}
    assert set(by_kind) == {"value", "deleted"}
    one = by_kind["deleted"]
    assert answers(one) == [{"": "kept"}, {"": "deleted"}]
    value = by_kind["value"]
    desk.post(f"conflicts/{value['id']}/resolve", seen=value["seen"], candidate=0)
    assert desk.only() == one
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], keep=False)
    assert desk.get("forms/household/submissions") == []
    assert desk.post(f"conflicts/{one['id']}/undo")["state"] == "open"
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], keep=True)
    assert (len(desk.get("forms/household/submissions")), desk.get("conflicts")) == (1, [])


def test_pages_follow_each_other_and_filters_and_counts_agree(live, desk):
    for number in range(5):
        two_edits(live, f"uuid:{number}")
    seen: list[str] = []
    after = ""
    while page := desk.get("conflicts", limit=2, after=after):
        seen += [one["instanceId"] for one in page]
        after = page[-1]["position"]
    assert seen == [f"uuid:{number}" for number in range(5)]
    post = desk.get("conflicts")[0]["candidates"][0]["revisions"][0]["post"]
    assert desk.get("conflicts/counts") == {
        "forms": [{"xmlFormId": "household", "count": 5}],
        "fields": [{"xmlFormId": "household", "path": "/size", "count": 5}],
        "posts": [{"post": post, "count": 5}],
        "devices": [{"device": "", "count": 5}],
    }
    for fits in ({"kind": "value"}, {"path": "/size"}, {"post": post}, {"instanceId": "uuid:1"}):
        assert len(desk.get("conflicts", **fits)) == (1 if "instanceId" in fits else 5)
    for fits in ({"kind": "row"}, {"path": "/head"}, {"post": "x"}, {"device": "x"}, {"state": "settled"}):
        assert desk.get("conflicts", **fits) == []


def test_bulk_does_exactly_what_its_preview_showed_and_is_undone_as_a_whole(live, desk):
    for number in range(4):
        two_edits(live, f"uuid:{number}")
    plan = desk.post("conflicts/bulk?preview=true", policy="first", path="/size")
    assert (plan["count"], plan["more"], plan["left"]) == (4, False, [])
    assert [(one["before"], one["after"]) for one in plan["resolves"]] == [
        ({"/size": "7"}, {"/size": "6"})
    ] * 4
    two_edits(live, "uuid:new")
    tell(live, household("uuid:0d", "9", EXTRA.format("Zahra", "no"), "uuid:0"))
    done = desk.post("conflicts/bulk", token=plan["token"])
    stale = next(one["id"] for one in plan["resolves"] if one["instanceId"] == "uuid:0")
    assert (len(done["resolved"]), [one["id"] for one in done["left"]]) == (3, [stale])
    assert {one["instanceId"] for one in desk.get("conflicts")} == {"uuid:0", "uuid:new"}
    assert desk.post("conflicts/bulk", token=plan["token"])["resolved"] == []
    assert desk.post(f"conflicts/bulk/{done['batch']}/undo") == {"undone": 3}
    assert len(desk.get("conflicts")) == 5
    assert desk.refused(f"conflicts/bulk/{done['batch']}/undo") == 409.34
    assert desk.refused("conflicts/bulk", token="no token") == 400.1


def test_bulk_tells_what_a_rule_does_not_suit(live, desk):
    tell(live, household("uuid:1", "5", EXTRA.format("Zahra", "no")))
    tell(live, household("uuid:b", "6", EXTRA.format("Zohra", "yes"), "uuid:1"))
    tell(live, household("uuid:c", "7", EXTRA.format("Zeinab", ""), "uuid:1"))
    plan = desk.post("conflicts/bulk?preview=true", policy="smaller")
    assert {one["path"]: one["after"] for one in plan["resolves"]} == {
        "/size": {"/size": "6"},
        "/consent": {"/consent": "yes"},
    }
    assert len(plan["left"]) == 1
    desk.post("conflicts/bulk", token=plan["token"])
    assert desk.only()["path"] == "/head"
    assert desk.size() == "6"


def test_state_with_conflicts_decided_and_undone_is_rebuilt_row_for_row(live, desk):
    for number in range(3):
        two_edits(live, f"uuid:{number}")
    first, second, _ = desk.get("conflicts")
    for one in (first, second):
        desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="8")
    desk.post(f"conflicts/{first['id']}/undo")
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before
    assert before["conflict_side"]

"""Reviews and comments: who said what about a record, and what became of it when the answers changed."""

import pytest
from conftest import Live, household, send
from people import People
from sqlalchemy import select

from server.exports.folder import export_form
from server.store.engine import reading
from server.store.tables import journal


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


def state(people: People, name: str = "uuid:1") -> str | None:
    return people.get(f"submissions/{name}").json()["reviewState"]


def entries(live: Live) -> int:
    with reading(live.node.engine) as connection:
        return len(connection.execute(select(journal.c.position)).all())


def test_a_record_is_received_then_what_the_reviewer_says(live, people):
    send(live, household())
    assert state(people) is None
    for said in ("hasIssues", "approved", "rejected", None, "edited", "approved"):
        answer = people.patch("submissions/uuid:1", reviewState=said)
        assert (answer.status_code, answer.json()["reviewState"]) == (200, said)
        assert state(people) == said


def test_a_state_that_is_none_is_refused(live, people):
    send(live, household())
    assert people.patch("submissions/uuid:1", reviewState="perfect").status_code == 400
    assert people.patch("submissions/uuid:1").status_code == 400
    assert state(people) is None


def test_the_same_review_twice_is_one_entry(live, people):
    send(live, household())
    people.patch("submissions/uuid:1", reviewState="approved")
    before = entries(live)
    people.patch("submissions/uuid:1", reviewState="approved")
    assert entries(live) == before


def test_an_edit_after_a_review_shows_as_edited_and_can_be_approved_again(live, people):
    send(live, household())
    people.patch("submissions/uuid:1", reviewState="approved")
    send(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    assert state(people) == "edited"
    people.patch("submissions/uuid:2", reviewState="approved")
    assert state(people) == "approved"


def test_a_repeat_or_a_save_without_a_change_leaves_a_review_standing(live, people):
    send(live, household())
    people.patch("submissions/uuid:1", reviewState="approved")
    send(live, household())
    send(live, household("uuid:2", deprecated_id="uuid:1"))
    assert state(people) == "approved"


def test_other_answers_under_the_same_id_are_not_what_was_approved(live, people):
    send(live, household())
    people.patch("submissions/uuid:1", reviewState="approved")
    send(live, household(size="9"))
    assert state(people) == "edited"


def test_a_review_stays_with_its_record_when_what_that_edits_comes_later(live, people):
    send(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    people.patch("submissions/uuid:2", reviewState="approved")
    people.post("submissions/uuid:2/comments", body="seen")
    send(live, household())
    assert state(people, "uuid:1") == "approved"
    assert [one["body"] for one in people.get("submissions/uuid:1/comments").json()] == ["seen"]


def test_comments_are_listed_newest_first_and_a_double_tap_is_one(live, people):
    send(live, household())
    first = people.post("submissions/uuid:1/comments", body="  نام خوانا نیست ").json()
    assert people.post("submissions/uuid:1/comments", body="نام خوانا نیست").json() == first
    people.post("submissions/uuid:1/comments", body="asked again")
    listed = people.get("submissions/uuid:1/comments").json()
    assert [one["body"] for one in listed] == ["asked again", "نام خوانا نیست"]
    assert listed[0]["actor"] == {"id": listed[0]["actorId"], "displayName": "coordinator@example.org"}


def test_a_blank_comment_is_refused(live, people):
    send(live, household())
    assert people.post("submissions/uuid:1/comments", body=" ").status_code == 400


def test_lists_and_exports_tell_the_review_state(live, people, tmp_path):
    for name in ("uuid:1", "uuid:2", "uuid:3"):
        send(live, household(name))
    people.patch("submissions/uuid:1", reviewState="approved")
    people.patch("submissions/uuid:2", reviewState="rejected")

    def listed(query: str) -> list[str]:
        return [one["instanceId"] for one in people.get(f"submissions?{query}").json()]

    assert listed("reviewState=approved") == ["uuid:1"]
    assert listed("reviewState=received&reviewState=rejected") == ["uuid:2", "uuid:3"]
    export_form(live.node, 1, "household", tmp_path, media=False)
    assert ",approved," in (tmp_path / "household.csv").read_text().splitlines()[1]


def test_audits_tell_what_happened_newest_first(live, people):
    send(live, household())
    people.patch("submissions/uuid:1", reviewState="approved")
    people.delete("submissions/uuid:1")
    people.post("submissions/uuid:1/restore")
    actions = [one["action"] for one in people.get("submissions/uuid:1/audits").json()]
    assert actions == ["submission.restore", "submission.delete", "submission.update", "submission.create"]


def test_a_tablet_neither_reviews_nor_comments(live):
    send(live, household())
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{live.url}/v1/projects/1/forms/household/submissions/uuid:1"
    assert live.client.patch(url, json={"reviewState": "approved"}, headers=headers).status_code == 401
    assert live.client.post(f"{url}/comments", json={"body": "x"}, headers=headers).status_code == 401

"""Posts: how centre and post get to know each other, over the network or by files, and who does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import commands
import orjson
import pytest
from conftest import HOUSEHOLD, Live
from hypothesis import given
from hypothesis import strategies as st

from server.node import Node, open_node
from server.problems import Problem
from server.publishing import publish
from server.relay import enrolling, introducing
from server.relay.enrolling import Answer, Confirmation, Enrolment
from server.relay.keys import Keys, KeysError, seal, verify
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project, publish_bundled
from server.store import journal, posts
from server.store.engine import reading, writing
from server.store.forms import list_current, project_exists

ADDRESS = "http://centre.example"


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Node]:
    """An empty store, not yet a post."""
    opened = open_node(Settings(data=tmp_path / "post"))
    yield opened
    opened.close()


def test_only_the_receiver_opens_and_only_the_sender_signs() -> None:
    sender, receiver, other = Keys(b"a"), Keys(b"b"), Keys(b"c")
    sealed, signature = seal(receiver.public, b"answers"), sender.sign(b"answers")
    assert receiver.open(sealed) == b"answers"
    verify(sender.public, b"answers", signature)
    for wrong in (
        lambda: other.open(sealed),
        lambda: receiver.open(sealed[:-1] + bytes([sealed[-1] ^ 1])),
        lambda: receiver.open(b""),
        lambda: verify(other.public, b"answers", signature),
        lambda: verify(sender.public, b"other answers", signature),
        lambda: verify(b"no key", b"answers", signature),
        lambda: seal(bytes(32), b"answers"),
    ):
        with pytest.raises(KeysError):
            wrong()


def test_a_store_has_one_key_pair_for_good(post: Node) -> None:
    again = open_node(post.settings)
    assert again.keys.public == post.keys.public
    again.close()


def test_centre_and_post_know_each_other_by_files_alone(node: Node, post: Node) -> None:
    enrolment = Enrolment.of(enrolling.enrol(node, "Islam Qala", "", ["household"], None).to_json())
    answer = Answer.of(enrolling.become_post(post, enrolment).to_json())
    enrolling.admit(node, answer)
    with reading(node.engine) as below, reading(post.engine) as above:
        known, centre = posts.find_post(below, answer.origin), posts.find_centre(above)
    assert known
    assert known.public_key == post.keys.public
    assert (known.name, known.forms, known.crossings) == ("Islam Qala", frozenset({"household"}), None)
    assert centre
    assert centre.public_key == node.keys.public


def test_a_post_is_told_of_over_the_network(live: Live, post: Node) -> None:
    made = enrolling.enrol(live.node, "Islam Qala", live.url)
    enrolling.become_post(post, made)
    for _ in range(2):
        introducing.introduce(post)
    with reading(live.node.engine) as connection:
        assert [one.public_key for one in posts.list_posts(connection)] == [post.keys.public]
    with reading(post.engine) as connection:
        centre = posts.find_centre(connection)
    assert centre
    assert not centre.secret


def test_address_and_code_are_enough_where_the_centre_is_in_reach(live: Live, post: Node) -> None:
    code = enrolling.enrol(live.node, "Islam Qala", "").secret
    enrolment = introducing.fetch_enrolment(post, live.url, code)
    assert enrolment == Enrolment(
        "Islam Qala", live.url, _origin(live.node), live.node.keys.public.hex(), code
    )


def test_an_enrolment_is_good_for_one_post(node: Node, post: Node, tmp_path: Path) -> None:
    enrolment = enrolling.enrol(node, "Islam Qala", "")
    answer = enrolling.become_post(post, enrolment)
    assert enrolling.admit(node, answer) == enrolling.admit(node, answer)
    other = open_node(Settings(data=tmp_path / "other"))
    with pytest.raises(Problem, match="Another server"):
        enrolling.admit(node, enrolling.become_post(other, enrolment))
    other.close()


def test_who_lacks_the_secret_can_neither_answer_nor_confirm(
    live: Live, post: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = enrolling.enrol(live.node, "Islam Qala", live.url)
    answer = enrolling.answer_to(post, made.secret)
    forged = Keys(b"somebody else").public.hex()
    for wrong in (enrolling.answer_to(post, "guessed"), replace(answer, key=forged)):
        with pytest.raises(Problem, match="answers no enrolment"):
            enrolling.admit(live.node, wrong)
    enrolling.become_post(post, made)
    impostor = Confirmation("Islam Qala", made.origin, forged, "00" * 32)
    monkeypatch.setattr(introducing, "exchange", lambda *_: impostor)
    with pytest.raises(Problem, match="not the centre"):
        introducing.introduce(post)


def test_a_revoked_post_is_no_post_until_it_is_enrolled_again(node: Node, post: Node) -> None:
    answer = enrolling.become_post(post, enrolling.enrol(node, "Islam Qala", ""))
    enrolling.admit(node, answer)
    with pytest.raises(Problem, match="a post Islam Qala already"):
        enrolling.enrol(node, "Islam Qala", "")
    enrolling.revoke(node, "Islam Qala")
    with reading(node.engine) as connection:
        assert posts.find_post(connection, answer.origin) is None
    with pytest.raises(Problem, match="answers no enrolment"):
        enrolling.admit(node, answer)
    enrolling.admit(node, enrolling.become_post(post, enrolling.enrol(node, "Milak", "")))
    with reading(node.engine) as connection:
        found = posts.find_post(connection, answer.origin)
    assert found
    assert found.name == "Milak"


def test_another_posts_enrolment_does_not_take_the_place_of_the_one_in_use(node: Node, post: Node) -> None:
    north, south = (enrolling.enrol(node, name, "") for name in ("north", "south"))
    enrolling.admit(node, enrolling.become_post(post, north))
    with writing(post.engine) as connection:
        posts.confirm_centre(connection)
    with pytest.raises(Problem, match="the post north already"):
        enrolling.become_post(post, south)
    with reading(post.engine) as connection:
        centre = posts.find_centre(connection)
    assert centre
    assert centre.name == "north"
    enrolling.revoke(node, "north")
    assert enrolling.admit(node, enrolling.become_post(post, south, keep=True)).name == "south"


def test_a_store_with_forms_of_its_own_becomes_a_post_only_when_told(node: Node, post: Node) -> None:
    enrolment = enrolling.enrol(node, "Islam Qala", "")
    ensure_project(post)
    publish(post, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})
    with pytest.raises(Problem, match="of its own"):
        enrolling.become_post(post, enrolment)
    enrolling.become_post(post, enrolment, keep=True)
    with pytest.raises(Problem, match="the centre itself"):
        enrolling.become_post(node, enrolment, keep=True)


def test_a_post_makes_no_project_and_no_forms(node: Node, post: Node) -> None:
    enrolling.become_post(post, enrolling.enrol(node, "Islam Qala", ""))
    ensure_project(post)
    assert publish_bundled(post) == []
    with reading(post.engine) as connection:
        assert not project_exists(connection, PROJECT_ID)
        assert not list_current(connection, PROJECT_ID)
    with pytest.raises(Problem, match="Publish at its centre"):
        publish(post, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})


def test_posts_are_managed_by_administrators_over_rest(
    live: Live, post: Node, admin: tuple[str, str], sign_in: Callable[..., dict[str, str]]
) -> None:
    address = f"{live.url}/v1/posts"
    made = live.client.post(address, auth=admin, json={"name": "Islam Qala", "crossings": ["IQ"]}).json()
    assert made["url"] == live.url
    answer = enrolling.become_post(post, Enrolment.of(orjson.dumps(made)))
    assert live.client.post(f"{address}/answer", json=answer.as_dict()).json()["name"] == "Islam Qala"
    assert live.client.patch(f"{address}/Islam Qala", auth=admin, json={"forms": ["household"]}).is_success
    assert live.client.delete(f"{address}/Islam Qala", auth=admin).is_success
    (listed,) = live.client.get(address, auth=admin).json()
    assert listed["revokedAt"]
    assert (listed["forms"], listed["crossings"]) == (["household"], None)
    assert "secret" not in listed
    assert live.client.get(address, headers=sign_in("coordinator")).status_code == 403
    assert live.client.post(f"{address}/answer", json={"origin": "x"}).status_code == 400


@given(st.binary())
def test_what_is_no_document_is_refused(content: bytes) -> None:
    for kind in (Enrolment, Answer, Confirmation):
        with pytest.raises(Problem, match="This is no"):
            kind.of(content)


def test_a_post_is_made_by_commands_and_files(tmp_path: Path) -> None:
    def chapar(*words: str, data: str) -> dict[str, Any]:
        done = commands.run(*words, "--json", "--data", str(tmp_path / data))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    enrolment, answer = str(tmp_path / "iq.enrolment"), str(tmp_path / "iq.answer")
    chapar("post", "enrol", "iq", "--crossing", "IQ", "--out", enrolment, data="centre")
    chapar("post", "init", "--from", enrolment, "--answer", answer, data="post")
    assert chapar("post", "admit", answer, data="centre") == {"name": "iq"}
    chapar("post", "limit", "iq", "--form", "household", data="centre")
    chapar("post", "revoke", "iq", data="centre")
    (listed,) = chapar("post", "list", data="centre")["posts"]
    assert (listed["forms"], listed["crossings"], bool(listed["revokedAt"])) == (["household"], None, True)


def _origin(node: Node) -> str:
    with reading(node.engine) as connection:
        return journal.origin(connection)

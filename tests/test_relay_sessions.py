"""A post and its centre meet over HTTP: both directions in one session, cut anywhere, nothing twice."""

from __future__ import annotations

import secrets

import httpx2
import pytest
from conftest import HOUSEHOLD, serving
from relaying import collect, enrolled, has_record, new_node, origin_of, records_at

from server.enrolment import create_app_user, revoke_app_user
from server.node import Node
from server.publishing import publish
from server.relay import client, enrolling, places
from server.relay.client import relay
from server.relay.session import RelayError
from server.relay.status import describe
from server.setup import PROJECT_ID, ensure_project
from server.store import accounts, forms
from server.store.engine import reading

__all__ = ["new_node"]

ON_SQLITE = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
"""What does not depend on the database is tested on one."""


@pytest.fixture
def centre(new_node):
    node = new_node("centre")
    ensure_project(node)
    publish(node, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})
    return node


@pytest.fixture
def post(new_node):
    return new_node("post")


def test_forms_come_down_records_and_photos_go_up_in_one_meeting(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        post.catch_up()
        with reading(post.engine) as connection:
            assert forms.find_current(connection, PROJECT_ID, "household")
        photo = secrets.token_bytes(300_000)
        collect(post, "uuid:1", photo)
        for number in range(2, 40):
            collect(post, f"uuid:{number}")
        relay(post)
        assert has_record(centre, "uuid:1")
        assert has_record(centre, "uuid:39")
        (entry,) = [one for one in centre.blobs.sizes().items() if one[1] == len(photo)]
        assert centre.blobs.get(entry[0]) == photo
        collect(post, "uuid:40")
        relay(post)
        with reading(centre.engine) as connection:
            (told,) = describe(connection)["posts"]
        assert (told["name"], told["recordsWaiting"], told["error"]) == ("north", 0, "")


@ON_SQLITE
def test_a_tablet_enrolled_for_a_post_is_known_there_and_withdrawn_there_too(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        create_app_user(centre, PROJECT_ID, "of the centre")
        made = create_app_user(centre, PROJECT_ID, "of the post", "north")
        for is_revoked in (False, True):
            relay(post)
            post.catch_up()
            with reading(post.engine) as connection:
                found = accounts.list_app_users(connection, PROJECT_ID)
            assert [(one.id, one.name, one.revoked) for one in found] == [(made.id, made.name, is_revoked)]
            revoke_app_user(centre, PROJECT_ID, made.id)


def test_nodes_in_step_exchange_less_than_a_kilobyte(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:1")
        relay(post)
        met = relay(post)
    assert met.exchanges == 1
    assert met.sent_bytes + met.received_bytes < 700


@ON_SQLITE
def test_nodes_that_know_very_many_logs_tell_them_only_when_they_are_not_in_step(centre, post, monkeypatch):
    monkeypatch.setattr("server.relay.session.LOGS_SAID_AT_ONCE", 0)
    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:1")
        relay(post)
        assert relay(post).exchanges == 1
        collect(post, "uuid:2")
        assert relay(post).taken == 0
    assert has_record(centre, "uuid:2")


@ON_SQLITE
def test_a_file_goes_on_where_it_was_cut_off(centre, post, monkeypatch):
    photo = secrets.token_bytes(200_000)
    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:1", photo)
        monkeypatch.setattr(client, "ROOM_BYTES_MAX", 16_000)
        seen = 0

        def stop(_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == 6:
                raise RelayError("cut off")

        with pytest.raises(RelayError):
            relay(post, stop)
        (part,) = (centre.settings.data / "tmp").glob("relay-*")
        assert 0 < part.stat().st_size < len(photo)
        met = relay(post)
        assert met.sent_bytes < len(photo) - 30_000
    assert photo in [centre.blobs.get(digest) for digest in centre.blobs.sizes()]
    assert not list((centre.settings.data / "tmp").glob("relay-*"))


@ON_SQLITE
def test_a_file_that_could_not_be_kept_once_all_of_it_was_there_is_kept_later(centre, post, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:1", b"photo")
        with monkeypatch.context() as patch:
            patch.setattr(centre.blobs, "keep", full)
            with pytest.raises(RelayError):
                relay(post)
        relay(post)
    assert b"photo" in [centre.blobs.get(digest) for digest in centre.blobs.sizes()]


@ON_SQLITE
def test_a_stranger_and_a_revoked_post_are_refused_and_say_why(centre, post, new_node):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        enrolling.revoke(centre, "north")
        with pytest.raises(RelayError, match="does not know who asks"):
            relay(post)
        with reading(post.engine) as connection:
            assert "does not know" in describe(connection)["centre"]["error"]
        assert httpx2.post(f"{url}/v1/relay", content=b"CR\x01" + bytes(200)).status_code == 400
        assert httpx2.post(f"{url}/v1/relay", content=b"").status_code == 400
        assert httpx2.get(f"{url}/v1/relay").status_code == 401
    with pytest.raises(RelayError, match="is no post"):
        relay(new_node("third"))


@ON_SQLITE
def test_three_levels_relay_up_and_down(centre, new_node):
    middle, low, other = new_node("middle"), new_node("low"), new_node("other")
    with serving(centre) as top_url, serving(middle) as middle_url:
        enrolled(centre, middle, top_url, "middle")
        enrolled(centre, other, top_url, "other")
        enrolled(middle, low, middle_url, "low")
        for _ in range(2):
            relay(middle)
            relay(low)
        low.catch_up()
        collect(low, "uuid:low")
        relay(low)
        relay(middle)
        relay(other)
    assert has_record(centre, "uuid:low")
    assert "uuid:low" not in records_at(other)
    with reading(centre.engine) as connection:
        assert {one["name"]: one["below"] for one in describe(connection)["posts"]}["middle"] == [
            origin_of(low)
        ]


def test_a_form_that_a_post_is_not_allowed_stays_at_the_centre_until_it_is(centre, post):
    publish(centre, PROJECT_ID, HOUSEHOLD.replace("household|", "other    |").encode(), "other.md", {})
    with serving(centre) as url:
        enrolled(centre, post, url)
        enrolling.limit(centre, "north", ["household"], None)
        relay(post)
        post.catch_up()
        with reading(post.engine) as connection:
            assert [one.form_id for one in forms.list_current(connection, PROJECT_ID)] == ["household"]
        enrolling.limit(centre, "north", ["household", "other"], None)
        relay(post)
        post.catch_up()
    with reading(post.engine) as connection:
        assert [one.form_id for one in forms.list_current(connection, PROJECT_ID)] == ["household", "other"]


def test_of_each_record_it_is_told_who_received_it_and_since_when_the_centre_has_it(centre, post):
    def told(node: Node) -> list[tuple[str, bool]]:
        node.catch_up()
        with reading(node.engine) as connection:
            found = places.describe(connection, (PROJECT_ID, "household"), "uuid:1")
        return [(one["receivedBy"], one["atCentreSince"] is not None) for one in found]

    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1")
        assert told(post) == [("", False)]
        relay(post)
        assert (told(post), told(centre)) == ([("", True)], [("north", True)])
        collect(post, "uuid:2")
        assert told(post) == [("", True)]

"""A node signs how far its log goes: others hold it to that, and what it lost comes back as it was and no further."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import serving
from relaying import add, enrolled, new_node, origin_of, records_at
from test_relay_bundles import acquainted, carry
from test_relay_faults import forks_at
from test_relay_sessions import centre, post
from test_relay_trust import keep_at

from server.relay import heads
from server.relay.client import relay
from server.relay.messages import Head as Said
from server.relay.other import Other
from server.relay.status import describe
from server.store import identity, logs, posts
from server.store.engine import reading, sqlite_file, writing
from server.store.heads import list_heads
from sync.frames import Sent
from sync.journal import Fact, Head, Kind, seal

__all__ = ["centre", "new_node", "post"]

pytestmark = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)


def seen_of_post(centre):
    with reading(centre.engine) as connection:
        (one,) = describe(connection)["posts"]
    return {name: one[name] for name in ("refused", "unproven", "alarm")}


def hear_head(centre, post, signed):
    """Have the centre hear a message of the post that says all that it holds."""
    said = Said("a session", 0, "", 0, have={}, is_whole=True, signed=signed)
    other = Other(origin_of(post), post.keys.public, is_up=False)
    with writing(centre.engine) as connection:
        heads.note(connection, centre.keys.public, other, said)


def signed_by(node):
    with reading(node.engine) as connection:
        return heads.sign_own(connection, node.keys)


def test_the_furthest_head_that_a_node_signed_is_kept_on_both_sides(centre, post, tmp_path):
    acquainted(centre, post)
    for name in ("uuid:1", "uuid:2"):
        add(post, name)
        carry(post, centre, tmp_path / name)
    for node, other in ((centre, post), (post, centre)):
        with reading(node.engine) as connection, reading(other.engine) as of_other:
            (kept,) = list_heads(connection, origin_of(other))
            assert (kept.seq, kept.hash) == (logs.own_log(of_other)[1].last, logs.own_log(of_other)[1].hash)
    assert seen_of_post(centre) == {"refused": 0, "unproven": 0, "alarm": ""}


def test_a_head_that_another_key_signed_is_not_kept_and_raises_an_alarm(centre, post):
    acquainted(centre, post)
    add(post, "uuid:1")
    *said, _ = signed_by(post)
    hear_head(centre, post, [(*said, post.keys.sign(b"something else").hex())])
    hear_head(centre, post, [(*said, centre.keys.sign(b"").hex())])
    assert seen_of_post(centre)["alarm"] == "false"
    with reading(centre.engine) as connection:
        assert not list_heads(connection, origin_of(post))


def test_a_node_that_signed_and_stops_raises_an_alarm_and_one_that_never_did_does_not(centre, post, tmp_path):
    acquainted(centre, post)
    hear_head(centre, post, [])
    assert seen_of_post(centre)["alarm"] == ""
    carry(post, centre, tmp_path / "up.bundle")
    hear_head(centre, post, [])
    assert seen_of_post(centre)["alarm"] == "unsigned"
    hear_head(centre, post, [signed_by(post)])
    assert seen_of_post(centre)["alarm"] == ""


@pytest.mark.parametrize("is_known_by", ["head", "entries"])
def test_a_head_of_another_chain_is_a_fork(centre, post, tmp_path, is_known_by):
    acquainted(centre, post)
    with reading(post.engine) as connection:
        log, end = logs.own_log(connection)
    other_end = Head(*log, end.last, end.hash)
    (entry,) = seal(other_end, [Fact(Kind.COMMENT, 1, None, b"{}")], iter([1 << 60]))
    text = heads._text(*log, entry.seq, entry.hash)
    of_a_copy = (*log, entry.seq, entry.hash.hex(), post.keys.sign(text).hex())
    add(post, "uuid:1")
    if is_known_by == "head":
        hear_head(centre, post, [signed_by(post)])
    else:
        carry(post, centre, tmp_path / "up.bundle")
    assert forks_at(centre) == 0
    hear_head(centre, post, [of_a_copy])
    assert forks_at(centre) == 1


@pytest.mark.parametrize(("by_courier", "signs"), [(False, True), (True, False)])
def test_what_a_centre_lost_comes_back_and_nothing_beyond_what_it_had_signed(
    centre, post, tmp_path, monkeypatch, by_courier, signs
):
    if not signs:
        monkeypatch.setattr(heads, "list_lost", lambda *_: [])

    def meet(name):
        if by_courier:
            carry(centre, post, tmp_path / f"{name}.down", "north")
            carry(post, centre, tmp_path / f"{name}.up")
            return
        with serving(centre) as url:
            with writing(post.engine) as connection:
                posts.put_centre(connection, replace(posts.find_centre(connection), url=url))
            relay(post)

    enrolled(centre, post, "")
    meet("first")
    centre.engine.dispose()
    before = sqlite_file(centre.settings.data).read_bytes()
    add(centre, "uuid:lost", Kind.FORM_STATE)
    meet("second")
    with reading(centre.engine) as connection:
        log, end = logs.own_log(connection)
    invented = Fact(Kind.FORM_STATE, 1, None, b'{"form_id": "household", "instance_id": "uuid:invented"}')
    keep_at(post, list(map(Sent, seal(Head(*log, end.last, end.hash), [invented], iter([1 << 60])))))
    set_back(centre, before)
    assert "uuid:lost" not in records_at(centre)
    meet("third")
    assert "uuid:lost" in records_at(centre)
    assert ("uuid:invented" in records_at(centre)) is not signs
    assert seen_of_post(centre) == {"refused": int(signs), "unproven": 0 if signs else 2, "alarm": ""}


def set_back(node, store):
    node.engine.dispose()
    for stray in node.settings.data.glob("chapar.sqlite-*"):
        stray.unlink()
    sqlite_file(node.settings.data).write_bytes(store)
    with writing(node.engine) as connection:
        identity.begin_epoch(connection)

"""An older node gets what it knows, and the rest once it knows that too."""

from __future__ import annotations

import pytest
from conftest import serving
from relaying import add, enrolled, new_node, origin_of, records_at
from test_relay_bundles import carry
from test_relay_logs import verified
from test_relay_sessions import centre, post

from server.relay.client import relay
from server.relay.session import Session
from server.store import logs
from server.store.engine import reading
from sync.journal import FIRST_KINDS, Kind

__all__ = ["centre", "new_node", "post"]

pytestmark = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)


@pytest.fixture
def newer(monkeypatch):
    """Make tablets' users a kind that was added lately; return how to make the post an older one, or a newer again."""
    monkeypatch.setattr("server.relay.other.FIRST_KINDS", FIRST_KINDS - {Kind.APP_USER})

    def set_newer(is_newer):
        monkeypatch.setattr(Session, "kinds", [Kind.APP_USER] if is_newer else [])

    return set_newer


@pytest.mark.parametrize("by_courier", [False, True])
def test_what_an_older_post_does_not_know_waits_until_it_does_and_stops_nothing_else(
    centre, post, newer, tmp_path, by_courier
):
    def meet(name):
        if by_courier:
            carry(post, centre, tmp_path / f"{name}-up")
            carry(centre, post, tmp_path / f"{name}-down", "north")
        else:
            relay(post)

    newer(is_newer=False)
    with serving(centre) as url:
        enrolled(centre, post, url)
        add(centre, "uuid:known", Kind.FORM_STATE)
        add(centre, "uuid:unknown", Kind.APP_USER, post=origin_of(post))
        add(centre, "uuid:also-known", Kind.FORM_STATE)
        meet("older")
        assert {"uuid:known", "uuid:also-known"} <= records_at(post)
        assert "uuid:unknown" not in records_at(post)
        if not by_courier:
            assert relay(post).exchanges < 3
        newer(is_newer=True)
        meet("newer")
        assert "uuid:unknown" in records_at(post)
    verified(post, centre)
    with reading(post.engine) as connection:
        ((ranges,),) = [
            chains.ranges.values()
            for (origin, _), chains in logs.read_chains(connection).items()
            if origin == origin_of(centre)
        ]
    assert len(ranges) == 1

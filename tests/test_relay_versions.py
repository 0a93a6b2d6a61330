"""An older node gets what it knows, and the rest once it knows that too; its frames hold nothing else."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest
from conftest import serving
from relaying import add, enrolled, new_node, origin_of
from sqlalchemy import select
from test_relay_bundles import carry
from test_relay_logs import verified
from test_relay_sessions import centre, post

from server.relay import bundles, frames
from server.relay.client import relay
from server.relay.session import Session
from server.store import logs
from server.store.engine import reading
from server.store.tables import journal as entries
from sync.frames import READS, FrameError, Sent
from sync.journal import FIRST_KINDS, Kind

__all__ = ["centre", "new_node", "post"]

pytestmark = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)

NEW = Kind.DISTINCT
"""Stands for a kind that was added lately."""


@pytest.fixture
def receiver_is(monkeypatch):
    """Make NEW a kind that was added lately; return how to make the receiver an older node, or a newer one.

    An older one can read no frame that holds NEW, and would lose all else that is in it; nor one of a later version.
    """
    monkeypatch.setattr("server.relay.other.FIRST_KINDS", FIRST_KINDS - {NEW})

    def older_unpack(frame, codec, unpack=frames.unpack):
        items = unpack(frame, codec)
        if not frame.startswith(b"CF1") or any(
            isinstance(one, Sent) and one.entry.fact.kind is NEW for one in items
        ):
            raise FrameError("An older node was sent what it cannot read.")
        return items

    @contextmanager
    def receiver_is(*, newer):
        with monkeypatch.context() as patch:
            patch.setattr(Session, "kinds", [NEW, *READS] if newer else [])
            if not newer:
                for module in (frames, bundles):
                    patch.setattr(module, "unpack", older_unpack)
            yield

    return receiver_is


@pytest.mark.parametrize("by_courier", [False, True])
@pytest.mark.parametrize("upwards", [False, True])
def test_what_an_older_node_does_not_know_waits_until_it_does_and_stops_nothing_else(
    centre, post, receiver_is, tmp_path, by_courier, upwards
):
    sender, receiver = (post, centre) if upwards else (centre, post)

    def meet(name):
        if by_courier:
            carry(post, centre, tmp_path / f"{name}-up")
            carry(centre, post, tmp_path / f"{name}-down", "north")
        else:
            relay(post)

    with nullcontext("") if by_courier else serving(centre) as url:
        enrolled(centre, post, url)
        with receiver_is(newer=False):
            add(post, "uuid:1")
            meet("first")
            for kind in (Kind.REVIEW, NEW, Kind.DECISION):
                add(sender, "uuid:1", kind)
            meet("older")
            assert {Kind.REVIEW, Kind.DECISION} <= kinds_at(receiver)
            assert NEW not in kinds_at(receiver)
            if not by_courier:
                assert relay(post).exchanges < 3
        with receiver_is(newer=True):
            meet("newer")
            if by_courier and upwards:
                meet("known-by-now")
            assert NEW in kinds_at(receiver)
    verified(post, centre)
    with reading(receiver.engine) as connection:
        found = {name[0]: one.ranges.values() for name, one in logs.read_chains(connection).items()}
    (ranges,) = found[origin_of(sender)]
    assert len(ranges) == 1


def kinds_at(node):
    with reading(node.engine) as connection:
        return set(connection.execute(select(entries.c.kind)).scalars())

"""A post says what was collected at or below it, and nothing else: not forms, and nothing in the name of others."""

from __future__ import annotations

from contextlib import contextmanager

import orjson
import pytest
from conftest import serving
from relaying import add, collect, enrolled, has_record, new_node, origin_of, records_at
from sqlalchemy import select, true
from test_relay_bundles import acquainted, carry
from test_relay_sessions import centre, post

from server import erasing
from server.permissions import OPERATOR
from server.relay import enrolling
from server.relay.client import relay
from server.relay.concern import SAID
from server.relay.scope import ADDRESSED, OF_FORMS, Scope
from server.relay.status import describe
from server.relay.taking import take
from server.setup import PROJECT_ID
from server.store import identity, logs, submissions
from server.store.engine import reading, writing
from server.store.tables import journal as entries
from sync.erasure import Reason
from sync.frames import Sent, Skip
from sync.journal import Fact, Head, Kind, seal

__all__ = ["centre", "new_node", "post"]

pytestmark = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)

NOTHING_SAID = "0" * 16


@pytest.fixture
def shameless(monkeypatch):
    """Have posts send all that they hold."""
    honest = Scope.candidates
    monkeypatch.setattr(
        Scope, "candidates", lambda self, origin: true() if self.is_up else honest(self, origin)
    )
    monkeypatch.setattr(Scope, "may_skip", lambda self, origin: True)


def refused_of(centre, name="north"):
    with reading(centre.engine) as connection:
        return {one["name"]: one["refused"] for one in describe(connection)["posts"]}[name]


def forged(origin, count=3, epoch=NOTHING_SAID, kind=Kind.SUBMISSION):
    """Entries that nobody of this origin wrote."""
    facts = [Fact(kind, 1, None, b'{"form_id": "household", "instance_id": "uuid:forged"}')] * count
    return [Sent(entry) for entry in seal(Head(origin, epoch), facts, iter(range(1, count + 1)))]


def keep_at(node, items):
    with writing(node.engine) as connection:
        take(connection, items)


def test_a_post_publishes_nothing_and_what_it_collected_comes_all_the_same(centre, post, shameless, tmp_path):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        for kind in sorted(OF_FORMS | ADDRESSED):
            add(post, f"uuid:{kind}", kind)
            add(post, f"uuid:after-{kind}")
        relay(post)
        add(post, "uuid:last")
        assert relay(post).exchanges < 4
    expected = {f"uuid:after-{kind}" for kind in OF_FORMS | ADDRESSED} | {"uuid:last"}
    assert records_at(centre) == expected
    assert refused_of(centre) == len(OF_FORMS | ADDRESSED)
    add(post, "uuid:another", Kind.FORM)
    add(post, "uuid:carried")
    carry(post, centre, tmp_path / "up.bundle")
    assert records_at(centre) == expected | {"uuid:carried"}
    assert refused_of(centre) == len(OF_FORMS | ADDRESSED) + 1


@pytest.mark.parametrize("by_courier", [False, True])
def test_a_post_says_nothing_in_the_name_of_another_nor_that_there_is_nothing(
    centre, post, new_node, shameless, tmp_path, by_courier
):
    other = new_node("other")
    with serving(centre) as url:
        enrolled(centre, post, url)
        enrolled(centre, other, url, "other")
        for number in range(3):
            add(other, f"uuid:{number}")
        with reading(other.engine) as connection:
            (_, epoch), end = logs.own_log(connection)
        keep_at(post, [*forged(origin_of(other)), Skip(origin_of(other), epoch, "", 1, 3, end.hash)])
        add(post, "uuid:own")
        if by_courier:
            carry(post, centre, tmp_path / "up.bundle")
        else:
            relay(post)
        assert records_at(centre) == {"uuid:own"}
        assert refused_of(centre) > 0
        relay(other)
    assert records_at(centre) == {"uuid:own", "uuid:0", "uuid:1", "uuid:2"}


def test_a_post_cannot_take_another_for_one_below_it(centre, post, new_node, shameless, monkeypatch):
    other = new_node("other")
    monkeypatch.setattr("server.relay.session.list_below", lambda _: ([origin_of(other)], []))
    with serving(centre) as url:
        enrolled(centre, post, url)
        enrolled(centre, other, url, "other")
        keep_at(post, forged(origin_of(other)))
        relay(post)
    assert not records_at(centre)


def test_a_post_gives_back_what_the_centre_lost_and_nothing_that_the_centre_never_began(
    centre, post, shameless
):
    own = origin_of(centre)
    with writing(centre.engine) as connection:
        (_, forgotten), _ = logs.own_log(connection)
        for _ in range(2):
            identity.begin_epoch(connection)
        connection.execute(logs.log_range.delete())
        assert identity.is_own(connection, forgotten)
        assert not identity.is_own(connection, NOTHING_SAID)
    with serving(centre) as url:
        enrolled(centre, post, url)
        keep_at(post, [*forged(own, kind=Kind.FORM), *forged(own, epoch=_drawn(centre), kind=Kind.FORM)])
        relay(post)
    with reading(centre.engine) as connection:
        assert (own, NOTHING_SAID) not in logs.read_chains(connection)
    assert refused_of(centre) == 3
    assert records_at(centre) == {"uuid:forged"}


def _drawn(node):
    """An epoch that this node began and has forgotten."""
    with writing(node.engine) as connection:
        identity.begin_epoch(connection)
        (_, epoch), _ = logs.own_log(connection)
        identity.begin_epoch(connection)
    return epoch


@contextmanager
def three_levels(centre, new_node):
    """A post of the centre; the one below it, low, took in a record and has relayed it."""
    middle, low = new_node("middle"), new_node("low")
    with serving(centre) as top_url, serving(middle) as middle_url:
        enrolled(centre, middle, top_url, "middle")
        enrolled(middle, low, middle_url, "low")
        add(low, "uuid:low")
        relay(low)
        yield middle


def test_what_a_post_that_was_revoked_had_sent_as_far_as_its_centre_still_comes_up(centre, new_node):
    with three_levels(centre, new_node) as middle:
        enrolling.revoke(middle, "low")
        relay(middle)
    assert records_at(centre) == {"uuid:low"}
    assert refused_of(centre, "middle") == 0


def test_a_post_says_something_of_records_that_it_received_and_of_no_others_until_it_has(
    centre, post, new_node, tmp_path
):
    other = new_node("other")
    enrolled(centre, other, "", "other")
    add(other, "uuid:foreign")
    carry(other, centre, tmp_path / "other.bundle")
    with serving(centre) as url:
        enrolled(centre, post, url)
        for kind in sorted(SAID):
            add(post, "uuid:foreign", kind)
            add(post, "uuid:unheard-of", kind)
        add(post, "uuid:own", Kind.DISTINCT, instance_ids=["uuid:own", "uuid:foreign"])
        add(post, "uuid:own")
        for kind in sorted(SAID):
            add(post, "uuid:own", kind)
        relay(post)
        own = {(kind, "uuid:own") for kind in SAID} | {(Kind.ERASURE, "uuid:unheard-of")}
        assert said_by(post, centre) == own
        assert refused_of(centre) == 2 * len(SAID)
        add(post, "uuid:foreign")
        carry(post, centre, tmp_path / "record.bundle")
        relay(post)
        assert said_by(post, centre) == own | {(kind, "uuid:foreign") for kind in SAID}


def test_what_a_post_says_of_a_record_from_below_it_goes_up_in_the_same_meeting(centre, new_node):
    with three_levels(centre, new_node) as middle:
        add(middle, "uuid:low", Kind.REVIEW)
        relay(middle)
    assert said_by(middle, centre) == {(Kind.REVIEW, "uuid:low")}
    assert refused_of(centre, "middle") == 0


def test_what_a_post_erased_before_it_ever_met_its_centre_is_erased_there_without_an_alarm(
    centre, post, tmp_path
):
    acquainted(centre, post)
    collect(post, "uuid:1")
    assert has_record(post, "uuid:1")
    with reading(post.engine) as connection:
        found = submissions.find_submission(connection, PROJECT_ID, "household", "uuid:1")
    assert found
    erasing.erase(post, OPERATOR, found, next(iter(Reason)))
    carry(post, centre, tmp_path / "up.bundle")
    with reading(centre.engine) as connection:
        assert Kind.ERASURE in connection.execute(select(entries.c.kind)).scalars().all()
    assert refused_of(centre) == 0


def said_by(post, centre):
    """What stands at the centre that a post said of records: kind and instanceID."""
    with reading(centre.engine) as connection:
        mine = (entries.c.origin == origin_of(post), entries.c.kind.in_(SAID))
        rows = connection.execute(select(entries.c.kind, entries.c.detail).where(*mine)).all()
    return {(row.kind, orjson.loads(row.detail)["instance_id"]) for row in rows}

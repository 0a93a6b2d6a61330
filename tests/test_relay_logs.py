"""Two nodes come to hold the same entries, by whatever way, and each gets only what is for it."""

from __future__ import annotations

import random

import pytest
from relaying import (
    add,
    bring_in_step,
    down,
    give,
    lacking,
    new_node,
    origin_of,
    records_at,
    relay,
    up,
)
from sqlalchemy import select

from server.relay.choosing import read_sent
from server.relay.concern import SAID
from server.relay.other import look_at_own
from server.relay.scope import FROM_ABOVE, OF_FORMS
from server.relay.taking import take
from server.store import identity, logs
from server.store.chain import verify_journal
from server.store.engine import reading, writing
from server.store.tables import fork, log_range
from server.store.tables import journal as entries
from sync.frames import Skip
from sync.journal import BrokenChainError, Kind
from sync.logs import Range

__all__ = ["new_node"]

ON_SQLITE = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
"""What does not depend on the database is tested on one."""


def verified(*nodes):
    for node in nodes:
        with reading(node.engine) as connection:
            verify_journal(connection, lambda *_: lambda _: None)


def ranges_of(node):
    with reading(node.engine) as connection:
        return {log: chains.ranges for log, chains in logs.read_chains(connection).items()}


def forks_of(node):
    with reading(node.engine) as connection:
        return connection.execute(select(fork.c.origin, fork.c.seq)).all()


def payloads(node):
    columns = (
        entries.c.origin,
        entries.c.epoch,
        entries.c.seq,
        entries.c.hash,
        entries.c.key,
        entries.c.detail,
    )
    with reading(node.engine) as connection:
        return {tuple(row) for row in connection.execute(select(*columns))}


def test_what_a_post_took_in_is_at_the_centre_after_a_meeting_and_nothing_is_sent_again(new_node):
    post, centre = new_node("post"), new_node("centre")
    for number in range(40):
        add(post, f"uuid:{number}")
    relay(post, centre)
    assert payloads(centre) == payloads(post)
    assert relay(post, centre) == 0
    add(post, "uuid:late")
    assert relay(post, centre) == 1
    verified(post, centre)


def test_any_part_in_any_order_any_number_of_times_ends_the_same(new_node):
    chance = random.Random(6)
    centre, posts = new_node("centre"), [new_node("one"), new_node("two")]
    for node in (centre, *posts):
        for number in range(25):
            add(node, f"uuid:{node.settings.data.name}-{number}")
    for _ in range(6):
        for post in posts:
            relay(post, centre, chance)
            verified(post, centre)
    bring_in_step(*((post, centre) for post in posts))
    assert records_at(centre) == {f"uuid:{name}-{n}" for name in ("centre", "one", "two") for n in range(25)}
    for post in posts:
        assert records_at(post) == {f"uuid:{post.settings.data.name}-{n}" for n in range(25)}
        assert set(ranges_of(post)) == set(ranges_of(centre))
    verified(centre, *posts)
    assert not any(forks_of(node) for node in (centre, *posts))


@ON_SQLITE
def test_what_both_received_is_kept_as_two_receipts(new_node):
    post, centre = new_node("post"), new_node("centre")
    add(post, "uuid:1")
    add(centre, "uuid:1")
    bring_in_step((post, centre))
    assert len(payloads(centre)) == 2


def test_a_decision_goes_to_who_received_the_record_also_when_it_came_there_later(new_node):
    centre, post, other = new_node("centre"), new_node("post"), new_node("other")
    add(post, "uuid:1")
    relay(post, centre)
    add(centre, "uuid:1", Kind.REVIEW)
    add(centre, "uuid:2", Kind.REVIEW)
    bring_in_step((post, centre), (other, centre))
    assert (records_at(post), records_at(other)) == ({"uuid:1"}, set())
    add(other, "uuid:2")
    bring_in_step((post, centre), (other, centre))
    assert len(payloads(other)) == 2
    assert records_at(post) == {"uuid:1"}


def test_each_kind_of_entry_goes_where_it_may_and_nowhere_else(new_node):
    centre, post, other = new_node("centre"), new_node("post"), new_node("other")
    for kind in Kind:
        add(post, f"uuid:post-{kind}", kind)
        add(centre, f"uuid:centre-{kind}", kind, post=origin_of(post))
    bring_in_step((post, centre), (other, centre))
    own = {f"uuid:post-{kind}" for kind in Kind}
    downwards = {f"uuid:centre-{kind}" for kind in OF_FORMS}
    assert records_at(post) == own | downwards | {"uuid:centre-app_user", "uuid:centre-listed"}
    assert records_at(other) == downwards
    upwards = {
        f"uuid:post-{kind}" for kind in set(Kind) - FROM_ABOVE - (SAID - {Kind.ERASURE})
    }  # of records that it did not receive
    assert records_at(centre) == upwards | {f"uuid:centre-{kind}" for kind in Kind}


@ON_SQLITE
def test_a_post_set_back_gets_what_it_lost_and_goes_on_under_another_epoch(new_node):
    centre, post, restored = new_node("centre"), new_node("post"), new_node("restored")
    for number in range(10):
        add(post, f"uuid:{number}")
    relay(post, centre)
    copy(post, restored, 6)
    with writing(restored.engine) as connection:
        identity.begin_epoch(connection)
    add(restored, "uuid:new")
    bring_in_step((restored, centre))
    assert records_at(restored) == records_at(centre) == {*(f"uuid:{n}" for n in range(10)), "uuid:new"}
    verified(centre, restored)
    assert not forks_of(centre)


@ON_SQLITE
def test_a_centre_set_back_gets_what_it_lost_from_its_posts_its_own_forms_too(new_node):
    centre, posts, restored = new_node("centre"), [new_node("one"), new_node("two")], new_node("restored")
    for number in range(10):
        add(posts[number % 2], f"uuid:{number}")
        add(centre, f"form:{number}", Kind.FORM)
    bring_in_step(*((post, centre) for post in posts))
    before = records_at(centre)
    copy(centre, restored, 7)
    with writing(restored.engine) as connection:
        identity.begin_epoch(connection)
    bring_in_step(*((post, restored) for post in posts))
    assert records_at(restored) == before
    verified(restored)


def test_of_two_entries_with_one_name_both_are_kept_everywhere_and_who_wrote_them_goes_on_anew(new_node):
    centre, post, twin = new_node("centre"), new_node("post"), new_node("twin")
    for number in range(20):
        add(post, f"uuid:{number}")
    copy(post, twin, 20)
    for number in range(5):
        add(post, f"uuid:here-{number}")
        add(twin, f"uuid:there-{number}")
    add(twin, "uuid:there-more")
    bring_in_step((post, centre))
    bring_in_step((twin, centre))
    bring_in_step((post, centre), (twin, centre))
    whole = {f"uuid:{n}" for n in range(20)} | {
        f"uuid:{side}-{n}" for side in ("here", "there") for n in range(5)
    }
    whole.add("uuid:there-more")
    assert records_at(centre) == records_at(post) == records_at(twin) == whole
    verified(centre, post, twin)
    assert [row.seq for row in forks_of(centre)] == [21]
    for node in (post, twin):
        assert forks_of(node)
        add(node, f"uuid:after-{node.settings.data.name}")
    bring_in_step((post, centre), (twin, centre))
    assert records_at(post) == records_at(twin) == whole | {"uuid:after-post", "uuid:after-twin"}
    assert [row.seq for row in forks_of(centre)] == [21]


def test_a_range_that_is_not_for_a_node_is_known_to_it_and_joins_what_comes_later(new_node):
    centre, post = new_node("centre"), new_node("post")
    for number in range(9):
        add(centre, f"uuid:{number}", Kind.FORM if number % 4 == 0 else Kind.SUBMISSION)
    items = lacking(centre, post, down(post)(post))
    assert [(item.first, item.last) for item in items if isinstance(item, Skip)] == [(2, 4), (6, 8)]
    for item in reversed(items):
        with writing(post.engine) as connection:
            take(connection, [item])
    ((ranges,),) = [chains.values() for chains in ranges_of(post).values()]
    assert [(one.first, one.last) for one in ranges] == [(1, 9)]
    verified(post)


@ON_SQLITE
def test_an_entry_taken_out_of_the_middle_of_anothers_log_is_found(new_node):
    centre, post = new_node("centre"), new_node("post")
    for number in range(5):
        add(post, f"uuid:{number}")
    give(post, centre, up(post)(centre))
    with writing(centre.engine) as connection:
        connection.execute(entries.delete().where(entries.c.seq == 3))
    with pytest.raises(BrokenChainError):
        verified(centre)


def copy(source, target, seq_max):
    """Make `target` what `source` was at an entry of its own, as somebody does who copies a database."""
    own = origin_of(source)
    with reading(source.engine) as there, writing(target.engine) as here:
        rows = there.execute(select(entries).order_by(entries.c.position)).mappings().all()
        end = next(row for row in rows if row["origin"] == own and row["seq"] == seq_max)
        here.execute(entries.insert(), [dict(row) for row in rows if row["position"] <= end["position"]])
        (log, _) = logs.own_log(there)
        names = {"origin": own, "epoch": log[1], "seq": seq_max, "hash": end["hash"]}
        here.execute(identity.node.update().values(position=end["position"], stamp=end["stamp"], **names))
        lasts = {}
        for row in rows:
            if row["position"] <= end["position"] and row["origin"] != own:
                lasts[row["origin"], row["epoch"]] = row
        for row in lasts.values():
            one = {
                "origin": row["origin"],
                "epoch": row["epoch"],
                "branch": "",
                "first": 1,
                "last": row["seq"],
            }
            here.execute(log_range.insert(), [one | {"hash": row["hash"]}])


@ON_SQLITE
@pytest.mark.parametrize("said", ["what was lost", "what is here"])
def test_who_hears_of_another_entry_of_its_own_log_goes_on_under_another_epoch(new_node, said):
    node = new_node("centre")
    for number in range(4):
        add(node, f"uuid:{number}")
    with writing(node.engine) as connection:
        log, _ = logs.own_log(connection)
        (known,) = connection.execute(select(entries.c.hash).where(entries.c.seq == 2)).scalars()
        look_at_own(connection, {log: [Range(1, 2, known if said == "what is here" else bytes(32))]})
        assert (logs.own_log(connection)[0] == log) is (said == "what is here")
    assert len(forks_of(node)) == (said == "what was lost")


@ON_SQLITE
def test_two_chains_of_a_log_that_part_anywhere_are_told_from_each_other(new_node):
    centre, post = new_node("centre"), new_node("post")
    for number in range(4):
        add(centre, f"uuid:{number}")
    with reading(centre.engine) as connection:
        first, _, _, last = read_sent(connection, [1, 2, 3, 4])
    log = (last.entry.origin, last.entry.epoch, "")
    for item in (Skip(*log, 1, 1, bytes(32)), first, Skip(*log, 2, 4, last.entry.hash)):
        with writing(post.engine) as connection:
            take(connection, [item])
    bring_in_step((post, centre))
    verified(post, centre)

"""The audit finds what a disk has silently altered or lost, and the other node mends it."""

from __future__ import annotations

import pytest
from conftest import serving
from relaying import add, collect, down, enrolled, has_record, new_node, origin_of, records_at
from sqlalchemy import delete, select, update
from test_relay_logs import verified
from test_relay_sessions import centre, post

from server.doctor.facts import check_lost, check_state
from server.doctor.findings import Level
from server.relay import auditing, mending
from server.relay.auditing import divide, is_leaf, read_through
from server.relay.client import relay
from server.relay.status import describe
from server.store import bodies, lost
from server.store.engine import reading, writing
from server.store.tables import journal as entries
from server.store.tables import revision
from sync.journal import Kind

__all__ = ["centre", "new_node", "post"]

ON_SQLITE = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)


def submissions_at(node):
    query = select(entries.c.position, entries.c.hash, entries.c.body).where(
        entries.c.kind == Kind.SUBMISSION
    )
    with reading(node.engine) as connection:
        return connection.execute(query.order_by(entries.c.seq)).all()


def flip_a_byte(node, row):
    damaged = bytearray(row.body)
    damaged[len(damaged) // 2] ^= 1
    with writing(node.engine) as connection:
        one = entries.c.position == row.position
        connection.execute(update(entries).where(one).values(body=bytes(damaged)))


def audit_of(node):
    with reading(node.engine) as connection:
        return describe(connection)["audit"]


def state_of(node):
    with reading(node.engine) as connection:
        columns = [column for column in revision.c if column.name != "position"]
        return sorted(map(str, connection.execute(select(*columns)).all()))


def test_a_flipped_byte_in_a_stored_record_is_found_and_mended_by_whoever_has_it(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        for number in range(5):
            collect(post, f"uuid:{number}")
        relay(post)
        for node in (centre, post):
            node.catch_up()
            before, rows = state_of(node), submissions_at(node)
            flip_a_byte(node, rows[2])
            assert read_through(node.engine) == 1
            assert read_through(node.engine) == 0
            assert audit_of(node)["lost"] == 1
            relay(post)
            assert (audit_of(node)["lost"], audit_of(node)["mended"]) == (0, 1)
            with reading(node.engine) as connection:
                read = {row.position: row for row in submissions_at(node)}
                assert bodies.unpack(connection, *_packed(connection, rows[2])) == bodies.unpack(
                    connection, *_packed(connection, read[rows[2].position])
                )
            assert state_of(node) == before
            verified(node)
        assert relay(post).exchanges == 1


def _packed(connection, row):
    one = entries.c.position == row.position
    return connection.execute(select(entries.c.codec, entries.c.body).where(one)).one()


@ON_SQLITE
def test_an_entry_that_vanished_at_the_centre_is_found_by_ranges_and_sent_again(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        for number in range(70):
            collect(post, f"uuid:{number}")
        relay(post)
        with writing(centre.engine) as connection:
            mine = (entries.c.origin == origin_of(post), entries.c.seq.in_([1, 40, 41, 70]))
            connection.execute(delete(entries).where(*mine))
        assert relay(post).exchanges == 1
        met = relay(post, audit=True)
        assert met.differing == 2
        assert records_at(centre) == {f"uuid:{number}" for number in range(70)}
        verified(post, centre)
        assert relay(post, audit=True).differing == 0
        assert relay(post).exchanges == 1
        assert audit_of(post)["comparedAt"]


@ON_SQLITE
def test_a_record_that_is_damaged_before_it_went_up_stops_none_of_the_others(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        for number in range(3):
            collect(post, f"uuid:{number}")
        whole = submissions_at(post)
        flip_a_byte(post, whole[1])
        relay(post)
        assert [has_record(centre, f"uuid:{number}") for number in range(3)] == [True, False, True]
        assert audit_of(centre)["lost"] == 1
        with reading(centre.engine) as connection:
            assert [one.level for one in check_lost(connection)] == [Level.BROKEN]
        with writing(post.engine) as connection:
            one = entries.c.position == whole[1].position
            connection.execute(update(entries).where(one).values(body=whole[1].body))
        relay(post)
        assert has_record(centre, "uuid:1")
        with reading(centre.engine) as connection:
            assert not lost.count(connection)
            assert [one.level for one in check_state(connection, serves=False)] == [Level.FINE]
    verified(post, centre)


@ON_SQLITE
def test_who_asks_again_gets_only_what_is_for_it(centre, post, new_node):
    other = new_node("other")
    with serving(centre) as url:
        enrolled(centre, post, url)
        enrolled(centre, other, url, "other")
        add(other, "uuid:secret")
        relay(other)
        relay(post)
    with reading(other.engine) as connection:
        row = connection.execute(select(entries).where(entries.c.kind == Kind.SUBMISSION)).one()
    asked = [(row.origin, row.epoch, row.seq, row.hash.hex()[:16])]
    with reading(centre.engine) as connection:
        assert not list(mending.answer(connection, down(post)(post), asked))
        assert len(list(mending.answer(connection, down(other)(other), asked))) == 1


@ON_SQLITE
def test_what_is_due_is_due_once_a_day(post):
    with reading(post.engine) as connection:
        assert auditing.list_due(connection, auditing.DAY_MS).read
    read_through(post.engine)
    with reading(post.engine) as connection:
        now_ms = lost.read_audit(connection).read_ms
        assert not auditing.list_due(connection, now_ms + auditing.DAY_MS - 1).read
        assert auditing.list_due(connection, now_ms + auditing.DAY_MS).read


@pytest.mark.parametrize("last", [1, 64, 65, 5000, 1_000_000])
def test_a_span_is_divided_without_gaps_until_its_parts_are_short(last):
    spans, leaves = [("origin", "epoch", 1, last)], []
    for _ in range(6):
        leaves += filter(is_leaf, spans)
        spans = [part for span in spans if not is_leaf(span) for part in divide(span)]
    assert not spans
    assert sorted(seq for _, _, first, end in leaves for seq in range(first, end + 1)) == list(
        range(1, last + 1)
    )

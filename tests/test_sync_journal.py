"""A log says by itself whether it is whole and unaltered."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.journal import BrokenChainError, Entry, Fact, Head, Kind, seal, verify

HEAD = Head("origin", "epoch")


def sealed(bodies: list[bytes], head: Head = HEAD) -> list[Entry]:
    facts = [Fact(Kind.SUBMISSION, 1, None, b"{}", body) for body in bodies]
    return list(seal(head, facts, count(head.stamp + 1)))


BODIES = st.lists(st.binary(max_size=20), min_size=1, max_size=6)


@given(BODIES, BODIES)
def test_what_was_sealed_verifies_also_when_two_nodes_are_mixed(left, right):
    here, there = sealed(left), sealed(right, Head("other", "epoch"))
    verify([*here, *there])
    verify([*there, *here])
    verify([])


@given(BODIES, st.data())
def test_an_altered_payload_is_found_and_an_erased_one_is_none(bodies, data):
    entries = sealed(bodies)
    at = data.draw(st.integers(0, len(entries) - 1))
    altered = replace(entries[at].fact, body=entries[at].fact.body + b"x")
    with pytest.raises(BrokenChainError) as broken:
        verify([*entries[:at], replace(entries[at], fact=altered), *entries[at + 1 :]])
    assert broken.value.seq == at + 1
    erased = replace(entries[at].fact, detail=b"", body=b"")
    verify([*entries[:at], replace(entries[at], fact=erased), *entries[at + 1 :]])


@pytest.mark.parametrize(
    "change",
    [
        {"stamp": 99},
        {"payload_hash": bytes(32)},
        {"hash": bytes(32)},
        {"previous": bytes(32)},
        {"epoch": "other"},
        {"seq": 3},
    ],
)
def test_a_changed_header_is_found(change):
    entries = sealed([b"a", b"b", b"c"])
    with pytest.raises(BrokenChainError):
        verify([entries[0], replace(entries[1], **change), entries[2]])


def test_a_missing_a_swapped_and_a_doubled_entry_are_found():
    first, second, third = sealed([b"a", b"b", b"c"])
    for broken in ([first, third], [second, third], [first, third, second], [first, first, second]):
        with pytest.raises(BrokenChainError):
            verify(broken)

"""Frames: whatever entries go in come out, to the byte, and nothing else passes for a frame."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.frames import PLAIN, FrameError, Payload, Sent, Skip, pack, unpack
from sync.journal import BrokenChainError, Entry, Fact, Head, Kind, seal

facts = st.builds(
    Fact,
    st.sampled_from(Kind),
    st.integers(0, 2**31 - 1),
    st.none() | st.binary(min_size=32, max_size=32),
    st.binary(min_size=1),
    st.binary(),
)


def log(of: Sequence[Fact], origin: str = "5f0e6ad2-9d4a-4c55-8a4e-6a9a3d7f0c11") -> list[Entry]:
    """The entries that a node would write of these facts."""
    return list(seal(Head(origin, "0011223344556677"), of, count(1764500000000 << 16, 70_000)))


@given(st.lists(facts, max_size=5))
def test_any_entries_come_back_as_they_were(of: list[Fact]) -> None:
    items = [Sent(entry) for entry in log(of)]
    assert unpack(pack(items, PLAIN), PLAIN) == items


def test_a_header_travels_without_its_payload() -> None:
    whole = log([Fact(Kind.COMMENT, 1, None, b"{}", b"body"), Fact(Kind.COMMENT, 1, None, b"{}")])
    bare = replace(whole[0], fact=replace(whole[0].fact, detail=b"", body=b""))
    items = [
        Sent(bare, Payload.ERASED),
        Sent(bare, Payload.PURGED),
        Skip(whole[1].origin, whole[1].epoch, "", 2, 2, whole[1].hash),
    ]
    assert unpack(pack(items, PLAIN), PLAIN) == items


def test_an_entry_that_was_altered_is_not_packed() -> None:
    (entry,) = log([Fact(Kind.COMMENT, 1, None, b"{}")])
    for altered in (replace(entry, stamp=1), replace(entry, fact=replace(entry.fact, detail=b"[]"))):
        with pytest.raises(BrokenChainError):
            pack([Sent(altered)], PLAIN)


@given(st.data())
def test_a_damaged_frame_is_refused(data: st.DataObject) -> None:
    frame = pack([Sent(entry) for entry in log([Fact(Kind.COMMENT, 1, None, b"{}")] * 3)], PLAIN)
    place = data.draw(st.integers(0, len(frame) - 1))
    damaged = frame[:place] + data.draw(st.binary(max_size=3)) + frame[place + 1 :]
    if damaged != frame:
        with suppress(FrameError):
            assert unpack(damaged, PLAIN) == unpack(frame, PLAIN)

"""The hybrid logical clock never runs backwards, and follows the wall clock when that is ahead."""

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sync.clock import COUNTER_BITS, tick, to_datetime

MS = st.integers(0, 4_000_000_000_000)


@given(st.lists(MS, max_size=50))
def test_stamps_rise_whatever_the_wall_clock_does(readings):
    stamps = [0]
    for now_ms in readings:
        stamps.append(tick(stamps[-1], now_ms))
    assert all(earlier < later for earlier, later in itertools.pairwise(stamps))


@given(MS, MS)
def test_a_clock_that_is_ahead_is_followed_to_the_millisecond(last_ms, ahead_ms):
    now_ms = last_ms + 1 + ahead_ms
    assert tick(last_ms << COUNTER_BITS, now_ms) >> COUNTER_BITS == now_ms


def test_a_stamp_tells_its_time_in_utc():
    stamp = tick(0, 1_795_334_400_123)
    assert to_datetime(stamp) == datetime(2026, 11, 22, 8, 0, 0, 123_000, tzinfo=UTC)

"""Hybrid logical clock: stamps that never run backwards at a node, whatever its wall clock does.

For the order of receipts and for display; a stamp never decides that an answer is lost.
Source: Kulkarni and others, "Logical Physical Clocks" (2014); here 48 bits of milliseconds and 16 of counter.
"""

from __future__ import annotations

from datetime import UTC, datetime

COUNTER_BITS = 16


def tick(last: int, now_ms: int) -> int:
    """Return the next stamp after `last`: the wall clock when it is ahead, else one more than `last`."""
    return max(last + 1, now_ms << COUNTER_BITS)


def to_datetime(stamp: int) -> datetime:
    """Return the wall-clock part of a stamp, in UTC, to the millisecond."""
    return datetime.fromtimestamp((stamp >> COUNTER_BITS) / 1000, tz=UTC)

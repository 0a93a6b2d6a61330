"""Slots that were planned against those that somebody counted: pure. A gap is not zero.

A plan says which answers name a slot, and on which days there is one. Whoever stood there and counted nobody, or found
the crossing closed, sent a record; where nobody sent one, nobody knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

Slot = tuple[str, ...]
"""The answers that name a slot within a day, the place first."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A slot on each of some days. first, last: days, both included. weekdays: 0 is Monday; none for all."""

    slot: Slot
    first: date
    last: date
    weekdays: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Coverage:
    """One place on one day. planned: how many slots. gaps: those without a record, as planned, without the place.

    unplanned: how many slots have a record and were not planned.
    """

    day: date
    place: str
    planned: int
    gaps: tuple[Slot, ...]
    unplanned: int


def coverage(
    plan: Iterable[Planned], counted: Mapping[date, Collection[Slot]], until: date
) -> list[Coverage]:
    """Return each planned day up to `until`, place by place. counted: the slots that have a record, by day."""
    wanted: dict[tuple[date, str], dict[Slot, None]] = {}
    for one in plan:
        for day in _days(one, until):
            wanted.setdefault((day, one.slot[0]), {})[one.slot] = None
    found = []
    for (day, place), slots in sorted(wanted.items()):
        there = {slot for slot in counted.get(day, ()) if slot[0] == place}
        gaps = tuple(slot[1:] for slot in slots if slot not in there)
        found.append(Coverage(day, place, len(slots), gaps, len(there - slots.keys())))
    return found


def _days(one: Planned, until: date) -> Iterator[date]:
    for number in range(one.first.toordinal(), min(one.last, until).toordinal() + 1):
        day = date.fromordinal(number)
        if not one.weekdays or day.weekday() in one.weekdays:
            yield day

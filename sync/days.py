"""When a day of a form is closed, and what came of it after that: pure, over what people said of days.

At a closing time the coordinator publishes the day. What comes later is taken like anything else, and marked. A rule
counts for the days that end after it was given: changing it changes no day that is closed already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum

from sync.clock import to_datetime


class What(StrEnum):
    """What came after a day was closed."""

    RECEIVED = "received"
    EDITED = "edited"
    DELETED = "deleted"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True)
class Said:
    """One thing said of days. stamp, id: order them, the same at every node.

    day: the one that is opened (`is_open`) or closed again; None for a rule. closes_at: of a rule, None to close no more.
    offset_min: of the clock there, minutes ahead of UTC. question: whose answer tells a record's day, "" for its start.
    """

    stamp: int
    id: str
    day: date | None = None
    is_open: bool = False
    closes_at: time | None = None
    offset_min: int = 0
    question: str = ""


@dataclass(frozen=True, slots=True)
class Days:
    """What was said of one form's days, oldest first."""

    said: Sequence[Said]

    @property
    def rule(self) -> Said | None:
        """What holds for the days to come, None for nothing."""
        rules = [one for one in self.said if one.day is None]
        return rules[-1] if rules and rules[-1].closes_at is not None else None

    def closing(self, day: date) -> datetime | None:
        """Return when a day is closed, None for never: by the last rule that was given before it closed it."""
        found: datetime | None = None
        for one in self.said:
            if one.day is None:
                ends = _moment(day, one)
                if to_datetime(one.stamp) <= (ends or _midnight(day, one)):
                    found = ends
        return found

    def is_closed(self, day: date, stamp: int) -> bool:
        """Whether a day was closed at a stamp: its time had come, and nobody had opened it again."""
        ends = self.closing(day)
        if ends is None or to_datetime(stamp) < ends:
            return False
        changes = [one.is_open for one in self.said if one.day == day and one.stamp <= stamp]
        return not (changes and changes[-1])


def order(said: Iterable[Said]) -> Days:
    """Return what was said in the order that counts."""
    return Days(sorted(said, key=lambda one: (one.stamp, one.id)))


def day_at(moment: datetime, rule: Said) -> date:
    """Return the day of a moment on the clock of a rule."""
    return moment.astimezone(_zone(rule)).date()


def _moment(day: date, rule: Said) -> datetime | None:
    return None if rule.closes_at is None else datetime.combine(day, rule.closes_at, _zone(rule))


def _midnight(day: date, rule: Said) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), _zone(rule))


def _zone(rule: Said) -> timezone:
    return timezone(timedelta(minutes=rule.offset_min))

"""What an XPath value is, and how one kind becomes another, as JavaRosa does it.

Answers are text here, as in the instance's XML; JavaRosa knows the type of each. Where that matters:
- Dates, times and dateTimes count as numbers in comparison and arithmetic by their looks.
- JavaRosa cuts every date value to whole days before it compares (XPathFuncExpr.toNumeric), so that on a tablet
  `. > ${slot_start}` between two times of one day is always false (getodk/javarosa #637). Here times compare by
  the clock, as the designer means it and as ODK Web Forms does. Sheets for tablets write `decimal-time(.)`.
- The clock is taken as written: within one instance all offsets are the tablet's own.
- A text of digits is true unless it is zero.
Source: JavaRosa d686d1bc9, XPathFuncExpr.java, XPathEqExpr.java, DateUtils.java.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from lxml import etree

Nodes: TypeAlias = "list[etree._Element]"  # noqa: SLF001 (the name lxml-stubs give an element)
Value: TypeAlias = "str | float | bool | Nodes"

NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)", re.ASCII)
TIME = re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
EPOCH = date(1970, 1, 1)
DAY_S = 86_400
NOTHING_NEAR = 1e-12
"""JavaRosa's tolerance when numbers are equal or zero."""


@dataclass(frozen=True)
class Environment:
    """What an expression may see besides the instance: the world comes in here, never by itself.

    now: aware; its offset is the tablet's zone. random: the only source of chance (`random()`, `uuid()`).
    instances: secondary instances by id; each an element whose one child is the instance's root.
    choice_labels: path without root → answer → label, for `jr:choice-name`. properties: `deviceid`, `username`, ….
    """

    now: datetime
    random: random.Random
    instances: Mapping[str, etree._Element] = field(default_factory=lambda: MappingProxyType({}))
    choice_labels: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class Context(NamedTuple):
    """Where an expression stands. node: `.`; current: `current()`; root: of the main instance."""

    node: etree._Element
    current: etree._Element
    root: etree._Element
    environment: Environment
    position: int = 0
    size: int = 0


def text_of(node: etree._Element) -> str:
    """Return the text of a leaf, of a group its leaves' texts in a row."""
    return "".join(str(text) for text in node.itertext()) if len(node) else node.text or ""


def spread(values: tuple[Value, ...]) -> list[Value]:
    """Return the values with every nodeset replaced by the texts of its nodes."""
    found: list[Value] = []
    for value in values:
        found += [text_of(node) for node in value] if isinstance(value, list) else [value]
    return found


def to_text(value: Value) -> str:
    """Return the value as text; a nodeset as the text of its first node, an empty one as ""."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return text_of(value[0]) if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


def to_number(value: Value) -> float:
    """Return the value as number, NaN when it is none; dates as days since 1970, times as parts of a day."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return value
    text = to_text(value).strip()
    if NUMBER.fullmatch(text):
        return float(text)
    return days_as_written(text)


def to_boolean(value: Value) -> bool:
    """Return the value as truth."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return abs(value) > NOTHING_NEAR and not math.isnan(value)
    text = to_text(value)
    return bool(text) and not (NUMBER.fullmatch(text) and float(text) == 0)


def number_text(number: float) -> str:
    """Return a number as JavaRosa prints it: `3`, `2.5`, `1.0E10`, `NaN`."""
    if math.isnan(number):
        return "NaN"
    if abs(number) < NOTHING_NEAR:
        return "0"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == int(number) and abs(number) < 2**31:
        return str(int(number))
    if 1e-3 <= abs(number) < 1e7:
        return repr(float(number))
    sign, digits, exponent = Decimal(repr(float(number))).normalize().as_tuple()
    assert isinstance(exponent, int), "NaN and infinity were answered above"
    mantissa = f"{digits[0]}.{''.join(map(str, digits[1:])) or '0'}"
    return f"{'-' * sign}{mantissa}E{exponent + len(digits) - 1}"


def days_as_written(text: str) -> float:
    """Return the days since 1970 of an ISO date or dateTime, the part of a day of a time; NaN otherwise."""
    if TIME.fullmatch(text):
        return _day_part(text)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(?:T.*)?", text):
        return math.nan
    try:
        days = (date.fromisoformat(text[:10]) - EPOCH).days
    except ValueError:
        return math.nan
    return days + (_day_part(text[11:]) if len(text) > 10 else 0.0)


def moment(value: Value, environment: Environment) -> datetime | None:
    """Return the moment that a date, dateTime, time (of today) or number of days means; None when it means none.

    What names no zone is in the tablet's.
    """
    zone = environment.now.tzinfo
    if isinstance(value, int | float):
        if math.isnan(value) or math.isinf(value):
            return None
        return datetime.fromtimestamp(0, UTC).astimezone(zone) + timedelta(
            milliseconds=int(value * DAY_S * 1000)
        )
    text = to_text(value).strip()
    try:
        if TIME.fullmatch(text):
            return datetime.combine(environment.now.date(), _time(text), zone)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)


def decimal_days(instant: datetime) -> float:
    """Return the days since 1970-01-01T00:00 UTC."""
    return (instant - datetime.fromtimestamp(0, UTC)) / timedelta(days=1)


def iso(instant: datetime) -> str:
    """Return a dateTime as Collect writes it: `2026-11-22T08:23:00.838+03:30`."""
    return instant.isoformat(timespec="milliseconds")


def _time(text: str) -> time:
    return time.fromisoformat(re.split(r"[Z+-]", text)[0])


def _day_part(text: str) -> float:
    try:
        clock = _time(text)
    except ValueError:
        return math.nan
    return (clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6) / DAY_S

"""What stands out among the records of a form: pure, over what was measured of each.

Nothing here says that a record is wrong: somebody looks. Each rule compares records of one form with each other, and is
silent below `FEW` of them. Quartiles, not means: a single mistake of a factor 1000 must not hide the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from forms.cells import path_of

FEW = 20
FAR_IQR = 3.0
"""Tukey's outer fence: so many interquartile ranges outside the quartiles."""
SHORT, LONG = 1 / 3, 3.0
"""Of the median duration."""
CLOCK_MIN = 10.0
MISSING_SHARE = 0.3
DONT_KNOW_SHARE = 0.25
FAR_KM = 5.0
STRAIGHT_MIN = 5
DRIFT = 2.0
"""An enumerator whose median duration is half or twice that of all, or whose share of don't-knows is twice."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One record. who: the account it came from. minutes: from start to end, None when not told. ahead_min: how far the
    tablet's end lies behind the first receipt. asked, answered, unknown: questions on its way, those with an answer, and
    those answered with don't know. refused: no consent. numbers: by cell. alike: cells of one list that all have one
    answer. apart_km: from the place it says it was made at, with the point's cell. active_min: how long a question was open, by
    the audit log, None when not told or not read.
    """

    id: str
    who: str
    minutes: float | None = None
    ahead_min: float | None = None
    asked: int = 0
    answered: int = 0
    unknown: int = 0
    refused: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)
    alike: tuple[str, ...] = ()
    apart_km: tuple[str, float] | None = None
    active_min: float | None = None


@dataclass(frozen=True, slots=True)
class Standout:
    """Something to look at. cell: where, "" for the record. figure: how much, rounded. usual: of the others."""

    id: str
    check_id: str
    cell: str
    figure: float
    usual: float


@dataclass(frozen=True, slots=True)
class Enumerator:
    """The work of one account. minutes, active_min: medians. missing, unknown: shares. drifts: what differs from all."""

    who: str
    records: int
    minutes: float | None
    missing: float
    unknown: float
    refusals: int
    drifts: tuple[str, ...]
    active_min: float | None = None


def standouts(records: Sequence[Measured]) -> list[Standout]:
    """Return what stands out, in the order of the records."""
    usual_min = _median(one.minutes for one in records)
    fences = _fences(records)
    timed = [one.active_min for one in records if one.active_min is not None]
    usual_active = _median(timed) if len(timed) >= FEW else None
    return [
        found
        for one in records
        for found in (*_of_record(one, usual_min, fences, len(records)), *_of_audit(one, usual_active))
    ]


def enumerators(records: Sequence[Measured]) -> list[Enumerator]:
    """Return the work of each account, by name."""
    by_who: dict[str, list[Measured]] = {}
    for one in records:
        by_who.setdefault(one.who, []).append(one)
    usual = _Usual(
        _median(one.minutes for one in records),
        _median(one.active_min for one in records),
        _share_unknown(records),
    )
    return [_enumerator(who, found, usual) for who, found in sorted(by_who.items())]


@dataclass(frozen=True, slots=True)
class _Usual:
    minutes: float | None
    active_min: float | None
    unknown: float


Fence = tuple[float, float, float, bool]
"""Low, high, median; whether on the scale of orders of magnitude."""


def _of_record(
    one: Measured, usual_min: float | None, fences: Mapping[str, Fence], count: int
) -> Iterator[Standout]:
    if one.minutes is not None and one.minutes < 0:
        yield _standout(one, "times-reversed", one.minutes, usual_min)
    elif one.minutes is not None and usual_min and count >= FEW:
        if one.minutes < usual_min * SHORT:
            yield _standout(one, "short", one.minutes, usual_min)
        elif one.minutes > usual_min * LONG:
            yield _standout(one, "long", one.minutes, usual_min)
    if one.ahead_min is not None and one.ahead_min > CLOCK_MIN:
        yield _standout(one, "clock-ahead", one.ahead_min, 0)
    if one.asked and 1 - one.answered / one.asked > MISSING_SHARE and not one.refused:
        yield _standout(one, "missing", 1 - one.answered / one.asked, MISSING_SHARE)
    if one.answered and one.unknown / one.answered > DONT_KNOW_SHARE:
        yield _standout(one, "dont-know", one.unknown / one.answered, DONT_KNOW_SHARE)
    if len(one.alike) >= STRAIGHT_MIN:
        yield _standout(one, "straight-line", len(one.alike), STRAIGHT_MIN, one.alike[0])
    if one.apart_km is not None and one.apart_km[1] > FAR_KM:
        yield _standout(one, "far-away", one.apart_km[1], FAR_KM, one.apart_km[0])
    for cell, number in one.numbers.items():
        fence = fences.get(path_of(cell))
        if fence and not fence[0] <= (math.log1p(number) if fence[3] else number) <= fence[1]:
            yield _standout(one, "outlier", number, fence[2], cell)


def _of_audit(one: Measured, usual_min: float | None) -> Iterator[Standout]:
    if one.active_min is not None and usual_min:
        if one.active_min < usual_min * SHORT:
            yield _standout(one, "active-short", one.active_min, usual_min)
        elif one.active_min > usual_min * LONG:
            yield _standout(one, "active-long", one.active_min, usual_min)


def _standout(one: Measured, check_id: str, figure: float, usual: float | None, cell: str = "") -> Standout:
    return Standout(one.id, check_id, cell, round(figure, 2), round(usual or 0, 2))


def _fences(records: Sequence[Measured]) -> dict[str, Fence]:
    """What is far outside, by question; amounts that are never negative are compared by order of magnitude."""
    numbers: dict[str, list[float]] = {}
    for one in records:
        for cell, number in one.numbers.items():
            numbers.setdefault(path_of(cell), []).append(number)
    fences = {}
    for question, found in numbers.items():
        is_log = min(found) >= 0
        scaled = [math.log1p(number) for number in found] if is_log else found
        if len(found) >= FEW:
            low, _, high = quantiles(scaled, n=4)
            reach = FAR_IQR * (high - low)
            if reach > 0:
                fences[question] = (low - reach, high + reach, median(found), is_log)
    return fences


def _enumerator(who: str, found: Sequence[Measured], usual: _Usual) -> Enumerator:
    minutes, active = _median(one.minutes for one in found), _median(one.active_min for one in found)
    unknown = _share_unknown(found)
    own, usual_min = (minutes, usual.minutes) if active is None else (active, usual.active_min)
    asked = sum(one.asked for one in found)
    drifts = []
    if len(found) >= FEW and own is not None and usual_min:
        drifts += ["faster"] * (own * DRIFT < usual_min) + ["slower"] * (own > usual_min * DRIFT)
    if len(found) >= FEW and unknown > max(usual.unknown, 0.01) * DRIFT:
        drifts.append("more don't-knows")
    return Enumerator(
        who,
        len(found),
        None if minutes is None else round(minutes, 1),
        round(1 - sum(one.answered for one in found) / asked, 3) if asked else 0.0,
        round(unknown, 3),
        sum(one.refused for one in found),
        tuple(drifts),
        None if active is None else round(active, 1),
    )


def _share_unknown(records: Sequence[Measured]) -> float:
    answered = sum(one.answered for one in records)
    return sum(one.unknown for one in records) / answered if answered else 0.0


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and value >= 0]
    return median(known) if known else None

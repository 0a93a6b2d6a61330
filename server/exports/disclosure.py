"""What a shared file gives away of the people in it, and what is done about it: pseudonyms, bands, a risk report. Pure.

Source: HDX, which takes microdata as safe to share when the global risk is below 3 %; sdcMicro's global risk, with the
sample taken for the population (the cautious form).
"""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from server.problems import Problem

RISK_MAX = 0.03
FEW = 5
"""A combination that fewer share is told as such. Source: k-anonymity with k = 5."""
BANDS_MAX = 50


def recipient_key(secret: bytes, project_id: int, recipient: str) -> bytes:
    """Return the key of one recipient's pseudonyms, so that two recipients cannot join their files by them."""
    return hmac.digest(secret, f"export/{project_id}/{recipient}".encode(), "sha256")


def pseudonym(key: bytes, kind: str, text: str) -> str:
    """Return what stands for a name: the same for the same name, kind and key; "" for "". kind: of what it is a name."""
    if not text:
        return ""
    return hmac.new(key, f"{kind}/{text}".encode(), hashlib.sha256).hexdigest()[:32]


def read_bands(text: str) -> dict[str, tuple[int, ...]]:
    """Return the lower bounds of bands by question: of `age=0,5,18,60;size=1,4,7`. Raises Problem 400.1."""
    found = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, _, numbers = part.partition("=")
        try:
            bounds = tuple(map(int, numbers.split(",")))
        except ValueError:
            bounds = ()
        if (
            not name
            or not bounds
            or len(bounds) > BANDS_MAX
            or any(low >= high for low, high in pairwise(bounds))
        ):
            raise Problem(400.1, f"“{part[:60]}” is no band. Write it as age=0,5,18,60: rising lower bounds.")
        found[name.strip()] = bounds
    return found


def band(bounds: Sequence[int], cell: str) -> str:
    """Return the band of a number, as `5-17`, `60+`, `<0`; "" for what is blank, `?` for what is no number."""
    if not cell:
        return ""
    try:
        number = float(cell)
    except ValueError:
        return "?"
    place = bisect_right(bounds, number)
    if place == 0:
        return f"<{bounds[0]}"
    if place == len(bounds):
        return f"{bounds[-1]}+"
    low, high = bounds[place - 1], bounds[place] - 1
    return str(low) if low == high else f"{low}-{high}"


@dataclass(frozen=True, slots=True)
class Risk:
    """How far people stand out by some answers. keys: of which. unique, few: the share of records whose combination is
    theirs alone, or shared by fewer than five. risk: the mean of 1/f, where f share a combination.
    """

    keys: tuple[str, ...]
    unique: float
    few: float
    risk: float

    @property
    def is_low(self) -> bool:
        """Whether it is below the limit."""
        return self.risk < RISK_MAX


def ladder(keys: Sequence[str], counts: Mapping[tuple[str, ...], int]) -> list[Risk]:
    """Return the risk with all keys, then without the one whose loss lowers it most, until it is low or none is left.

    counts: how many records have a combination, its answers in the order of the keys.
    """
    steps = [_risk(keys, counts)]
    while keys and not steps[-1].is_low:
        tried = []
        for place in range(len(keys)):
            fewer = (*keys[:place], *keys[place + 1 :])
            merged: Counter[tuple[str, ...]] = Counter()
            for combination, count in counts.items():
                merged[combination[:place] + combination[place + 1 :]] += count
            tried.append((_risk(fewer, merged), merged))
        best, counts = min(tried, key=lambda pair: pair[0].risk)
        keys = best.keys
        steps.append(best)
    return steps


def _risk(keys: Iterable[str], counts: Mapping[tuple[str, ...], int]) -> Risk:
    """Every combination adds 1 to the sum of 1/f, however many share it."""
    total = sum(counts.values()) or 1
    alone = sum(1 for count in counts.values() if count == 1)
    few = sum(count for count in counts.values() if count < FEW)
    return Risk(tuple(keys), alone / total, few / total, len(counts) / total)

"""Submissions that share a duplicate key: whether people still have to say what they are.

Pure functions of the set of facts, the same in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Distinction:
    """That these submissions are different records although they share a key; holds False takes it back."""

    instance_ids: tuple[str, ...]
    holds: bool
    stamp: int
    id: str


def standing(distinctions: Iterable[Distinction]) -> list[Distinction]:
    """Return those that hold: the last word about each set of submissions, by stamp."""
    last: dict[tuple[str, ...], Distinction] = {}
    for one in sorted(distinctions, key=lambda one: (one.stamp, one.id)):
        last[one.instance_ids] = one
    return [one for one in last.values() if one.holds]


def is_open(live: Collection[str], told_apart: Iterable[Collection[str]]) -> bool:
    """Return whether two of these submissions share their key and nobody said that they are different.

    live: those with the key that are not deleted. told_apart: sets of submissions that are different records.
    """
    sets = [frozenset(one) for one in told_apart]
    return any(
        not any(one in some and other in some for some in sets) for one, other in combinations(live, 2)
    )


def state_digest(members: Iterable[tuple[str, str]]) -> str:
    """Return what changes when a member, (instanceID, digest shown), comes, goes or is edited."""
    lines = (f"{instance_id}\n{digest}" for instance_id, digest in sorted(members))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

"""Erasing for good: why, as a code, so that nobody writes a name where it would stay; and what an entry is known by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Reason(StrEnum):
    """What somebody says who erases."""

    PERSON_ASKED = "person_asked"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    TAKEN_BY_MISTAKE = "taken_by_mistake"
    RETENTION_OVER = "retention_over"


FOLLOWS: Final = "follows"
"""Instead, when nobody ordered it: what came is of a record that was erased."""


@dataclass(frozen=True, slots=True)
class Names:
    """What records are known by. instance_ids: of one form. digests: SHA-256 (hex) of their bytes.

    An entry is one of an erased record when any of its names is: it was erased itself, or edits what was.
    """

    instance_ids: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> Names:
        """Return the names in the detail of an entry."""
        ids = (detail.get("instance_id"), detail.get("deprecated_id"))
        return cls(set(filter(None, ids)), set(filter(None, [detail.get("digest")])))

    def update(self, other: Names) -> None:
        """Add the names of another record."""
        self.instance_ids.update(other.instance_ids)
        self.digests.update(other.digests)

    def meets(self, other: Names) -> bool:
        """Return whether they share a name."""
        return not (
            self.instance_ids.isdisjoint(other.instance_ids) and self.digests.isdisjoint(other.digests)
        )

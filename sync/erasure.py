"""Why a record is erased for good: a code, so that nobody writes a name where it would stay."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """What somebody says who erases."""

    PERSON_ASKED = "person_asked"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    TAKEN_BY_MISTAKE = "taken_by_mistake"
    RETENTION_OVER = "retention_over"


FOLLOWS: Final = "follows"
"""Instead, when nobody ordered it: what came is of a record that was erased."""

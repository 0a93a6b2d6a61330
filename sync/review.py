"""The review state of a submission: what the last reviewer said, unless the answers have changed since.

Pure, and by no clock: a review names the heads that the reviewer had before them, so an edit that was made earlier
and arrives later still shows as `edited`. What waits for the submission it names has no effect until that is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sync.history import History


class ReviewState(StrEnum):
    """What a submission can be, beside received (None). The names are ODK Central's."""

    EDITED = "edited"
    HAS_ISSUES = "hasIssues"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Review:
    """One review. upon: digests of the heads it was made upon. id: breaks ties between equal stamps."""

    state: ReviewState | None
    upon: tuple[str, ...]
    stamp: int
    id: str


def review_state(reviews: Iterable[Review], past: History, said: int, edits: int) -> ReviewState | None:
    """Return the state of a submission.

    said: the places in its history, as bits, of what said something anew. edits: how many of them changed another.
    """
    newest = max(reviews, key=lambda review: (review.stamp, review.id), default=None)
    if newest is None:
        return ReviewState.EDITED if edits else None
    known = 0
    for place, revision in enumerate(past.order):
        if revision.digest in newest.upon:
            known |= past.ancestors[place] | 1 << place
    return ReviewState.EDITED if said & ~known else newest.state

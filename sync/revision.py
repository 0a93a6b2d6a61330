"""A revision: one state of a submission, or a decision of a person about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RevisionKind(StrEnum):
    """What a revision does.

    EDIT: bytes received, a whole instance. RESOLUTION: gives some cells a value. TOMBSTONE deletes the submission,
    RESTORE brings it back, WITHDRAWAL undoes the decision that is its only parent.
    """

    EDIT = "edit"
    RESOLUTION = "resolution"
    TOMBSTONE = "tombstone"
    RESTORE = "restore"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class Revision:
    """One node of a submission's history.

    instance_id: of a decision, one of its own, so that an edit can name it. digest: SHA-256 (hex) of the exact bytes,
    of a decision that of its facts.
    deprecated_id: the instanceID that this revision edits; of a decision, one of those it was made upon, which ties
    it to its submission. stamp: of its first receipt; carried by the entry, so the same at every node.
    parents: the digests that a decision was made upon; an edit names its parent by `deprecated_id`.
    """

    instance_id: str
    digest: str
    deprecated_id: str | None
    stamp: int
    kind: RevisionKind = RevisionKind.EDIT
    parents: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, str]:
        """What orders revisions alike at every node: first receipt, then digest."""
        return (self.stamp, self.digest)

"""A revision: one state of a submission, exactly as received."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """One node of a submission's history.

    digest: SHA-256 (hex) of the exact bytes. content_digest: of the canonical content, equal when nothing was said
    anew. deprecated_id: the instanceID that this revision edits. stamp: of its first receipt; carried by the entry,
    so the same at every node.
    """

    instance_id: str
    digest: str
    content_digest: str
    deprecated_id: str | None
    stamp: int

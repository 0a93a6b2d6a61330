"""Entries of the journal: dense sequence numbers, chained by hash, with payloads that can be dropped.

Pure: who appends (one committing writer a node) and where entries are kept is the server's business.
The chain covers headers only, so that erasure may drop a payload and the chain stays whole.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

GENESIS = bytes(32)


class Kind(StrEnum):
    """What kinds of facts there are."""

    PROJECT = "project"
    SUBMISSION = "submission"
    ATTACHMENT = "attachment"
    QUARANTINE = "quarantine"
    FORM = "form"
    FORM_MEDIA = "form_media"
    APP_USER = "app_user"


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact not yet in the journal.

    key: 32 bytes that are equal for the same fact (an exact repeat), or None when every arrival counts.
    detail: canonical JSON. body: the bytes received (an instance, an XForm), or empty.
    """

    kind: Kind
    project_id: int
    key: bytes | None
    detail: bytes
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a node's own log ends: the last sequence number, hash and stamp given."""

    origin: str
    epoch: str
    seq: int = 0
    hash: bytes = GENESIS
    stamp: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact with its place. hash covers the header fields and the hash before it."""

    origin: str
    epoch: str
    seq: int
    previous: bytes
    hash: bytes
    stamp: int
    payload_hash: bytes
    draft: Draft


def seal(head: Head, drafts: Iterable[Draft], stamps: Iterator[int]) -> Iterator[Entry]:
    """Yield the entries that follow `head`, one for each draft. `stamps` rise strictly."""
    previous, seq = head.hash, head.seq
    for draft in drafts:
        seq += 1
        stamp = next(stamps)
        payload_hash = hash_payload(draft.detail, draft.body)
        digest = hash_header(head.origin, head.epoch, seq, previous, draft.kind, stamp, payload_hash)
        yield Entry(head.origin, head.epoch, seq, previous, digest, stamp, payload_hash, draft)
        previous = digest


def hash_payload(detail: bytes, body: bytes) -> bytes:
    """Return the SHA-256 of a payload: the length of `detail` as 8 bytes, `detail`, `body`."""
    return hashlib.sha256(struct.pack(">Q", len(detail)) + detail + body).digest()


def hash_header(
    origin: str, epoch: str, seq: int, previous: bytes, kind: str, stamp: int, payload_hash: bytes
) -> bytes:
    """Return the SHA-256 that chains an entry to the one before it."""
    names = "\n".join((origin, epoch, kind)).encode()
    return hashlib.sha256(struct.pack(">QQ", seq, stamp) + previous + payload_hash + names).digest()

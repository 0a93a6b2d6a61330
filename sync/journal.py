"""Entries of the journal: dense sequence numbers, chained by hash, with payloads that can be dropped.

Pure: who appends (one committing writer a node) and where entries are kept is the server's business.
The chain covers headers only, so that erasure may drop a payload and the chain stays whole.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

GENESIS = bytes(32)


class Kind(StrEnum):
    """What kinds of facts there are."""

    PROJECT = "project"
    SUBMISSION = "submission"
    ATTACHMENT = "attachment"
    QUARANTINE = "quarantine"
    DECISION = "decision"
    REVIEW = "review"
    COMMENT = "comment"
    DISTINCT = "distinct"
    ERASURE = "erasure"
    FORM = "form"
    FORM_MEDIA = "form_media"
    FORM_STATE = "form_state"
    APP_USER = "app_user"
    ENTITY = "entity"
    CLEANING = "cleaning"
    RECODE = "recode"
    DAYS = "days"
    PLAN = "plan"
    LISTED = "listed"


FIRST_KINDS = frozenset(
    {
        *(Kind.PROJECT, Kind.SUBMISSION, Kind.ATTACHMENT, Kind.QUARANTINE, Kind.DECISION, Kind.REVIEW),
        *(Kind.COMMENT, Kind.DISTINCT, Kind.ERASURE, Kind.FORM, Kind.FORM_MEDIA, Kind.FORM_STATE),
        *(Kind.APP_USER, Kind.ENTITY, Kind.CLEANING, Kind.RECODE, Kind.DAYS, Kind.PLAN, Kind.LISTED),
    }
)
"""What every node knows that relays. A kind that is added later stays out: who knows it says so, others do not get it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What happened, as an entry holds it.

    key: 32 bytes that are equal for the same fact (an exact repeat), or None when every arrival counts.
    detail: canonical JSON. body: the bytes received (an instance, an XForm), or empty. form_id: of an instance, the
    form by which its body is compressed; no part of the fact.
    """

    kind: Kind
    project_id: int
    key: bytes | None
    detail: bytes
    body: bytes = b""
    form_id: str = ""


Hashed = tuple[Fact, bytes]
"""A fact and the SHA-256 of its payload."""


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
    fact: Fact


class BrokenChainError(Exception):
    """A log is not what was sealed; names the entry, never its payload."""

    def __init__(self, entry: Entry | Head, reason: str) -> None:
        super().__init__(f"entry {entry.seq} of {entry.origin}/{entry.epoch} {reason}")
        self.seq = entry.seq


def seal(head: Head, facts: Iterable[Fact], stamps: Iterator[int]) -> Iterator[Entry]:
    """Yield the entries that follow `head`, one for each fact. `stamps` rise strictly."""
    return seal_hashed(head, map(hashed, facts), stamps)


def hashed(fact: Fact) -> Hashed:
    """Return the fact and the hash of its payload."""
    return fact, hash_payload(fact.detail, fact.body)


def seal_hashed(head: Head, facts: Iterable[Hashed], stamps: Iterator[int]) -> Iterator[Entry]:
    """Do what `seal` does, for facts whose payload is hashed already."""
    previous, seq = head.hash, head.seq
    for fact, payload_hash in facts:
        seq += 1
        stamp = next(stamps)
        digest = hash_header(head.origin, head.epoch, seq, previous, fact.kind, stamp, payload_hash)
        yield Entry(head.origin, head.epoch, seq, previous, digest, stamp, payload_hash, fact)
        previous = digest


def verify(entries: Iterable[Entry], apart: Container[bytes] = frozenset()) -> None:
    """Check that the entries, whole logs from their first entry on, are as they were sealed.

    An entry with an empty `detail` was erased: its payload is not checked, its place in the chain is. apart: hashes of
    entries that need not follow what was seen of their log: those between are elsewhere.
    Raises BrokenChainError at the first entry that is missing, altered or out of place.
    """
    ends: dict[tuple[str, str], Head] = {}
    for entry in entries:
        log = (entry.origin, entry.epoch)
        before = ends.get(log, Head(*log))
        if entry.hash in apart:
            before = Head(*log, entry.seq - 1, entry.previous)
        elif entry.seq != before.seq + 1 or entry.previous != before.hash or entry.stamp <= before.stamp:
            raise BrokenChainError(entry, "does not follow the one before it")
        detail, body = entry.fact.detail, entry.fact.body
        if detail and hash_payload(detail, body) != entry.payload_hash:
            raise BrokenChainError(entry, "has another payload than was sealed")
        kind = entry.fact.kind
        sealed = hash_header(*log, entry.seq, before.hash, kind, entry.stamp, entry.payload_hash)
        if sealed != entry.hash:
            raise BrokenChainError(entry, "has another header than was sealed")
        ends[log] = Head(*log, entry.seq, entry.hash, entry.stamp)


def hash_payload(detail: bytes, body: bytes) -> bytes:
    """Return the SHA-256 of a payload: the length of `detail` as 8 bytes, `detail`, `body`."""
    return hashlib.sha256(struct.pack(">Q", len(detail)) + detail + body).digest()


def hash_header(
    origin: str, epoch: str, seq: int, previous: bytes, kind: str, stamp: int, payload_hash: bytes
) -> bytes:
    """Return the SHA-256 that chains an entry to the one before it."""
    names = "\n".join((origin, epoch, kind)).encode()
    return hashlib.sha256(struct.pack(">QQ", seq, stamp) + previous + payload_hash + names).digest()

"""What goes into frames and comes out of them: entries on their way, skips, and what makes them small."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import orjson

from sync.fact_keys import key_of
from sync.journal import Entry, Kind
from sync.outline import Primer

CHECK_BYTES = 8


class Payload(IntEnum):
    """What of an entry's payload travels: all of it, or nothing since it was erased or is no longer kept."""

    WHOLE = 0
    ERASED = 1
    PURGED = 2


@dataclass(frozen=True, slots=True)
class Sent:
    """One entry on its way. payload: other than WHOLE, the fact's detail and body are empty."""

    entry: Entry
    payload: Payload = Payload.WHOLE


@dataclass(frozen=True, slots=True)
class Skip:
    """Entries of a log that the receiver does not get: `first` to `last`. hash: of the last one.

    branch: "" but for a fork's other side.
    """

    origin: str
    epoch: str
    branch: str
    first: int
    last: int
    hash: bytes


class Codec(Protocol):
    """What making a frame small needs to know of the world."""

    def primer(self, project_id: int, form_id: str) -> Primer | None:
        """Return documents of this form that the receiver has too, None when there are none."""

    def find_primer(self, name: bytes) -> Primer | None:
        """Return the primer that another node calls so, None when it is not all here."""


class FrameError(Exception):
    """Bytes are no frame, or not one that this version can read. Never holds what a frame says."""


class UnknownFormError(FrameError):
    """The frame was made small by documents that the receiver does not hold: the sender has to pack it with PLAIN."""


class _Plain:
    def primer(self, project_id: int, form_id: str) -> None:
        """Know no form."""

    def find_primer(self, name: bytes) -> None:
        """Know no form."""


PLAIN: Codec = _Plain()
"""Needs nothing at the receiver."""


def check_bytes(items: Sequence[Sent | Skip]) -> bytes:
    """Return what says that a frame holds these items."""
    hashes = (item.hash if isinstance(item, Skip) else item.entry.hash for item in items)
    return hashlib.sha256(b"".join(hashes)).digest()[:CHECK_BYTES]


def read_detail(detail: bytes) -> dict[str, Any]:
    """Return what a detail says, nothing when it is no object."""
    try:
        said = orjson.loads(detail)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def form_id_of(said: Mapping[str, Any]) -> str:
    """Return the form that a detail names, "" when it names none."""
    named = said.get("form_id")
    return named if isinstance(named, str) else ""


def computed_key(kind: Kind, project_id: int, said: Mapping[str, Any]) -> bytes | None:
    """Return the key that follows from a fact's detail, None where none does."""
    try:
        return key_of(kind, project_id, said)
    except (LookupError, TypeError):
        return None

"""Entries on their way to another node: many in one frame, made small, exact when they are read again.

Pure: which entries a node is to get, and where frames travel, is the server's business. A frame stands for itself: it
can be lost, repeated and read in any order. Hashes are not sent where the receiver computes them; it checks the last.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import orjson
import zstandard

from forms.schema import FormSchema
from sync.journal import BrokenChainError, Entry, Fact, Kind, hash_header, hash_payload

MAGIC = b"CF1"
LEVEL = 9
UNPACKED_BYTES_MAX = 256_000_000
"""No honest frame unpacks to more: entries have at most some megabytes, and a frame is cut where it gets large."""


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
    """What making a frame small needs to know of the world; both sides must know the same."""

    def schema(self, project_id: int, form_id: str, version: str) -> FormSchema | None:
        """Return the schema of a form version, None where it is unknown."""


class FrameError(Exception):
    """Bytes are no frame, or not one that this version can read. Never holds what a frame says."""


class UnknownFormError(FrameError):
    """The frame was made small by a form that the receiver does not hold: the sender has to pack it with PLAIN."""


class _Plain:
    def schema(self, project_id: int, form_id: str, version: str) -> None:
        """Know no form."""


PLAIN: Codec = _Plain()
"""Needs nothing at the receiver."""


def pack(items: Sequence[Sent | Skip], codec: Codec) -> bytes:  # noqa: ARG001
    """Return these items as one frame.

    Raises BrokenChainError when an entry is not what was sealed: it must not travel as if it were.
    """
    heads, blobs = [], []
    for item in items:
        if isinstance(item, Skip):
            heads.append([item.origin, item.epoch, item.branch, item.first, item.last])
            blobs.append(item.hash)
            continue
        entry, fact = item.entry, item.entry.fact
        _check(item)
        heads.append(
            [
                entry.origin,
                entry.epoch,
                entry.seq,
                entry.stamp,
                fact.kind,
                fact.project_id,
                fact.form_id,
                fact.key is not None,
                item.payload,
                len(fact.detail),
                len(fact.body),
            ]
        )
        blobs += [entry.previous, entry.hash, entry.payload_hash, fact.key or b"", fact.detail, fact.body]
    head = orjson.dumps(heads)
    content = struct.pack(">I", len(head)) + head + b"".join(blobs)
    return MAGIC + zstandard.ZstdCompressor(LEVEL, write_checksum=True).compress(content)


def unpack(frame: bytes, codec: Codec) -> list[Sent | Skip]:  # noqa: ARG001
    """Return the items of a frame, exactly as they were packed. Raises FrameError, UnknownFormError.

    Of a fact's form_id, which is no part of it, only that of a submission is there.
    """
    if not frame.startswith(MAGIC):
        raise FrameError("This is no frame, or one of a newer version.")
    try:
        return list(_items(_decompress(frame[len(MAGIC) :])))
    except BrokenChainError as error:
        raise FrameError(f"The frame holds an {error}.") from None
    except (ValueError, TypeError, IndexError, KeyError, struct.error, zstandard.ZstdError) as error:
        raise FrameError(f"The frame is damaged ({type(error).__name__}).") from None


def _decompress(data: bytes) -> bytes:
    if zstandard.frame_content_size(data) > UNPACKED_BYTES_MAX:
        raise FrameError("The frame says that it holds more than any frame does.")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=UNPACKED_BYTES_MAX)


def _items(content: bytes) -> Iterator[Sent | Skip]:
    (size,) = struct.unpack_from(">I", content)
    heads = orjson.loads(content[4 : 4 + size])
    place = 4 + size

    def take(count: int) -> bytes:
        nonlocal place
        place += count
        if place > len(content):
            raise IndexError
        return content[place - count : place]

    for head in heads:
        if len(head) == 5:
            origin, epoch, branch, first, last = head
            yield Skip(origin, epoch, branch, first, last, take(32))
            continue
        origin, epoch, seq, stamp, kind, project_id, form_id, keyed, payload, detail, body = head
        previous, digest, payload_hash = take(32), take(32), take(32)
        fact = Fact(Kind(kind), project_id, take(32) if keyed else None, take(detail), take(body), form_id)
        entry = Entry(origin, epoch, seq, previous, digest, stamp, payload_hash, fact)
        sent = Sent(entry, Payload(payload))
        _check(sent)
        yield sent


def _check(sent: Sent) -> None:
    """Raise BrokenChainError when the entry is not what was sealed."""
    entry, fact = sent.entry, sent.entry.fact
    if sent.payload is Payload.WHOLE and hash_payload(fact.detail, fact.body) != entry.payload_hash:
        raise BrokenChainError(entry, "has another payload than was sealed")
    head = (entry.origin, entry.epoch, entry.seq, entry.previous, fact.kind, entry.stamp, entry.payload_hash)
    if hash_header(*head) != entry.hash:
        raise BrokenChainError(entry, "has another header than was sealed")

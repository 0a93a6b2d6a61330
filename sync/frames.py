"""Entries on their way to another node: many in one frame, made small, exact when they are read again.

Pure: which entries a node is to get, and where frames travel, is the server's business. A frame stands for itself: it
can be lost, repeated and read in any order. What the receiver can compute is not sent: hashes, most keys, and what a
submission's detail and its XML both say. The whole format is in docs/relay.md.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence

from zstandard import ZstdError

from sync.frame_items import (
    PLAIN,
    Codec,
    FrameError,
    Payload,
    Sent,
    Skip,
    UnknownFormError,
)
from sync.frame_parts import Version
from sync.frame_reader import FrameReader
from sync.frame_writer import FrameWriter
from sync.journal import BrokenChainError, hash_header, hash_payload

__all__ = [
    "PLAIN",
    "READS",
    "Codec",
    "FrameError",
    "Payload",
    "Sent",
    "Skip",
    "UnknownFormError",
    "Version",
    "newest_version",
    "pack",
    "unpack",
]

READS = {"frames in words": Version.IN_WORDS, "frames in turns": Version.IN_TURNS}
"""What a node calls the versions of frames that it reads, among the kinds of entries that it knows beyond the first."""


def newest_version(kinds: Iterable[str]) -> Version:
    """Return the newest version of frames that somebody reads who knows these kinds."""
    return max((READS[kind] for kind in kinds if kind in READS), default=Version.FIRST)


def pack(
    items: Sequence[Sent | Skip],
    codec: Codec,
    version: Version = Version.FIRST,
    *,
    inexact: Callable[[], object] = lambda: None,
) -> bytes:
    """Return these items as one frame, which was read again before it is trusted.

    version: that the receiver reads. inexact: called when it did not read back exactly, and stands whole in the frame.
    Raises BrokenChainError when an entry is not what was sealed: it must not travel as if it were.
    """
    try:
        frame = FrameWriter(codec, version).write(items)
        found = unpack(frame, codec)
        if len(found) == len(items) and all(map(_is_same, found, items)):
            return frame
    except FrameError:
        pass  # what follows says why, or makes one that has nothing to go wrong
    for item in items:
        if isinstance(item, Sent):
            _check(item)
    inexact()
    return FrameWriter(None).write(items)


def unpack(frame: bytes, codec: Codec) -> list[Sent | Skip]:
    """Return the items of a frame, exactly as they were packed; of a fact's form_id only that of a submission.

    Raises FrameError, UnknownFormError.
    """
    if not frame.startswith(tuple(version.magic for version in Version)):
        raise FrameError("This is no frame, or one of a newer version.")
    try:
        return FrameReader(frame, codec).read()
    except (
        ValueError,
        TypeError,
        LookupError,
        StopIteration,
        RuntimeError,
        OSError,
        struct.error,
        ZstdError,
    ) as error:
        raise FrameError(f"The frame is damaged ({type(error).__name__}).") from None


def _is_same(found: Sent | Skip, item: Sent | Skip) -> bool:
    """Whether what was read is this item.

    The reader made the hash itself, of all but the key, the project and what of the payload travels.
    """
    if isinstance(found, Skip) or isinstance(item, Skip):
        return found == item
    one, other = found.entry, item.entry
    same_fact = one.fact.key == other.fact.key and one.fact.project_id == other.fact.project_id
    return one.hash == other.hash and same_fact and found.payload is item.payload


def _check(sent: Sent) -> None:
    """Raise BrokenChainError when the entry is not what was sealed."""
    entry, fact = sent.entry, sent.entry.fact
    if sent.payload is Payload.WHOLE and hash_payload(fact.detail, fact.body) != entry.payload_hash:
        raise BrokenChainError(entry, "has another payload than was sealed")
    head = (entry.origin, entry.epoch, entry.seq, entry.previous, fact.kind, entry.stamp, entry.payload_hash)
    if hash_header(*head) != entry.hash:
        raise BrokenChainError(entry, "has another header than was sealed")

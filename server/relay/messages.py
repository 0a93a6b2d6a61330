"""What two nodes say to each other over a network: one message each way, signed by who sends and sealed to who gets it.

A message says what its sender holds, brings frames and parts of files, and asks for files. It may be repeated or lost:
nothing in it counts but what it brings.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import zstandard

from server.relay.auditing import Said, Span
from server.relay.keys import SIGNATURE_BYTES, Keys, seal, verify
from server.store.lost import Asked
from sync.logs import Have, Log, list_have, unlist_have

MAGIC = b"CR"
VERSION = 1
HEAD_BYTES_MAX = 16_000_000
LEVEL = 6
ORIGIN_CHARS = 36
SPAN, ENTRY = (str, str, int, int), (str, str, int, str)
Signed = tuple[str, str, int, str, str]
"""A head of a log that its origin signed: origin, epoch, seq, hash and signature in hex."""
ALWAYS = frozenset({"session", "clock_ms", "have"})


class MessageError(Exception):
    """It is no message, not from who it says, not to this node, or of another version. Never holds what it says."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file from `offset` on. total: the file's size."""

    sha256: str
    offset: int
    total: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """A message but for what it brings.

    session: names what was said before. have: what changed since the sender's last message of the session, or
    (is_whole) all that it holds; None when nothing did. digest: of all that it holds. unknown: it does not know what
    the receiver holds, and asks for all of it. doubted: logs of which the receiver said another chain. plain: it
    could not read a frame, and asks for frames that need no form. room: bytes that the answer may bring. asked: files
    that it lacks, as (sha256, offset). below: posts below it. former: posts that were below it. kinds: those of
    entries that it knows beyond the first. epoch: that it writes under. signed: the head of its own log wherever
    `have` says that one, and heads of the receiver's logs that the receiver seems to have lost. strangers: origins of
    which it takes nothing from the receiver. foreign: entries that it does not take now. again: entries whose
    payloads it lost. audit: what it holds of ranges of logs, differing: the ranges of the receiver's audit of which
    it holds something else. sure: files of which the sender asks whether the receiver has them, held: those of them
    that it has. waiting: records that the receiver lacks. clock_ms: since 1970.
    """

    session: str
    clock_ms: int
    digest: str
    room: int
    have: Have | None = None
    is_whole: bool = False
    unknown: bool = False
    doubted: Sequence[Log] = ()
    plain: bool = False
    asked: Sequence[tuple[str, int]] = ()
    below: Sequence[str] = ()
    former: Sequence[str] = ()
    kinds: Sequence[str] = ()
    epoch: str = ""
    signed: Sequence[Signed] = ()
    strangers: Sequence[str] = ()
    foreign: Sequence[Asked] = ()
    again: Sequence[Asked] = ()
    audit: Sequence[Said] = ()
    differing: Sequence[Span] = ()
    sure: Sequence[str] = ()
    held: Sequence[str] = ()
    waiting: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What goes one way."""

    head: Head
    frames: Sequence[bytes] = ()
    parts: Sequence[Part] = field(default=())

    @property
    def brings(self) -> bool:
        """Whether there is anything in it that is kept."""
        return bool(self.frames or self.parts)


def write(message: Message, keys: Keys, sender: str, receiver: bytes) -> bytes:
    """Return a message as it travels. sender: the origin. receiver: the public key."""
    head = {name: getattr(message.head, name) for name in Head.__slots__}
    head["have"] = None if message.head.have is None else list_have(message.head.have)
    head["frames"] = [len(frame) for frame in message.frames]
    head["parts"] = [(one.sha256, one.offset, one.total, len(one.content)) for one in message.parts]
    slim = {name: value for name, value in head.items() if value or (name in ALWAYS and value is not None)}
    packed = zstandard.ZstdCompressor(LEVEL).compress(orjson.dumps(slim))
    brought = (*message.frames, *(one.content for one in message.parts))
    content = b"".join((struct.pack(">I", len(packed)), packed, *brought))
    signed = sender.encode().ljust(ORIGIN_CHARS) + keys.sign(receiver + content) + content
    return MAGIC + bytes([VERSION]) + seal(receiver, signed)


def open_message(sealed: bytes, keys: Keys) -> tuple[str, bytes, bytes]:
    """Return who says to have sent a message, its signature and its content. Raises MessageError, KeysError."""
    if not sealed.startswith(MAGIC) or len(sealed) == len(MAGIC):
        raise MessageError("This is no message of a relay.")
    if sealed[2] != VERSION:
        raise MessageError(f"The message is of version {sealed[2]}, this node speaks version {VERSION}.")
    opened = keys.open(sealed[3:])
    sender, rest = opened[:ORIGIN_CHARS], opened[ORIGIN_CHARS:]
    return sender.decode("ascii", "replace").strip(), rest[:SIGNATURE_BYTES], rest[SIGNATURE_BYTES:]


def read(content: bytes, signature: bytes, sender: bytes, keys: Keys) -> Message:
    """Return an opened message. sender: the public key of who says to have sent it. Raises MessageError, KeysError."""
    verify(sender, keys.public + content, signature)
    try:
        (size,) = struct.unpack_from(">I", content)
        packed = content[4 : 4 + size]
        if zstandard.frame_content_size(packed) > HEAD_BYTES_MAX:
            raise MessageError("The message's head is too large.")
        head = orjson.loads(zstandard.ZstdDecompressor().decompress(packed, max_output_size=HEAD_BYTES_MAX))
        sizes, parts, place = head.pop("frames", ()), head.pop("parts", ()), 4 + size
        frames: list[bytes] = []
        for frame in sizes:
            frames.append(content[place : place + frame])
            place += frame
        brought: list[Part] = []
        for sha256, offset, total, length in parts:
            brought.append(Part(sha256, offset, total, content[place : place + length]))
            place += length
        if place != len(content):
            raise MessageError("The message is cut off.")
        return Message(_head(head), frames, brought)
    except (ValueError, TypeError, KeyError, struct.error, zstandard.ZstdError) as error:
        raise MessageError(f"The message cannot be read ({type(error).__name__}).") from None


def _head(said: Mapping[str, Any]) -> Head:
    """What is known of a head: a newer node may say more."""
    known: dict[str, Any] = {name: said[name] for name in Head.__slots__ if name in said}
    defaults: dict[str, Any] = {"digest": "", "room": 0}
    if "have" in known:
        known["have"] = unlist_have(known["have"])
    for name in ("doubted", "asked"):
        known[name] = [tuple(one) for one in known.get(name, ())]
    for name, kinds in (
        ("again", ENTRY),
        ("foreign", ENTRY),
        ("audit", (*SPAN, str)),
        ("differing", SPAN),
        ("signed", (*SPAN[:3], str, str)),
    ):
        known[name] = [
            tuple(kind(value) for kind, value in zip(kinds, one, strict=True)) for one in known.get(name, ())
        ]
    return Head(**defaults | known)

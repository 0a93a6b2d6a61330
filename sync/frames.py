"""Entries on their way to another node: many in one frame, made small, exact when they are read again.

Pure: which entries a node is to get, and where frames travel, is the server's business. A frame stands for itself: it
can be lost, repeated and read in any order. What the receiver can compute is not sent: hashes, most keys, and what a
submission's detail and its XML both say. The whole format is in docs/relay.md.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

import orjson
from zstandard import ZstdError

from sync import columns
from sync.clock import COUNTER_BITS
from sync.columns import RESERVED, Known
from sync.details import About, DetailReader, DetailWriter
from sync.fact_keys import key_of
from sync.journal import GENESIS, BrokenChainError, Entry, Fact, Kind, hash_header, hash_payload
from sync.outline import Outline, Primer

MAGIC = b"CF1"
CHECK_BYTES = 8
COUNTER_MAX = (1 << COUNTER_BITS) - 1
MODELS_MAX = 250
"""Forms in one frame; what is of further ones travels as it is."""


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


def pack(items: Sequence[Sent | Skip], codec: Codec) -> bytes:
    """Return these items as one frame, which was read again before it is trusted.

    Raises BrokenChainError when an entry is not what was sealed: it must not travel as if it were.
    """
    for item in items:
        if isinstance(item, Sent):
            _check(item)
    frame = _Writer(codec).write(items)
    try:
        exact = unpack(frame, codec) == _bare(items)
    except FrameError:
        exact = False
    return frame if exact else _Writer(None).write(items)


def unpack(frame: bytes, codec: Codec) -> list[Sent | Skip]:
    """Return the items of a frame, exactly as they were packed; of a fact's form_id only that of a submission.

    Raises FrameError, UnknownFormError.
    """
    if not frame.startswith(MAGIC):
        raise FrameError("This is no frame, or one of a newer version.")
    try:
        return _Reader(frame, codec).read()
    except (
        ValueError,
        TypeError,
        LookupError,
        StopIteration,
        RuntimeError,
        struct.error,
        ZstdError,
    ) as error:
        raise FrameError(f"The frame is damaged ({type(error).__name__}).") from None


_NOTHING = Known([])
_ENTRY_COLUMNS = 11
_SENT, _SKIP = "e", "s"
_AS_IT_IS, _NO_KEY = "p", "n"


@dataclass
class _Model:
    """The documents of a form in one frame. primer: None when they have only each other."""

    primer: Primer | None
    outline: Outline
    known: Known

    @classmethod
    def of(cls, primer: Primer | None) -> _Model:
        """Begin with what the primer says."""
        if primer is None:
            return cls(None, Outline(), _NOTHING)
        return cls(primer, primer.outline.copy(), primer.known)

    def pack(self) -> bytes:
        """Return its columns, and before them one with the marks that are new."""
        before = len(self.primer.outline.marks) if self.primer else 1
        new = self.outline.marks[before:]
        return columns.pack([new, *self.outline.columns], self.known)

    def unpack(self, part: bytes) -> list[Iterator[str]]:
        """Take the new marks up; return the columns."""
        new, *texts = columns.unpack(part, self.known)
        for mark in filter(None, new):
            self.outline.number(mark)
        return texts


class _Writer:
    """One frame on its way out; see docs/relay.md for what stands where."""

    def __init__(self, codec: Codec | None) -> None:
        self._codec = codec
        self._columns: list[list[str]] = [[] for _ in range(_ENTRY_COLUMNS)]
        self._details = DetailWriter()
        self._plain: list[bytes] = []
        self._models: dict[tuple[int, str], _Model] = {}
        self._ends: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._last: dict[int, str] = {}
        self._ms = 0

    def write(self, items: Sequence[Sent | Skip]) -> bytes:
        for item in items:
            if isinstance(item, Skip):
                self._skip(item)
            else:
                self._sent(item)
        models = list(self._models.values())
        names = [model.primer.name if model.primer else b"" for model in models]
        parts = [
            b"".join(bytes([len(name)]) + name for name in names),
            columns.pack([*self._columns, *self._details.columns], _NOTHING),
            columns.compress(b"".join(self._plain)),
            *(model.pack() for model in models),
        ]
        return MAGIC + _check_bytes(items) + b"".join(struct.pack(">I", len(part)) + part for part in parts)

    def _skip(self, skip: Skip) -> None:
        self._put_place(_SKIP, skip.origin, skip.epoch, skip.first)
        self._put(3, skip.hash.hex())
        self._put(4, str(skip.last - skip.first))
        self._put(5, skip.branch)
        self._ends[skip.origin, skip.epoch] = (skip.last, skip.hash)

    def _sent(self, sent: Sent) -> None:
        entry, fact = sent.entry, sent.entry.fact
        _, before = self._ends.get((entry.origin, entry.epoch), (0, GENESIS))
        self._put_place(_SENT, entry.origin, entry.epoch, entry.seq)
        self._put(3, "" if before == entry.previous else entry.previous.hex())
        self._ends[entry.origin, entry.epoch] = (entry.seq, entry.hash)
        ms, counter = entry.stamp >> COUNTER_BITS, entry.stamp & COUNTER_MAX
        self._put(4, f"{ms - self._ms}.{counter}" if counter else f"{ms - self._ms}")
        self._ms = ms
        self._put_changed(5, fact.kind)
        self._put_changed(6, str(fact.project_id))
        if sent.payload is Payload.WHOLE:
            self._put(7, "")
            self._put_payload(entry.stamp, fact)
        else:
            self._put(7, f"{sent.payload.value}{entry.payload_hash.hex()}")
        self._put(
            2, _NO_KEY if fact.key is None else "" if fact.key == _computed_key(fact) else fact.key.hex()
        )

    def _put_place(self, kind: str, origin: str, epoch: str, seq: int) -> None:
        """Say what comes, of which log, and its number; nothing of it when it is the entry after the last one."""
        if RESERVED.search(origin + epoch) or " " in origin:
            raise FrameError("A log has a name that no node gives itself.")
        last, _ = self._ends.get((origin, epoch), (0, b""))
        log = f"{origin} {epoch}"
        known = self._last.get(0) == log and seq == last + 1
        self._last[0] = log
        self._put(0, kind if known else f"{kind}{log}")
        if not known:
            self._put(1, str(seq))

    def _put_payload(self, stamp: int, fact: Fact) -> None:
        marked = self._put_body(fact)
        shape = self._details.write(fact.detail, About(stamp, fact.body, marked))
        self._put_changed(9, _AS_IT_IS if shape is None else str(shape))
        if shape is None:
            self._put(10, str(len(fact.detail)))
            self._plain.append(fact.detail)

    def _put_body(self, fact: Fact) -> dict[int, str]:
        """Put a body where it is smallest; return the last text of each of its marks."""
        model = self._model(fact) if fact.kind is Kind.SUBMISSION else None
        try:
            written = model.outline.write(fact.body.decode()) if model else None
        except UnicodeDecodeError:
            written = None
        if model is None or written is None:
            self._put(8, f"{_AS_IT_IS}{len(fact.body)}" if fact.body else "")
            self._plain.append(fact.body)
            return {}
        self._put(8, str(list(self._models.values()).index(model)))
        return written

    def _model(self, fact: Fact) -> _Model | None:
        if self._codec is None:
            return None
        form = (fact.project_id, _form_id(fact.detail))
        if form not in self._models:
            if len(self._models) >= MODELS_MAX:
                return None
            self._models[form] = _Model.of(self._codec.primer(*form))
        return self._models[form]

    def _put(self, column: int, text: str) -> None:
        self._columns[column].append(text)

    def _put_changed(self, column: int, text: str) -> None:
        self._put(column, "" if self._last.get(column) == text else text)
        self._last[column] = text


class _Reader:
    """One frame on its way in. Raises whatever reading what cannot be raises."""

    def __init__(self, frame: bytes, codec: Codec) -> None:
        check, *parts = _parts(frame)
        self._check = check
        self._models = [_Model.of(primer) for primer in _primers(parts[0], codec)]
        found = columns.unpack(parts[1], _NOTHING)
        self._columns = found[:_ENTRY_COLUMNS]
        self._details = DetailReader(found[_ENTRY_COLUMNS:])
        self._plain = io.BytesIO(columns.decompress(parts[2]))
        self._texts = [model.unpack(part) for model, part in zip(self._models, parts[3:], strict=True)]
        self._ends: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._last: dict[int, str] = {}
        self._log = ("", "")
        self._ms = 0

    def read(self) -> list[Sent | Skip]:
        items: list[Sent | Skip] = []
        for place in filter(None, self._columns[0]):
            seq = self._seq(place)
            items.append(self._skip(seq) if place[0] == _SKIP else self._sent(seq))
        if _check_bytes(items) != self._check:
            raise FrameError("The frame does not hold what was packed into it.")
        return items

    def _seq(self, place: str) -> int:
        if place[1:]:
            origin, epoch = place[1:].split(" ")
            self._log = (origin, epoch)
            return int(next(self._columns[1]))
        return self._ends[self._log][0] + 1

    def _skip(self, first: int) -> Skip:
        digest = bytes.fromhex(next(self._columns[3]))
        last = first + int(next(self._columns[4]))
        self._ends[self._log] = (last, digest)
        return Skip(*self._log, next(self._columns[5]), first, last, digest)

    def _sent(self, seq: int) -> Sent:
        _, before = self._ends.get(self._log, (0, GENESIS))
        text = next(self._columns[3])
        previous = bytes.fromhex(text) if text else before
        ms, _, counter = next(self._columns[4]).partition(".")
        self._ms += int(ms)
        stamp = self._ms << COUNTER_BITS | int(counter or 0)
        kind, project_id = Kind(self._changed(5)), int(self._changed(6))
        missing = next(self._columns[7])
        if missing:
            payload, detail, body = Payload(int(missing[0])), b"", b""
            payload_hash = bytes.fromhex(missing[1:])
        else:
            payload, (detail, body) = Payload.WHOLE, self._payload(stamp)
            payload_hash = hash_payload(detail, body)
        key = next(self._columns[2])
        form_id = _form_id(detail) if kind is Kind.SUBMISSION else ""
        fact = Fact(kind, project_id, None, detail, body, form_id)
        if key != _NO_KEY:
            fact = replace(fact, key=bytes.fromhex(key) if key else _computed_key(fact))
        digest = hash_header(*self._log, seq, previous, kind, stamp, payload_hash)
        self._ends[self._log] = (seq, digest)
        return Sent(Entry(*self._log, seq, previous, digest, stamp, payload_hash, fact), payload)

    def _payload(self, stamp: int) -> tuple[bytes, bytes]:
        text = next(self._columns[8])
        marked: dict[int, str] = {}
        if text[:1] == _AS_IT_IS:
            body = self._take(int(text[1:]))
        elif text:
            model = int(text)
            document, marked = self._models[model].outline.read(self._texts[model])
            body = document.encode()
        else:
            body = b""
        shape = self._changed(9)
        if shape == _AS_IT_IS:
            return self._take(int(next(self._columns[10]))), body
        return self._details.read(int(shape), About(stamp, body, marked)), body

    def _take(self, count: int) -> bytes:
        taken = self._plain.read(count)
        if len(taken) < count or count < 0:
            raise ValueError("a part ends too early")
        return taken

    def _changed(self, column: int) -> str:
        text = next(self._columns[column])
        if text:
            self._last[column] = text
        return self._last[column]


def _parts(frame: bytes) -> Iterator[bytes]:
    place = len(MAGIC) + CHECK_BYTES
    yield frame[len(MAGIC) : place]
    while place < len(frame):
        (size,) = struct.unpack_from(">I", frame, place)
        place += 4 + size
        if place > len(frame):
            raise ValueError("a part ends too early")
        yield frame[place - size : place]


def _primers(names: bytes, codec: Codec) -> Iterator[Primer | None]:
    place = 0
    while place < len(names):
        size = names[place]
        name = names[place + 1 : place + 1 + size]
        place += 1 + size
        primer = codec.find_primer(name) if name else None
        if name and primer is None:
            raise UnknownFormError("The frame was made small by a form, or by records, that are not here.")
        yield primer


def _check(sent: Sent) -> None:
    """Raise BrokenChainError when the entry is not what was sealed."""
    entry, fact = sent.entry, sent.entry.fact
    if sent.payload is Payload.WHOLE and hash_payload(fact.detail, fact.body) != entry.payload_hash:
        raise BrokenChainError(entry, "has another payload than was sealed")
    head = (entry.origin, entry.epoch, entry.seq, entry.previous, fact.kind, entry.stamp, entry.payload_hash)
    if hash_header(*head) != entry.hash:
        raise BrokenChainError(entry, "has another header than was sealed")


def _check_bytes(items: Sequence[Sent | Skip]) -> bytes:
    hashes = (item.hash if isinstance(item, Skip) else item.entry.hash for item in items)
    return hashlib.sha256(b"".join(hashes)).digest()[:CHECK_BYTES]


def _bare(items: Sequence[Sent | Skip]) -> list[Sent | Skip]:
    """The items as `unpack` gives them."""
    return [
        item if isinstance(item, Skip) else replace(item, entry=_with_form_id(item.entry)) for item in items
    ]


def _with_form_id(entry: Entry) -> Entry:
    form_id = _form_id(entry.fact.detail) if entry.fact.kind is Kind.SUBMISSION else ""
    return (
        entry if entry.fact.form_id == form_id else replace(entry, fact=replace(entry.fact, form_id=form_id))
    )


def _form_id(detail: bytes) -> str:
    """The form that a detail names, "" when it names none."""
    try:
        named = orjson.loads(detail)["form_id"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""
    return named if isinstance(named, str) else ""


def _computed_key(fact: Fact) -> bytes | None:
    try:
        return key_of(fact.kind, fact.project_id, orjson.loads(fact.detail))
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None

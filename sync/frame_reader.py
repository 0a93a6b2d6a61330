"""One frame on its way in; docs/relay.md says what stands where."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import orjson

from sync import columns
from sync.clock import COUNTER_BITS
from sync.details import About, DetailReader
from sync.frame_items import (
    CHECK_BYTES,
    Codec,
    FrameError,
    Payload,
    Sent,
    Skip,
    UnknownFormError,
    check_bytes,
    computed_key,
    form_id_of,
)
from sync.frame_parts import AS_IT_IS, ENTRY_COLUMNS, MAGIC_BYTES, NO_KEY, SKIP, STANDING, Model, Version
from sync.journal import GENESIS, Entry, Fact, Kind, hash_header, hash_payload
from sync.outline import Primer

INTEGER_MAX = 2**63 - 1
PROJECT_MAX = 2**31 - 1
"""What a store can hold."""
KINDS = {kind.value: kind for kind in Kind}


class FrameReader:
    """One frame on its way in. Raises whatever reading what cannot be raises."""

    def __init__(self, frame: bytes, codec: Codec) -> None:
        version = next(one for one in Version if frame.startswith(one.magic))
        check, *parts = _parts(frame)
        self._check = check
        self._models = [Model.of(primer, version) for primer in _primers(parts[0], codec)]
        found = columns.unpack(parts[1], STANDING)
        self._places = found[0]
        self._columns = list(map(columns.endless, found[:ENTRY_COLUMNS]))
        self._details = DetailReader(found[ENTRY_COLUMNS:])
        self._plain = io.BytesIO(columns.decompress(parts[2]) if parts[2] else b"")
        self._texts = [model.unpack(part) for model, part in zip(self._models, parts[3:], strict=True)]
        self._ends: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._last: dict[int, str] = {}
        self._log = ("", "")
        self._ms = 0
        self._project_id = 0
        self._room = columns.UNPACKED_BYTES_MAX

    def read(self) -> list[Sent | Skip]:
        """Return the items."""
        items: list[Sent | Skip] = []
        for place in filter(None, self._places):
            seq = self._seq(place)
            items.append(self._skip(seq) if place[0] == SKIP else self._sent(seq))
        if check_bytes(items) != self._check:
            raise FrameError("The frame does not hold what was packed into it.")
        return items

    def _seq(self, place: str) -> int:
        if place[1:]:
            origin, epoch = place[1:].split(" ")
            self._log = (origin, epoch)
            return _whole(next(self._columns[1]), 1)
        return self._ends[self._log][0] + 1

    def _skip(self, first: int) -> Skip:
        digest = bytes.fromhex(next(self._columns[3]))
        last = first + _whole(next(self._columns[4]), most=INTEGER_MAX - first - 1)
        self._ends[self._log] = (last, digest)
        return Skip(*self._log, next(self._columns[5]), first, last, digest)

    def _sent(self, seq: int) -> Sent:
        _, before = self._ends.get(self._log, (0, GENESIS))
        text = next(self._columns[3])
        previous = bytes.fromhex(text) if text else before
        ms, _, counter = next(self._columns[4]).partition(".")
        self._ms += int(ms)
        stamp = self._ms << COUNTER_BITS | int(counter or 0)
        if not 0 <= stamp <= INTEGER_MAX:
            raise ValueError("no clock says that")
        kind = KINDS[self._changed(5)]
        if text := next(self._columns[6]):
            self._project_id = _whole(text, most=PROJECT_MAX)
        project_id = self._project_id
        missing = next(self._columns[7])
        if missing:
            payload, detail, body = Payload(_whole(missing[0], 1)), b"", b""
            said: dict[str, Any] = {}
            payload_hash = bytes.fromhex(missing[1:])
        else:
            payload, (detail, said, body) = Payload.WHOLE, self._payload(stamp)
            payload_hash = hash_payload(detail, body)
        text = next(self._columns[2])
        key = bytes.fromhex(text) if text and text != NO_KEY else None
        if not text:
            key = computed_key(kind, project_id, said)
        form_id = form_id_of(said) if kind is Kind.SUBMISSION else ""
        fact = Fact(kind, project_id, key, detail, body, form_id)
        digest = hash_header(*self._log, seq, previous, kind, stamp, payload_hash)
        self._ends[self._log] = (seq, digest)
        return Sent(Entry(*self._log, seq, previous, digest, stamp, payload_hash, fact), payload)

    def _payload(self, stamp: int) -> tuple[bytes, dict[str, Any], bytes]:
        text = next(self._columns[8])
        marked: dict[int, str] = {}
        if text[:1] == AS_IT_IS:
            body = self._take(_whole(text[1:]))
        elif text:
            model = _whole(text)
            document, marked = self._models[model].outline.read(self._texts[model])
            body = document.encode()
            self._room -= len(body)
            if self._room < 0:
                raise ValueError("it holds more than any frame does")
        else:
            body = b""
        shape = self._changed(9)
        if shape == AS_IT_IS:
            detail = self._take(_whole(next(self._columns[10])))
            said = orjson.loads(detail)
            if not isinstance(said, dict):
                raise ValueError("a detail is no object")
            return detail, said, body
        said = self._details.read(_whole(shape), About(stamp, body, marked))
        return orjson.dumps(said), said, body

    def _take(self, count: int) -> bytes:
        taken = self._plain.read(count)
        if len(taken) < count:
            raise ValueError("a part ends too early")
        return taken

    def _changed(self, column: int) -> str:
        text = next(self._columns[column])
        if text:
            self._last[column] = text
        return self._last[column]


def _whole(text: str, least: int = 0, most: int = INTEGER_MAX) -> int:
    number = int(text)
    if not least <= number <= most:
        raise ValueError("a number is out of bounds")
    return number


def _parts(frame: bytes) -> Iterator[bytes]:
    place = MAGIC_BYTES + CHECK_BYTES
    yield frame[MAGIC_BYTES:place]
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

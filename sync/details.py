"""Details of facts, which are JSON objects, as values in columns, without names and what the frame says already.

Format: objects of the same names in the same order have one shape; each of its names has a column. A text stands there as
it is, but for U+0004: as the last object with this name said; U+0005 and a number: as the XML says under that mark of its
outline (no number: under the mark that this column named last); U+0006: the body's SHA-256; U+0007 and a number: so many
milliseconds before the entry's stamp; U+0008: the JSON that follows, which is no text. An object that JSON would write
otherwise than it stands is of no shape and stands whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from sync.clock import COUNTER_BITS
from sync.columns import RESERVED, endless

_COMMON = (
    "form_id", "instance_id", "digest", "submitter_id", "submitter_name", "device_id", "door", "received_at",
)  # fmt: skip
SHAPES = (
    (*_COMMON, "version", "deprecated_id"),
    (*_COMMON, "name", "sha256", "size", "content_type"),
)
"""Shapes that need not be sent: of a submission, of an attachment."""

SAME, MARKED, DIGEST, EARLIER, OTHER = "\x04", "\x05", "\x06", "\x07", "\x08"
FIRST_PLAIN = "\x09"
TIME_CHARS = len("2026-11-22T14:00:00.000+00:00")
DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an entry before its detail is. marked: last text of each mark of its body's outline."""

    stamp: int
    body: bytes
    marked: Mapping[int, str]


@dataclass
class _Shapes:
    shapes: list[tuple[str, ...]] = field(default_factory=lambda: list(SHAPES))
    last: dict[str, str] = field(default_factory=dict)
    named: dict[tuple[int, str], int] = field(default_factory=dict)


class DetailWriter(_Shapes):
    """Puts details into columns. columns: by shape and name."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: dict[tuple[int, str], list[str]] = {}

    @property
    def columns(self) -> list[list[str]]:
        """The columns of all shapes, in order; the first one has the shapes that are no standing ones."""
        new = [orjson.dumps(shape).decode() for shape in self.shapes[len(SHAPES) :]]
        return [[*new, ""], *(self._columns.get(place, []) for place in _places(self.shapes))]

    def write(self, detail: bytes, said: Mapping[str, Any], about: About) -> int | None:
        """Put a detail, which says this, into the columns; return its shape, None when it has none."""
        texts = list(map(_text, said.values()))
        if orjson.dumps(said) != detail or RESERVED.search("".join(texts)):
            return None
        names = tuple(said)
        if names not in self.shapes:
            if RESERVED.search("".join(names)):
                return None
            self.shapes.append(names)
        shape = self.shapes.index(names)
        for (name, value), text in zip(said.items(), texts, strict=True):
            meant = text if isinstance(value, str) else OTHER + text
            put = SAME if self.last.get(name) == meant else meant
            if put is text:
                put = self._write((shape, name), text, about)
            self.last[name] = meant
            self._columns.setdefault((shape, name), []).append(put)
        return shape

    def _write(self, place: tuple[int, str], text: str, about: About) -> str:
        if len(text) == DIGEST_CHARS and about.body and hashlib.sha256(about.body).hexdigest() == text:
            return DIGEST
        if len(text) == TIME_CHARS and (earlier := _earlier(text, about.stamp)) is not None:
            return f"{EARLIER}{earlier}"
        number = self.named.get(place)
        if number is not None and about.marked.get(number) == text:
            return MARKED
        if text:
            for number, other in about.marked.items():
                if other == text:
                    self.named[place] = number
                    return f"{MARKED}{number}"
        return text


class DetailReader(_Shapes):
    """Reads what a DetailWriter put into columns."""

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.shapes += [tuple(map(str, orjson.loads(new))) for new in columns[0] if new]
        found = dict(zip(_places(self.shapes), map(endless, columns[1:]), strict=True))
        self._columns = [
            [(name, found[number, name]) for name in shape] for number, shape in enumerate(self.shapes)
        ]
        self._values: dict[str, Any] = {}

    def read(self, shape: int, about: About) -> dict[str, Any]:
        """Return what the next detail of this shape says. Raises ValueError, LookupError, StopIteration."""
        said, values = {}, self._values
        for name, texts in self._columns[shape]:
            text = next(texts)
            if text != SAME:
                if text and text < FIRST_PLAIN:
                    text = self._meant((shape, name), text, about)
                self.last[name] = text
                values[name] = orjson.loads(text[1:]) if text[:1] == OTHER else text
            said[name] = values[name]
        return said

    def _meant(self, place: tuple[int, str], text: str, about: About) -> str:
        match text[:1]:
            case "\x05":
                if text[1:]:
                    self.named[place] = int(text[1:])
                return about.marked[self.named[place]]
            case "\x06":
                return hashlib.sha256(about.body).hexdigest()
            case "\x07":
                return _iso((about.stamp >> COUNTER_BITS) - int(text[1:]))
        return text


def _places(shapes: Sequence[tuple[str, ...]]) -> list[tuple[int, str]]:
    return [(number, name) for number, shape in enumerate(shapes) for name in shape]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _earlier(text: str, stamp: int) -> int | None:
    try:
        at = datetime.fromisoformat(text)
        milliseconds = (at - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        return None
    return (stamp >> COUNTER_BITS) - milliseconds if _iso(milliseconds) == text else None


def _iso(milliseconds: int) -> str:
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

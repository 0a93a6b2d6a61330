"""Texts in columns as bytes: what stands under one name is alike, so it is kept together and becomes small.

Format: columns joined by U+0003, the texts of a column by U+0000. In the texts an UUID (lower case) is written as U+0001
and a SHA-256 (64 hex digits) as U+0002; their bytes follow apart, since nothing compresses them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from functools import cache, cached_property

from zstandard import (
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    frame_content_size,
)

RESERVED = re.compile(r"[\x00-\x08]")
"""Characters that no text may hold: XML has none of them."""
UNPACKED_BYTES_MAX = 256_000_000
"""No honest frame unpacks to more: entries have at most some megabytes, and a frame is cut where it gets large."""

LEVEL = 12
"""Above it a record takes twice the time, and a twentieth less room."""
DICTIONARY_BYTES_MIN = 8
"""Less is none for zstd."""

_BY_CHANCE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{64}")
_MARKS = re.compile("[\x01\x02]")
_CHANCE_CHARS_MIN = 36


class Known:
    """Columns that both sides have: what others are compressed against."""

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        self._text = _join(columns, [])

    @cached_property
    def ready(self) -> ZstdCompressionDict | None:
        """What is known as zstd's dictionary; None when nothing is."""
        if len(self._text) < DICTIONARY_BYTES_MIN:
            return None
        made = ZstdCompressionDict(self._text, dict_type=DICT_TYPE_RAWCONTENT)
        made.precompute_compress(level=LEVEL)
        return made


def pack(columns: Sequence[Sequence[str]], known: Known) -> bytes:
    """Return the columns as bytes."""
    by_chance: list[bytes] = []
    text = _join(columns, by_chance)
    small = ZstdCompressor(LEVEL, dict_data=known.ready).compress(text)
    return struct.pack(">I", len(small)) + small + b"".join(by_chance)


def unpack(data: bytes, known: Known) -> list[Iterator[str]]:
    """Return an iterator over each column's texts. Raises ValueError, ZstdError, struct.error."""
    (size,) = struct.unpack_from(">I", data)
    text = decompress(data[4 : 4 + size], known.ready).decode()
    place = 4 + size

    def put_back(mark: re.Match[str]) -> str:
        nonlocal place
        width = 16 if mark[0] == "\x01" else 32
        digits = data[place : place + width].hex()
        place += width
        if len(digits) < 2 * width:
            raise ValueError("what is known by chance alone is missing")
        if width == 32:
            return digits
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    return [iter(_MARKS.sub(put_back, column).split("\x00")) for column in text.split("\x03")]


def compress(data: bytes) -> bytes:
    """Return these bytes compressed by themselves."""
    return _plain().compress(data)


def decompress(data: bytes, dictionary: ZstdCompressionDict | None = None) -> bytes:
    """Return what was compressed. Raises ValueError when it says to be too large, ZstdError."""
    if not 0 <= frame_content_size(data) <= UNPACKED_BYTES_MAX:
        raise ValueError("it says that it holds more than any frame does")
    return ZstdDecompressor(dict_data=dictionary).decompress(data)


@cache
def _plain() -> ZstdCompressor:
    return ZstdCompressor(LEVEL)


def _join(columns: Sequence[Sequence[str]], by_chance: list[bytes]) -> bytes:
    def take_out(found: re.Match[str]) -> str:
        by_chance.append(bytes.fromhex(found[0].replace("-", "")))
        return "\x01" if len(found[0]) == _CHANCE_CHARS_MIN else "\x02"

    return "\x03".join(
        "\x00".join(
            _BY_CHANCE.sub(take_out, text) if len(text) >= _CHANCE_CHARS_MIN else text for text in column
        )
        for column in columns
    ).encode()

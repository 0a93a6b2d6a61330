"""Texts in columns as bytes: what stands under one name is alike, so it is kept together and becomes small.

Format: columns joined by U+0003, the texts of a column by U+0000; at the end of a column its last text stands once for all
that follow. In the texts a random UUID (version 4, lower case) is written as U+0001 and a SHA-256 (64 hex digits, alone) as
U+0002; what they are by chance follows apart, since nothing compresses it: 30 and 64 digits in the order in which they are
met, then two bits of each UUID. The joined text is compressed by zstd, or by bzip2 where it is smaller so: large ones,
which `sync.words` may fold before (the compressed text begins with `W` then). In large texts of documents a number that
stands there once is written as U+0006 and its length, and its digits follow behind all else, twelve in 5 bytes.
"""

from __future__ import annotations

import bz2
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import accumulate, chain, repeat

from zstandard import (
    DICT_TYPE_RAWCONTENT,
    ZstdCompressionDict,
    ZstdCompressor,
    ZstdDecompressor,
    frame_content_size,
)

from sync.words import fold, unfold

RESERVED_BYTES = bytes(range(9))
RESERVED = re.compile(r"[\x00-\x08]")
"""Characters that no text may hold: XML has none of them."""
UNPACKED_BYTES_MAX = 256_000_000
"""No honest frame unpacks to more: entries have at most some megabytes, and a frame is cut where it gets large."""

LEVEL = 12
"""Above it a record takes twice the time, and a twentieth less room."""
DICTIONARY_BYTES_MIN = 8
"""Less is none for zstd."""
SORTED_BYTES_MIN = 24_000
"""From here on bzip2 is as quick, and smaller even without a dictionary."""
DIGITS_MAX = 20
"""Of a number that is written apart."""

_BZIP2, _WORDS = b"BZh", b"W"
_BY_CHANCE = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-4([0-9a-f]{3})-([89ab])([0-9a-f]{3})-([0-9a-f]{12})"
    r"|(?<![^\x00])[0-9a-f]{64}(?![^\x00])"
)
_MARKS = re.compile("[\x01\x02]")
_UUID, _DIGEST = "\x01", "\x02"
_UUID_DIGITS, _DIGEST_DIGITS = 30, 64
_VARIANTS = "89ab"
_TWO_BITS = {one: format(number, "02b") for number, one in enumerate(_VARIANTS)}
_NUMBER = re.compile("([0-9][0-9][0-9][0-9][0-9]+)")
_NUMBER_MARK = "\x06"
_LENGTH_ZERO = ord("0")
_PIECE_DIGITS, _PIECE_BYTES = 12, 5


class Known:
    """Columns that both sides have: what others are compressed against."""

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        self._text = _join(columns, []).encode()

    @cached_property
    def ready(self) -> ZstdCompressionDict | None:
        """What is known as zstd's dictionary; None when nothing is."""
        if len(self._text) < DICTIONARY_BYTES_MIN:
            return None
        made = ZstdCompressionDict(self._text, dict_type=DICT_TYPE_RAWCONTENT)
        made.precompute_compress(level=LEVEL)
        return made


def pack(
    columns: Sequence[Sequence[str]], known: Known, *, in_words: bool = False, with_numbers: bool = False
) -> bytes:
    """Return the columns as bytes.

    in_words: the receiver reads texts of many words as such. with_numbers: it reads numbers that stand apart, and no
    text has U+0006 in it.
    """
    by_chance: list[str] = []
    numbers = b""
    text = _join(columns, by_chance)
    data = text.encode()
    if with_numbers and len(data) >= SORTED_BYTES_MIN:
        text, numbers = _take_numbers(text)
        data = text.encode()
    if len(data) < SORTED_BYTES_MIN:
        small = ZstdCompressor(LEVEL, dict_data=known.ready).compress(data)
    elif in_words and (folded := fold(text)) is not None:
        small = _WORDS + bz2.compress(folded)
    else:
        small = bz2.compress(data)
    return struct.pack(">I", len(small)) + small + _as_bytes(by_chance) + numbers


def unpack(data: bytes, known: Known, *, with_numbers: bool = False) -> list[list[str]]:
    """Return each column's texts; the last one counts for all that follow. with_numbers: as for `pack`.

    Raises ValueError, OSError, ZstdError, struct.error.
    """
    (size,) = struct.unpack_from(">I", data)
    small = data[4 : 4 + size]
    text = _text_of(small, known)
    end = len(data)
    if with_numbers:
        text, end = _put_numbers_back(text, data)
    uuids, digests = text.count(_UUID), text.count(_DIGEST)
    digits = data[4 + size : end].hex()
    end = uuids * _UUID_DIGITS + digests * _DIGEST_DIGITS
    variants = format(int(digits[end:] or "0", 16), f"0{4 * len(digits[end:])}b")
    if len(digits) < end or len(variants) < 2 * uuids:
        raise ValueError("what is known by chance alone is missing")
    place = number = 0

    def put_back(mark: re.Match[str]) -> str:
        nonlocal place, number
        start = place
        if mark[0] == _DIGEST:
            place += _DIGEST_DIGITS
            return digits[start:place]
        place += _UUID_DIGITS
        variant = _VARIANTS[int(variants[number : number + 2], 2)]
        number += 2
        a, b, c, d = start + 8, start + 12, start + 15, start + 18
        return f"{digits[start:a]}-{digits[a:b]}-4{digits[b:c]}-{variant}{digits[c:d]}-{digits[d:place]}"

    def whole(column: str) -> str:
        return _MARKS.sub(put_back, column) if _UUID in column or _DIGEST in column else column

    return [whole(column).split("\x00") for column in text.split("\x03")]


def endless(texts: Sequence[str]) -> Iterator[str]:
    """Return the texts of a column, and then its last one for ever."""
    return chain(texts, repeat(texts[-1]))


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


def _text_of(small: bytes, known: Known) -> str:
    if small.startswith(_WORDS):
        return unfold(_unsort(small[len(_WORDS) :]), UNPACKED_BYTES_MAX)
    return (_unsort(small) if small.startswith(_BZIP2) else decompress(small, known.ready)).decode()


def _unsort(data: bytes) -> bytes:
    reader = bz2.BZ2Decompressor()
    text = reader.decompress(data, UNPACKED_BYTES_MAX)
    if not reader.eof:
        raise ValueError("it is cut off, or holds more than any frame does")
    return text


def _join(columns: Sequence[Sequence[str]], by_chance: list[str]) -> str:
    def take_out(found: re.Match[str]) -> str:
        by_chance.append("".join(found.groups("")) or found[0])
        return _UUID if found[1] else _DIGEST

    joined = []
    for column in columns:
        end = len(column)
        while end > 1 and column[end - 1] == column[end - 2]:
            end -= 1
        text = "\x00".join(column[:end])
        if "-4" in text or _DIGEST_DIGITS in map(len, column):
            text = _BY_CHANCE.sub(take_out, text)
        joined.append(text)
    return "\x03".join(joined)


def _take_numbers(text: str) -> tuple[str, bytes]:
    """Return the text without the digits of numbers that stand in it once, and those."""
    parts = _NUMBER.split(text)
    once = {
        number for number, times in Counter(parts[1::2]).items() if times == 1 and len(number) <= DIGITS_MAX
    }
    taken = ""
    for place in range(1, len(parts), 2):
        if (number := parts[place]) in once:
            taken += number
            parts[place] = f"{_NUMBER_MARK}{chr(_LENGTH_ZERO + len(number))}"
    pieces = (taken[start : start + _PIECE_DIGITS] for start in range(0, len(taken), _PIECE_DIGITS))
    digits = b"".join(int(one.ljust(_PIECE_DIGITS, "0")).to_bytes(_PIECE_BYTES, "big") for one in pieces)
    return "".join(parts), digits


def _put_numbers_back(text: str, data: bytes) -> tuple[str, int]:
    """Return the text with the numbers whose digits end these bytes, and where they begin. Raises ValueError."""
    first, *parts = text.split(_NUMBER_MARK)
    counts = [ord(part[:1] or "\0") - _LENGTH_ZERO for part in parts]
    begin = len(data) - -(-sum(counts) // _PIECE_DIGITS) * _PIECE_BYTES
    if begin < 0 or min(counts, default=0) < 0:
        raise ValueError("numbers are missing")
    pieces = (data[start : start + _PIECE_BYTES] for start in range(begin, len(data), _PIECE_BYTES))
    digits = "".join(f"{int.from_bytes(piece, 'big'):0{_PIECE_DIGITS}}" for piece in pieces)
    ends = list(accumulate(counts))
    found = (
        digits[end - count : end] + part[1:] for end, count, part in zip(ends, counts, parts, strict=True)
    )
    return first + "".join(found), begin


def _as_bytes(by_chance: Sequence[str]) -> bytes:
    """What was taken out, the variant of each UUID (its 16th digit) at the end."""
    digits = "".join(one if len(one) == _DIGEST_DIGITS else one[:15] + one[16:] for one in by_chance)
    variants = "".join([_TWO_BITS[one[15]] for one in by_chance if len(one) < _DIGEST_DIGITS])
    variants += "0" * (-len(variants) % 8)
    return bytes.fromhex(digits) + int(variants or "0", 2).to_bytes(len(variants) // 8, "big")

"""Large texts in fewer bytes: each character is one, and so is each word, or each text of a column, that comes often.

What compresses them then has a quarter to read, and bzip2, which is slow where much is repeated, half of the work. Format:
how many characters there are (1 byte); u32 of a table in UTF-8, the characters one after the other and then the words,
joined by U+0003; then the text, each byte the number of a character or word in the table.
"""

from __future__ import annotations

import codecs
import struct
from collections import Counter
from itertools import count

BLANKS_MIN = 1 / 20
"""Of the characters of a text: in one with fewer, whole texts of columns repeat rather than words."""
CHARS_MIN = 100_000
"""Of a text with few blanks: in a shorter one the table takes what it saves."""
CHARS_MAX = 200
CODES = 256
UNDEFINED = "\ufffe"
"""What `codecs` has for no character."""

_HEAD = struct.Struct(">BI")
_REPEATS_MIN = 8
"""What a word in the table costs is worth so many repetitions of it."""


def fold(text: str) -> bytes | None:
    """Return a text in fewer bytes; None when that is no gain, or it has too many characters that differ."""
    has_words = text.count(" ") >= BLANKS_MIN * len(text)
    if not has_words and len(text) < CHARS_MIN:
        return None
    counts = Counter(words := _words(text) if has_words else _texts(text))
    known = set("".join(counts))
    if not 0 < len(known) <= CHARS_MAX or UNDEFINED in known:
        return None
    chars = "".join(sorted(known))
    free = [char for char in map(chr, range(CODES, 3 * CODES)) if char not in known]
    gains = [(times * (len(word) - 1), word) for word, times in counts.items() if times > _REPEATS_MIN]
    best = sorted([(gain, word) for gain, word in gains if gain > _REPEATS_MIN * len(word)], reverse=True)
    often = {word for _, word in best[: CODES - len(chars)] if "\x03" not in word}
    codes = dict(zip(filter(often.__contains__, counts), free, strict=False))
    table = (chars + "\x03".join(codes)).encode()
    numbers = codecs.charmap_build(chars + "".join(codes.values()))
    folded = "".join([codes.get(word, word) for word in words])
    return _HEAD.pack(len(chars), len(table)) + table + codecs.charmap_encode(folded, "strict", numbers)[0]


def _words(text: str) -> list[str]:
    """Return the words, each with the blank behind it, and between them what ends a text or a column."""
    cut = _unused(text)
    parts = text.replace(" ", f" {cut}").replace("\x00", f"{cut}\x00{cut}").replace("\x03", f"{cut}\x03{cut}")
    return parts.split(cut)


def _texts(text: str) -> list[str]:
    """Return the texts of the columns, each with what ends it."""
    cut = _unused(text)
    return text.replace("\x00", f"\x00{cut}").replace("\x03", f"\x03{cut}").split(cut)


def _unused(text: str) -> str:
    return next(char for char in map(chr, count(CODES)) if char not in text)


def unfold(data: bytes, size_max: int) -> str:
    """Return the text. Raises ValueError, also when it is longer than size_max, LookupError, struct.error."""
    count, size = _HEAD.unpack_from(data)
    table = data[_HEAD.size : _HEAD.size + size].decode()
    known = dict(enumerate([*table[:count], *table[count:].split("\x03")]))
    numbers = data[_HEAD.size + size :]
    may_be_long = len(numbers) * max(map(len, known.values())) > size_max
    if may_be_long and sum(times * len(known[one]) for one, times in Counter(numbers).items()) > size_max:
        raise ValueError("it holds more than any frame does")
    return codecs.charmap_decode(numbers, "strict", known)[0]

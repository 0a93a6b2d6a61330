"""Large texts of many words in fewer bytes: each character is one, and so is each word that comes often.

What compresses them then has a quarter to read. Format: how many characters there are (1 byte); u32 of a table in UTF-8,
the characters one after the other and then the words, joined by U+0003; then the text, each byte the number of a character
or word in the table.
"""

from __future__ import annotations

import re
import struct
from collections import Counter

BLANKS_MIN = 1 / 20
"""Of the characters of a text: in one with fewer, words are no gain."""
CHARS_MAX = 200
CODES = 256

_WORD = re.compile(r"[^\x00\x03 ]+ ?|[\x00\x03 ]")
_HEAD = struct.Struct(">BI")
_REPEATS_MIN = 8
"""What a word in the table costs is worth so many repetitions of it."""


def fold(text: str) -> bytes | None:
    """Return a text in fewer bytes; None when it has few words, or too many characters that differ."""
    chars = sorted(set(text))
    if text.count(" ") < BLANKS_MIN * len(text) or not 0 < len(chars) <= CHARS_MAX:
        return None
    words = _WORD.findall(text)
    counts = Counter(words)
    gains = ((count * (len(word) - 1), word) for word, count in counts.items() if len(word) > 1)
    best = sorted(((gain, word) for gain, word in gains if gain > _REPEATS_MIN * len(word)), reverse=True)
    often = [word for _, word in best[: CODES - len(chars)]]
    codes = {one: bytes([number]) for number, one in enumerate([*chars, *often])}
    folded = {word: codes.get(word) or b"".join([codes[char] for char in word]) for word in counts}
    table = ("".join(chars) + "\x03".join(often)).encode()
    return _HEAD.pack(len(chars), len(table)) + table + b"".join([folded[word] for word in words])


def unfold(data: bytes, size_max: int) -> str:
    """Return the text. Raises ValueError, also when it is longer than size_max, LookupError, struct.error."""
    count, size = _HEAD.unpack_from(data)
    table = data[_HEAD.size : _HEAD.size + size].decode()
    known = [*table[:count], *table[count:].split("\x03")]
    numbers = data[_HEAD.size + size :]
    if sum(times * len(known[number]) for number, times in Counter(numbers).items()) > size_max:
        raise ValueError("it holds more than any frame does")
    return "".join([known[number] for number in numbers])

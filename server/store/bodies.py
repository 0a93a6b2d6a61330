"""The journal's bodies on disk: compressed with a dictionary made of the form itself, never of anybody's answers.

A dictionary is named by its content and kept for ever, so that what was once written can be read.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache, partial

from sqlalchemy import Connection, select
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdCompressor, ZstdDecompressor

from server.store.dialect import insert_ignore
from server.store.tables import dictionary

LEVEL = 3
SMALL_BYTES = 200
"""Below this nothing is gained."""
NO_DICTIONARY = 0
REMEMBER_S = 10.0

Packed = tuple[int | None, bytes]
"""The dictionary's number (0: none; None: not compressed), and the bytes to store."""


def pack(connection: Connection, wanted: Sequence[tuple[int, str, bytes]]) -> list[Packed]:
    """Return bodies as they are stored. wanted: (project_id, form_id, body) of each.

    Those with one dictionary are compressed by one call: Python is left to other threads once, and not for each.
    """
    found: list[Packed] = [(None, body) for _, _, body in wanted]
    by_number: dict[int, list[int]] = {}
    newest = cache(partial(newest_dictionary, connection))
    for index, (project_id, form_id, body) in enumerate(wanted):
        if len(body) >= SMALL_BYTES:
            number = newest(project_id, form_id) if form_id else NO_DICTIONARY
            by_number.setdefault(number, []).append(index)
    for number, indexes in by_number.items():
        whole: list[bytes | bytearray | memoryview] = [wanted[index][2] for index in indexes]
        made = _compressor(connection, number).multi_compress_to_buffer(whole)
        for place, index in enumerate(indexes):
            if len(made[place]) < len(whole[place]):
                found[index] = number, made[place].tobytes()
    return found


def unpack(connection: Connection, codec: int | None, stored: bytes | None) -> bytes:
    """Return the exact bytes of a body, b"" when it was erased."""
    return unpacker(connection)(codec, stored)


def unpacker(connection: Connection) -> Callable[[int | None, bytes | None], bytes]:
    """Return `unpack` for many bodies: a decompressor is 0.2 MB, and takes half as long to make as to use."""

    @cache
    def decompressor(number: int) -> ZstdDecompressor:
        return ZstdDecompressor(dict_data=_load(connection, number) if number else None)

    def unpack(codec: int | None, stored: bytes | None) -> bytes:
        return stored or b"" if stored is None or codec is None else decompressor(codec).decompress(stored)

    return unpack


def add_dictionary(connection: Connection, project_id: int, form_id: str, stamp: int, data: bytes) -> None:
    """Keep a dictionary; the newest of a form is used from then on."""
    number = int.from_bytes(hashlib.sha256(data).digest()[:8], signed=True) or 1
    row = {"id": number, "project_id": project_id, "form_id": form_id, "stamp": stamp, "data": data}
    insert_ignore(connection, dictionary, [row])


def newest_dictionary(connection: Connection, project_id: int, form_id: str) -> int:
    """Return the number of a form's newest dictionary, NO_DICTIONARY when it has none."""
    remembered: dict[tuple[int, str], tuple[float, int]] = connection.info.setdefault("dictionaries", {})
    expires, number = remembered.get((project_id, form_id), (0.0, NO_DICTIONARY))
    if expires < time.monotonic():
        query = (
            select(dictionary.c.id)
            .where(dictionary.c.project_id == project_id, dictionary.c.form_id == form_id)
            .order_by(dictionary.c.stamp.desc())
            .limit(1)
        )
        number = connection.execute(query).scalar() or NO_DICTIONARY
        remembered[project_id, form_id] = (time.monotonic() + REMEMBER_S, number)
    return number


def _load(connection: Connection, number: int) -> ZstdCompressionDict:
    if number not in _loaded:
        data = connection.execute(select(dictionary.c.data).where(dictionary.c.id == number)).scalar_one()
        _loaded[number] = ZstdCompressionDict(data, dict_type=DICT_TYPE_RAWCONTENT)
        _loaded[number].precompute_compress(level=LEVEL)
    return _loaded[number]


def _compressor(connection: Connection, number: int) -> ZstdCompressor:
    """One for each thread: they cannot be shared, and making one costs half of what it does."""
    made: dict[int, ZstdCompressor] = _of_thread.__dict__.setdefault("compressors", {})
    if number not in made:
        known = _load(connection, number) if number else None
        made[number] = ZstdCompressor(LEVEL, dict_data=known, write_checksum=False)
    return made[number]


_of_thread = threading.local()
_loaded: dict[int, ZstdCompressionDict] = {}
"""By number, which their content gives: the same for every store."""

"""What makes frames small: made-up records of a form, which every node has, and records that the receiver has already.

A primer's name says all that the receiver needs to find the same documents; where it cannot, it asks for a plain frame.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

import orjson
from sqlalchemy import ColumnElement, Connection, func, select

from server.store import bodies, logs
from server.store.tables import dictionary, journal
from sync.journal import Kind
from sync.logs import Have, Log
from sync.outline import Primer

DOCUMENT = re.compile(rb"(?=<\?xml )")
FEW = 64
"""More records in one frame make each other small enough."""
BLOCK = 256
"""The records before a multiple of it are made ready once, and serve for as many entries."""
WINDOW = 512
RECORDS_MAX = 200
PRIMERS_KEPT = 16

_MADE_UP = struct.Struct(">q")
_WITH_RECORDS = struct.Struct(">q8sQ4s")


class StoreCodec:
    """The codec of frames over a store, for one transaction. said: what the receiver holds, to be made use of."""

    def __init__(self, connection: Connection, said: Have | None = None) -> None:
        self._connection = connection
        self._said = said or {}

    def primer(self, project_id: int, form_id: str) -> Primer | None:
        """Return made-up records of a form's newest version, and those that the receiver has of this node's log."""
        number = bodies.newest_dictionary(self._connection, project_id, form_id)
        if not number:
            return None
        log, own = logs.own_log(self._connection)
        held = max((one.last for one in self._said.get(log, ()) if one.last <= own.last), default=0)
        end = held // BLOCK * BLOCK
        return self._with_records(number, log, end) if end else self._made_up(number)

    def find_primer(self, name: bytes) -> Primer | None:
        """Return the documents of this name, None where they are not all here."""
        if len(name) == _MADE_UP.size:
            return self._made_up(*_MADE_UP.unpack(name))
        if len(name) != _WITH_RECORDS.size:
            return None
        number, digest, end, _ = _WITH_RECORDS.unpack(name)
        for log in logs.read_chains(self._connection):
            if _digest("\n".join(log).encode())[:8] == digest:
                found = self._with_records(number, log, end)
                return found if found and found.name == name else None
        return None

    def _made_up(self, number: int) -> Primer | None:
        if (known := _kept.find((number,))) is not None:
            return known
        query = select(dictionary.c.data).where(dictionary.c.id == number)
        data = self._connection.execute(query).scalar()
        if data is None:
            return None
        return _kept.keep((number,), Primer(_MADE_UP.pack(number), made_up(bytes(data))))

    def _with_records(self, number: int, log: Log, end: int) -> Primer | None:
        """The made-up records and then the newest of the form in this log up to `end`; what is erased is none."""
        base = self._made_up(number)
        if base is None or end < 1:
            return None
        here = self._connection.execute(select(func.count()).where(*_in_window(log, end))).scalar_one()
        own, _ = logs.own_log(self._connection)
        key = (number, own[0], log, end, here)
        if (known := _kept.find(key)) is not None:
            return known
        form = self._connection.execute(
            select(dictionary.c.project_id, dictionary.c.form_id).where(dictionary.c.id == number)
        ).one()
        columns = (journal.c.hash, journal.c.detail, journal.c.codec, journal.c.body)
        mine = (*_in_window(log, end), journal.c.project_id == form.project_id)
        rows = self._connection.execute(select(*columns).where(*mine).order_by(journal.c.seq)).all()
        rows = [row for row in rows if orjson.loads(row.detail).get("form_id") == form.form_id]
        rows = rows[-RECORDS_MAX:]
        said = _digest("\n".join(log).encode())[:8], end, _digest(*(bytes(row.hash) for row in rows))[:4]
        documents = [bodies.unpack(self._connection, row.codec, row.body) for row in rows]
        primer = Primer(_WITH_RECORDS.pack(number, *said), [*base.documents, *documents])
        return _kept.keep(key, primer)


def made_up(data: bytes) -> list[bytes]:
    """Return the whole records among those that a form's dictionary was made of."""
    return DOCUMENT.split(data)[1:]


class _Kept:
    """Primers, remembered: reading the records and preparing zstd takes tens of milliseconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._primers: OrderedDict[tuple[object, ...], Primer] = OrderedDict()

    def find(self, key: tuple[object, ...]) -> Primer | None:
        with self._lock:
            if key in self._primers:
                self._primers.move_to_end(key)
            return self._primers.get(key)

    def keep(self, key: tuple[object, ...], primer: Primer) -> Primer:
        """Remember a primer instead of those that differ in the last part of the key: something of them was erased."""
        with self._lock:
            for other in [other for other in self._primers if other[:-1] == key[:-1] and key[1:]]:
                del self._primers[other]
            self._primers[key] = primer
            while len(self._primers) > PRIMERS_KEPT:
                self._primers.popitem(last=False)
        return primer


_kept = _Kept()


def _in_window(log: Log, end: int) -> Iterable[ColumnElement[bool]]:
    return (
        journal.c.origin == log[0],
        journal.c.epoch == log[1],
        journal.c.seq.between(end - WINDOW + 1, end),
        journal.c.kind == Kind.SUBMISSION,
        journal.c.detail.is_not(None),
    )


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()

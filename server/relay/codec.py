"""What makes frames small: made-up records of the forms that this store holds, the same at every node."""

from __future__ import annotations

import re
import struct
from functools import lru_cache

from sqlalchemy import Connection, select

from server.store import bodies
from server.store.tables import dictionary
from sync.outline import Primer

DOCUMENT = re.compile(rb"(?=<\?xml )")
PRIMERS_KEPT = 32


class StoreCodec:
    """The codec of frames over a store, for one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def primer(self, project_id: int, form_id: str) -> Primer | None:
        """Return the made-up records of a form's newest version; every node that has the form has them."""
        number = bodies.newest_dictionary(self._connection, project_id, form_id)
        return self.find_primer(struct.pack(">q", number)) if number else None

    def find_primer(self, name: bytes) -> Primer | None:
        """Return the made-up records of this name, None where the form is not here or was filled otherwise."""
        if len(name) != struct.calcsize(">q"):
            return None
        (number,) = struct.unpack(">q", name)
        data = self._connection.execute(select(dictionary.c.data).where(dictionary.c.id == number)).scalar()
        return _primer(name, bytes(data)) if data is not None else None


@lru_cache(maxsize=PRIMERS_KEPT)
def _primer(name: bytes, data: bytes) -> Primer:
    """Remembered, since reading the records and preparing zstd takes some milliseconds."""
    return Primer(name, made_up(data))


def made_up(data: bytes) -> list[bytes]:
    """Return the whole records among those that a form's dictionary was made of."""
    return DOCUMENT.split(data)[1:]

"""The frames of a session: what the other side lacks is packed for it, and what it sent is read.

What it is to get is chosen elsewhere; here is how much goes into a frame and a message, and what was given already.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Sequence
from itertools import chain

from sqlalchemy import Connection

from server.relay import mending
from server.relay.choosing import choose, read_due
from server.relay.codec import FEW, StoreCodec
from server.relay.messages import Head
from server.relay.packing import Packing
from server.relay.scope import Scope
from server.store import lost
from server.store.lost import Asked
from sync.frames import PLAIN, Sent, Skip, UnknownFormError, newest_version, unpack
from sync.logs import Have

RATIO = 0.05
"""What a frame is of its entries, at first; then as the last one was."""
RAW_BYTES_MAX = 8_000_000
"""Of the entries in one frame: many together become smaller."""
SKIP_BYTES = 100

log = logging.getLogger("chapar.relay")


class Frames:
    """What is known of the frames of a session while it lasts.

    receiver: its origin. due: positions of the entries in the last message that the other side was owed. wants_plain: it
    made frames small by what is not here.
    """

    def __init__(self, receiver: str) -> None:
        self.packing = Packing(receiver)
        self.due: list[int] = []
        self.wants_plain = False
        self._is_plain = False
        self._again: Sequence[Asked] = ()
        self._given: set[Asked] = set()
        self._ratio = RATIO

    def go_on(self, head: Head) -> None:
        """Take up what the other side says of the frames it got: what it asks for again, and how it can read them."""
        self.due = []
        self._again = [one for one in head.again if one not in self._given]
        self._is_plain = self._is_plain or head.plain

    def write(
        self, connection: Connection, scope: Scope, said: Have, foreign: Container[Asked], room: int
    ) -> tuple[list[bytes], bool]:
        """Return what the other side lacks, as frames, and whether there is more of it than there is room.

        said: what it holds. foreign: what it does not take now.
        """
        frames: list[bytes] = []
        items: list[Sent | Skip] = []
        raw = 0
        due = read_due(connection, scope)
        again = mending.answer(connection, scope, self._again[: mending.ASKED_MAX])
        self.due = []
        self._given.update(self._again)
        rest: Iterable[Sent | Skip] = chain(again, choose(connection, scope, said))
        taken = (one for one in rest if isinstance(one, Skip) or lost.name_of(one.entry) not in foreign)
        for position, item in chain(due.items(), ((0, one) for one in taken)):
            items.append(item)
            if position:
                self.due.append(position)
            raw += size_of(item)
            if raw >= room / self._ratio or raw >= RAW_BYTES_MAX:
                frames.append(self._pack(connection, scope, said, items, raw))
                items, raw = [], 0
                if sum(map(len, frames)) >= room:
                    return frames, True
        if items:
            frames.append(self._pack(connection, scope, said, items, raw))
        return frames, False

    def read(self, connection: Connection, frames: Sequence[bytes]) -> list[Sent | Skip]:
        """Return what stands in frames; of those that cannot be read here nothing. Raises FrameError."""
        items: list[Sent | Skip] = []
        self.wants_plain = False
        for frame in frames:
            try:
                items += unpack(frame, StoreCodec(connection))
            except UnknownFormError:
                self.wants_plain = True
        return items

    def _pack(
        self, connection: Connection, scope: Scope, said: Have, items: Sequence[Sent | Skip], raw: int
    ) -> bytes:
        codec = StoreCodec(connection, said if len(items) <= FEW else None)
        version = newest_version(scope.kinds)
        frame = self.packing.pack(items, PLAIN if self._is_plain else codec, version)
        self._ratio = max(len(frame) / raw, 0.01)
        return frame


def size_of(item: Sent | Skip) -> int:
    """Return about how many bytes an item is of."""
    if isinstance(item, Skip):
        return SKIP_BYTES
    return len(item.entry.fact.detail) + len(item.entry.fact.body) + SKIP_BYTES

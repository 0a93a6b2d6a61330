"""Frames as they are sent, over a network and in bundles: what is damaged goes without payload, what is inexact is told."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from server.relay import mending
from sync.frames import PLAIN, Codec, Sent, Skip, Version, pack
from sync.journal import BrokenChainError

log = logging.getLogger("chapar.relay")


class Packing:
    """Packs what goes to one node. inexact: frames that did not read back exactly, and went whole."""

    def __init__(self, receiver: str) -> None:
        self._receiver = receiver
        self.inexact = 0

    def pack(self, items: Sequence[Sent | Skip], codec: Codec, version: Version) -> bytes:
        """Return the frame of these items. version: that the receiver reads."""
        try:
            return pack(items, codec, version, inexact=self._count)
        except BrokenChainError as error:
            log.error("%s: it cannot be sent", error)
            return pack(mending.without_damage(items), PLAIN, inexact=self._count)

    def _count(self) -> None:
        self.inexact += 1
        if self.inexact == 1:
            log.warning("%s: a frame for it did not read back exactly, and goes whole", self._receiver)

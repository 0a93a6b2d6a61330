"""Files that entries of other nodes name: asked for where they lack, in parts that go on where they were cut off.

What a file is called is its SHA-256: nothing counts as here before it is whole and has that digest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import delete, select

from server import projection
from server.node import Node
from server.relay.messages import Part
from server.store import dropping
from server.store.dialect import insert_ignore
from server.store.engine import reading, writing
from server.store.tables import wanted

ASKED_MAX = 32
PART_BYTES_MIN = 1000

log = logging.getLogger("chapar.relay")


class Files:
    """Files on their way from one node and to it. peer: its origin."""

    def __init__(self, node: Node, peer: str) -> None:
        self._node = node
        self._folder = node.settings.data / "tmp"
        self._peer = peer

    def list_asked(self, limit: int = ASKED_MAX) -> list[tuple[str, int]]:
        """Return (sha256, offset) of up to `limit` files that lack, small before large."""
        asked: list[tuple[str, int]] = []
        with reading(self._node.engine) as connection:
            rows = connection.execute(
                select(wanted.c.sha256).order_by(wanted.c.size, wanted.c.sha256)
            ).scalars()
            names = list(rows)
            gone = dropping.list_dropped_blobs(connection, names)
        settled = []
        for sha256 in names:
            if len(asked) >= limit:
                break
            if sha256 in gone or self._node.blobs.has(sha256):
                settled.append(sha256)
            else:
                asked.append((sha256, self._offset(sha256)))
        self._settle(settled)
        return asked

    def list_held(self, unsure: Sequence[str]) -> list[str]:
        """Return those of these files that are here; the others lack from now on."""
        held = [one for one in unsure if self._node.blobs.has(one)]
        if missing := sorted(set(unsure).difference(held)):
            with writing(self._node.engine) as connection:
                insert_ignore(connection, wanted, [{"sha256": one, "size": 0} for one in missing])
        return held

    def read_parts(self, asked: Sequence[tuple[str, int]], room: int) -> Iterator[Part]:
        """Yield parts of those files that are here, as much as there is room for."""
        for sha256, offset in asked:
            if room < PART_BYTES_MIN:
                return
            total = self._node.blobs.size(sha256)
            if total is None or offset > total:  # as much as there is: it could not be kept, and is to be now
                continue
            content = self._node.blobs.read_range(sha256, offset, min(room, total - offset))
            room -= len(content)
            yield Part(sha256, offset, total, content)

    def keep(self, part: Part) -> None:
        """Keep a part; with the last one the file is here."""
        if part.offset != self._offset(part.sha256) or not self._is_wanted(part.sha256):
            return
        path = self._path(part.sha256)
        with path.open("ab") as file:
            file.write(part.content)
        if path.stat().st_size < part.total:
            return
        with self._node.blobs.open_upload() as upload:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    upload.write(chunk)
            if upload.sha256 == part.sha256:
                self._node.blobs.keep(upload)
                self._settle([part.sha256])
                projection.join_by_lists(self._node.engine, self._node.schemas, [part.sha256])
            else:
                log.warning("a file came altered, and is asked for again")
        path.unlink()

    def _settle(self, digests: Sequence[str]) -> None:
        if digests:
            with writing(self._node.engine) as connection:
                connection.execute(delete(wanted).where(wanted.c.sha256.in_(digests)))

    def _is_wanted(self, sha256: str) -> bool:
        with reading(self._node.engine) as connection:
            return (
                connection.execute(select(wanted.c.sha256).where(wanted.c.sha256 == sha256)).first()
                is not None
            )

    def _offset(self, sha256: str) -> int:
        with suppress(FileNotFoundError):
            return self._path(sha256).stat().st_size
        return 0

    def _path(self, sha256: str) -> Path:
        return self._folder / f"relay-{self._peer}-{sha256}"

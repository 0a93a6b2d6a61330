"""One frame on its way out; docs/relay.md says what stands where."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from sync import columns
from sync.clock import COUNTER_BITS
from sync.columns import RESERVED
from sync.details import About, DetailWriter
from sync.frame_items import (
    Codec,
    FrameError,
    Payload,
    Sent,
    Skip,
    check_bytes,
    computed_key,
    form_id_of,
    read_detail,
)
from sync.frame_parts import (
    AS_IT_IS,
    ENTRY_COLUMNS,
    NO_KEY,
    SENT,
    SKIP,
    STANDING,
    Model,
    Version,
)
from sync.journal import GENESIS, Fact, Kind

MODELS_MAX = 250
"""Forms in one frame; what is of further ones travels as it is."""
COUNTER_MAX = (1 << COUNTER_BITS) - 1


class FrameWriter:
    """Writes one frame.

    codec: None to make nothing small that could go wrong. version: that the receiver reads.
    """

    def __init__(self, codec: Codec | None, version: Version = Version.FIRST) -> None:
        self._codec = codec
        self._version = version
        self._columns: list[list[str]] = [[] for _ in range(ENTRY_COLUMNS)]
        self._details = DetailWriter()
        self._plain: list[bytes] = []
        self._models: dict[tuple[int, str], Model] = {}
        self._ends: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._last: dict[int, str] = {}
        self._ms = 0

    def write(self, items: Sequence[Sent | Skip]) -> bytes:
        """Return the frame of these items."""
        for item in items:
            if isinstance(item, Skip):
                self._skip(item)
            else:
                self._sent(item)
        self._put(0, "")
        models = list(self._models.values())
        names = [model.primer.name if model.primer else b"" for model in models]
        parts = [
            b"".join(bytes([len(name)]) + name for name in names),
            columns.pack([*self._columns, *self._details.columns], STANDING),
            columns.compress(b"".join(self._plain)) if self._plain else b"",
            *(model.pack(self._version) for model in models),
        ]
        return (
            self._version.magic
            + check_bytes(items)
            + b"".join(struct.pack(">I", len(part)) + part for part in parts)
        )

    def _skip(self, skip: Skip) -> None:
        self._put_place(SKIP, skip.origin, skip.epoch, skip.first)
        self._put(3, skip.hash.hex())
        self._put(4, str(skip.last - skip.first))
        self._put(5, skip.branch)
        self._ends[skip.origin, skip.epoch] = (skip.last, skip.hash)

    def _sent(self, sent: Sent) -> None:
        entry, fact = sent.entry, sent.entry.fact
        _, before = self._ends.get((entry.origin, entry.epoch), (0, GENESIS))
        self._put_place(SENT, entry.origin, entry.epoch, entry.seq)
        self._put(3, "" if before == entry.previous else entry.previous.hex())
        self._ends[entry.origin, entry.epoch] = (entry.seq, entry.hash)
        ms, counter = entry.stamp >> COUNTER_BITS, entry.stamp & COUNTER_MAX
        self._put(4, f"{ms - self._ms}.{counter}" if counter else f"{ms - self._ms}")
        self._ms = ms
        self._put_changed(5, fact.kind)
        self._put_changed(6, str(fact.project_id))
        said = read_detail(fact.detail)
        if sent.payload is Payload.WHOLE:
            self._put(7, "")
            self._put_payload(entry.stamp, fact, said)
        else:
            self._put(7, f"{sent.payload.value}{entry.payload_hash.hex()}")
        computed = computed_key(fact.kind, fact.project_id, said)
        self._put(2, NO_KEY if fact.key is None else "" if fact.key == computed else fact.key.hex())

    def _put_place(self, kind: str, origin: str, epoch: str, seq: int) -> None:
        """Say what comes, of which log, and its number; nothing of it when it is the entry after the last one."""
        if RESERVED.search(origin + epoch) or " " in origin:
            raise FrameError("A log has a name that no node gives itself.")
        last, _ = self._ends.get((origin, epoch), (0, b""))
        log = f"{origin} {epoch}"
        known = self._last.get(0) == log and seq == last + 1
        self._last[0] = log
        self._put(0, kind if known else f"{kind}{log}")
        if not known:
            self._put(1, str(seq))

    def _put_payload(self, stamp: int, fact: Fact, said: Mapping[str, Any]) -> None:
        marked = self._put_body(fact, form_id_of(said))
        shape = self._details.write(fact.detail, said, About(stamp, fact.body, marked))
        self._put_changed(9, AS_IT_IS if shape is None else str(shape))
        if shape is None:
            self._put(10, str(len(fact.detail)))
            self._plain.append(fact.detail)

    def _put_body(self, fact: Fact, form_id: str) -> dict[int, str]:
        """Put a body where it is smallest; return the last text of each of its marks."""
        model = self._model(fact.project_id, form_id) if fact.kind is Kind.SUBMISSION else None
        written = model.outline.write(fact.body) if model else None
        if model is None or written is None:
            self._put(8, f"{AS_IT_IS}{len(fact.body)}" if fact.body else "")
            self._plain.append(fact.body)
            return {}
        self._put(8, str(list(self._models.values()).index(model)))
        return written

    def _model(self, project_id: int, form_id: str) -> Model | None:
        if self._codec is None:
            return None
        form = (project_id, form_id)
        if form not in self._models:
            if len(self._models) >= MODELS_MAX:
                return None
            self._models[form] = Model.of(self._codec.primer(*form), self._version)
        return self._models[form]

    def _put(self, column: int, text: str) -> None:
        self._columns[column].append(text)

    def _put_changed(self, column: int, text: str) -> None:
        self._put(column, "" if self._last.get(column) == text else text)
        self._last[column] = text

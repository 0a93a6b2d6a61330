"""What a record weighs on its way to another node, against zstd at its slowest over all records together.

`python -m benchmarks.relay [RECORDS]`: made-up records of two bundled questionnaires and of the other benchmarks' form; then
what meetings cost and what passes over the wire. `python -m benchmarks.relay link`: over a satellite link.
"""

from __future__ import annotations

import secrets
import sys
import time
import uuid
from collections.abc import Sequence
from itertools import count

import zstandard

from benchmarks import workload
from benchmarks.records import BEGIN, facts_of_records, filled
from forms.compile import compile_form
from forms.sample import sample
from server.relay.codec import BLOCK, FEW, RECORDS_MAX, made_up
from sync.clock import COUNTER_BITS
from sync.frames import Sent, Version, pack, unpack
from sync.journal import Head, seal
from sync.outline import Primer

RECORDS = 400
BATCHES = (1, 10, 100)
FRAMES_MAX = 10


class Codec:
    """Both sides have the form, and some of the records before."""

    def __init__(self, primer: Primer) -> None:
        self._primer = primer

    def primer(self, *_: object) -> Primer:
        return self._primer

    def find_primer(self, _: bytes) -> Primer:
        return self._primer


def main() -> None:
    """Print the tables."""
    from benchmarks import (  # a process that compiles a form reads this file again, and is timed
        link,
        meeting,
        wire,
    )

    if sys.argv[1:] == ["link"]:
        link.main()
        return
    records = int(sys.argv[1]) if sys.argv[1:] else RECORDS
    print("| form | bytes XML | records | bytes each | to zstd -19 of all | CPU us each, out | in |")
    print("|---|---|---|---|---|---|---|")
    for name in ("flow_monitoring_registry", "protection_needs_assessment"):
        _measure(name, *filled(name, records))
    made = workload.sheet()
    form = compile_form(made, "bench.md")
    _measure("bench", list(workload.instances(records, 1)), sample(form.schema, form.xform))
    meeting.main()
    wire.main()


def _measure(name: str, xmls: Sequence[bytes], known: bytes) -> None:
    stamps = count(int(BEGIN.timestamp() * 1000) << COUNTER_BITS, 97_123 << COUNTER_BITS)
    log = Head(str(uuid.uuid4()), secrets.token_hex(8))
    sent = [Sent(entry) for entry in seal(log, facts_of_records(xmls), stamps)]
    best = len(zstandard.ZstdCompressor(19).compress(b"".join(xmls))) / len(xmls)
    for batch in (*BATCHES, len(sent)):
        size, out_s, in_s, frames = 0, 0.0, 0.0, min(FRAMES_MAX, len(sent) // 2 // batch) or 1
        held = max(len(sent) - batch * frames - BLOCK // 2, 0) if batch <= FEW else 0
        codec = Codec(Primer(b"\0" * 24, [*made_up(known), *xmls[max(held - RECORDS_MAX, 0) : held]]))
        pack(sent[:1], codec)
        for end in range(len(sent), len(sent) - frames * batch, -batch):
            began = time.process_time()
            frame = pack(sent[end - batch : end], codec, Version.IN_TURNS)
            packed = time.process_time()
            unpack(frame, codec)
            out_s, in_s = out_s + packed - began, in_s + time.process_time() - packed
            size += len(frame)
        each = size / batch / frames
        cells = (
            name,
            f"{sum(map(len, xmls)) / len(xmls):,.0f}",
            batch,
            f"{each:.0f}",
            f"{each / best:.2f}",
            f"{out_s / batch / frames * 1e6:.0f}",
            f"{in_s / batch / frames * 1e6:.0f}",
        )
        print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()

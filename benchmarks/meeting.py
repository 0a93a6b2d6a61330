"""What a meeting of a post and its centre costs: both nodes in this process, with stores on disk and no network.

`python -m benchmarks.meeting [HELD]`: how many records the two hold already when ten are new.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

from benchmarks.records import facts_of_records, filled
from server.node import Node, open_node
from server.publishing import BUNDLED, publish_file
from server.relay import enrolling
from server.relay.bundles import find_receiver, write_bundle
from server.relay.client import ROOM_BYTES, goes_on, room_after
from server.relay.messages import Message, open_message, read, write
from server.relay.other import Other
from server.relay.session import Session
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from server.store import journal, posts
from server.store.engine import reading, writing
from sync.journal import Fact, Kind

FORM = "flow_monitoring_registry"
RECORDS = 1000
HELD = 10_000
BULKS = (400, 2000)
AT_ONCE = 500


@dataclass
class Met:
    """What a meeting came to. bytes: of messages, both ways. frame_bytes: of the frames in them. in_s: CPU of the centre."""

    exchanges: int = 0
    bytes: int = 0
    frame_bytes: int = 0
    taken: int = 0
    in_s: float = 0.0


def main(held: int = HELD) -> None:
    """Print the table."""
    with TemporaryDirectory() as folder, pair(Path(folder)) as (centre, post):
        in_step = meet(post, centre)
        collect(post, facts_of_records(filled(FORM, RECORDS)[0]))
        many = meet(post, centre)
        collect(post, [Fact(Kind.QUARANTINE, 1, None, b'{"number":%d}' % number) for number in range(held)])
        meet(post, centre)
        collect(post, facts_of_records(filled(FORM, 10, seed=7)[0]))
        few = meet(post, centre)
    print("| a post and its centre | |\n|---|---|")
    print(f"| nodes in step, bytes of messages | {in_step.bytes:,} in {in_step.exchanges} exchange |")
    print(f"| {RECORDS:,} records, bytes each | {many.bytes / RECORDS:.0f} in {many.exchanges} exchanges |")
    print(f"| records a CPU second at the centre, until durable | {RECORDS / many.in_s:,.0f} |")
    print(f"| 10 new among {held:,}: bytes more than their frames | {few.bytes - few.frame_bytes:,} |")
    print(
        "\n| form | records at once | zstd -19 of all, bytes each | relay | bundle |\n|---|---|---|---|---|"
    )
    for form in (FORM, "protection_needs_assessment"):
        for records in BULKS:
            _bulk(form, records)


def _bulk(form: str, records: int) -> None:
    """Print what the first records of a post weigh, to zstd at its slowest over all of them."""
    xmls = filled(form, records)[0]
    best = len(zstandard.ZstdCompressor(19).compress(b"".join(xmls)))
    with TemporaryDirectory() as folder, pair(Path(folder), form=form) as (centre, post):
        collect(post, facts_of_records(xmls))
        bundle = Path(folder) / "bulk.bundle"
        write_bundle(post, find_receiver(post, ""), bundle)
        relayed, carried = meet(post, centre).bytes, bundle.stat().st_size
    each = (f"{size / records:.0f} ({size / best:.2f})" for size in (relayed, carried))
    print(f"| {form} | {records:,} | {best / records:.0f} | {' | '.join(each)} |", flush=True)


@contextmanager
def pair(folder: Path, url: str = "http://localhost", form: str = FORM) -> Iterator[tuple[Node, Node]]:
    """A centre with a bundled form, and a post of it that has met it. url: of the centre."""
    centre, post = (open_node(Settings(data=folder / name)) for name in ("centre", "post"))
    ensure_project(centre)
    publish_file(centre, PROJECT_ID, BUNDLED / f"{form}.xlsx")
    enrolling.admit(centre, enrolling.become_post(post, enrolling.enrol(centre, "north", url), keep=False))
    with writing(post.engine) as connection:
        posts.confirm_centre(connection)
    meet(post, centre)
    yield centre, post
    for node in (centre, post):
        node.close()


def collect(node: Node, facts: Sequence[Fact]) -> None:
    """Have a node take in records."""
    for start in range(0, len(facts), AT_ONCE):
        with writing(node.engine) as connection:
            journal.append(connection, facts[start : start + AT_ONCE])


def meet(post: Node, centre: Node) -> Met:
    """Have the two meet until they are in step; what each says travels as it would."""
    with reading(post.engine) as here, reading(centre.engine) as there:
        names = journal.origin(here), journal.origin(there)
    name = secrets.token_hex(8)
    lower = Session(post, Other(names[1], centre.keys.public, is_up=True), name)
    upper = Session(centre, Other(names[0], post.keys.public, is_up=False), name)
    met, room = Met(), ROOM_BYTES
    answer: Message | None = None
    while True:
        said = lower.speak(room)
        if answer is not None and not goes_on(said, answer):
            met.taken = upper.taken
            return met
        message = _carried(met, said, post, names[0], centre)
        began = time.process_time()
        upper.hear(message)
        met.in_s += time.process_time() - began
        answer = _carried(met, upper.speak(room), centre, names[1], post)
        lower.hear(answer)
        met.exchanges += 1
        room = room_after(0, room)


def _carried(met: Met, message: Message, sender: Node, name: str, receiver: Node) -> Message:
    sealed = write(message, sender.keys, name, receiver.keys.public)
    met.bytes += len(sealed)
    met.frame_bytes += sum(map(len, message.frames))
    _, signature, content = open_message(sealed, receiver.keys)
    return read(content, signature, sender.keys.public, receiver.keys)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

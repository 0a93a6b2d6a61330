"""A relay in a file: what a node has for another one, written down, and taken in there.

What the receiver holds is known from what it last said, over the network or by a bundle of its own. It may have lost
some of that: `everything` leaves it out of account. A bundle without entries is a receipt.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection

from server.node import Node
from server.problems import Problem
from server.relay import heads, listing, mending, purging, taking, trust
from server.relay.bundle_files import (
    BundleError,
    BundleWriter,
    Header,
    iter_messages,
    numbered,
    read_header,
    refuse_existing,
)
from server.relay.choosing import choose, read_due
from server.relay.fetching import Files
from server.relay.frames import RAW_BYTES_MAX, size_of
from server.relay.keys import KeysError
from server.relay.messages import Head, Message, MessageError, Part, open_message, read, write
from server.relay.other import Other, list_below, look_at_own, note_marks, note_told, scope_of, settle_waiting
from server.relay.packing import Packing
from server.relay.session import Session
from server.store import journal, logs, lost, mentions, peers, posts, requests
from server.store.engine import reading, writing
from server.store.files import files_in
from server.store.requests import Requests
from sync.frame_items import read_detail
from sync.frames import PLAIN, FrameError, Sent, Skip, newest_version, unpack

PART_BYTES = 1_000_000
ASKED_MAX, AGAIN_MAX, SURE_MAX = 10_000, 1000, 5000
DUE_MAX = 1000
"""What was passed over and is for the receiver now goes into every bundle: nobody tells whether it has come."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What reading a file came to.

    sender: its origin, "" where the file was refused. entries: that are new here. problem: why not all of it was taken
    in, or "".
    """

    path: Path
    sender: str
    entries: int
    problem: str = ""


def find_receiver(node: Node, name: str) -> Other:
    """Return the post of this name, or with "" the centre. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        if not name:
            centre = posts.find_centre(connection)
            if centre is None:
                raise Problem(404.1, "This server is no post. Name the post that the bundle is for.")
            return Other(centre.origin, centre.public_key, is_up=True)
        post = posts.find_post_by_name(connection, name)
    if post is None or post.origin is None or post.public_key is None or post.revoked_at is not None:
        raise Problem(404.1, f"There is no post {name} that has answered its enrolment.")
    return Other(post.origin, post.public_key, is_up=False, forms=post.forms)


def write_bundle(
    node: Node,
    other: Other,
    path: Path,
    *,
    size_max: int = 0,
    everything: bool = False,
    receipt: bool = False,
) -> list[tuple[Path, Header]]:
    """Write what another node lacks into `path`, or into files beside it of at most `size_max` bytes.

    Return where they are and what a courier can read of them. Raises FileExistsError, OSError.
    """
    refuse_existing(path)
    if not other.is_up:
        _prepare(node, other)
    with reading(node.engine) as connection:
        own = journal.origin(connection)
    packing = Packing(other.origin)
    writer = BundleWriter(path, Header(own, other.origin, datetime.now(UTC).date().isoformat()), size_max)
    try:
        with reading(node.engine) as connection:
            first = _first(connection, node, other, everything)
            bare = Head(session=first.session, clock_ms=first.clock_ms, digest="", room=0)
            writer.begin_part()
            writer.add(write(Message(first), node.keys, own, other.public_key))
            for message, entries, files in (
                () if receipt else _iter(connection, node, other, bare, packing, everything)
            ):
                sealed = write(message, node.keys, own, other.public_key)
                if not writer.has_room(len(sealed)):
                    writer.begin_part()
                    writer.add(write(Message(first), node.keys, own, other.public_key))
                writer.add(sealed, entries, files)
        written = writer.finish()
        if packing.inexact:
            with writing(node.engine) as connection:
                peers.note_inexact(connection, other.origin, packing.inexact)
        return written
    except BaseException:
        writer.give_up()
        raise


def answer_all(node: Node, taken: Sequence[Taken], path: Path) -> list[tuple[Path, str]]:
    """Write a receipt for each sender of what was taken in, and return where it is and whom it is for (its name).

    Of several senders each has a file of its own beside `path`. Raises FileExistsError, OSError.
    """
    senders = list(dict.fromkeys(one.sender for one in taken if one.sender))
    paths = [numbered(path, number) if len(senders) > 1 else path for number in range(1, len(senders) + 1)]
    for target in paths:
        refuse_existing(target)
    with reading(node.engine) as connection:
        names = {post.origin: post.name for post in posts.list_posts(connection)}
    for sender, target in zip(senders, paths, strict=True):
        answer(node, sender, target)
    return [(target, names.get(sender, "the centre")) for sender, target in zip(senders, paths, strict=True)]


def answer(node: Node, sender: str, path: Path) -> None:
    """Write a receipt for whom a bundle came from: what is here now, and which files lack."""
    with reading(node.engine) as connection:
        other = _find_sender(connection, sender)
    assert other is not None, "something of it was taken in"
    write_bundle(node, other, path, receipt=True)


def read_bundle(node: Node, path: Path) -> Taken:
    """Take in what a file brings, as much of it as is whole; durable when this returns.

    Raises BundleError when nothing of it is for this node, OSError when this node cannot store it.
    """
    header = read_header(path)
    with reading(node.engine) as connection:
        own = journal.origin(connection)
        known = _find_sender(connection, header.sender)
    if header.receiver != own:
        raise BundleError(f"{path} is for another server ({header.receiver}).")
    if known is None:
        raise BundleError(f"{path} is of a server that this one does not relay with ({header.sender}).")
    entries, messages, problem = 0, 0, ""
    files = Files(node, known.origin)
    try:
        for sealed in iter_messages(path):
            origin, signature, content = open_message(sealed, node.keys)
            if origin != known.origin:
                raise BundleError(f"{path} holds what another server wrote.")
            entries += _take(node, known, files, read(content, signature, known.public_key, node.keys))
            messages += 1
    except (BundleError, FrameError, KeysError, MessageError) as error:
        problem = str(error)
    if messages and not known.is_up:
        with writing(node.engine) as connection:
            settle_waiting(connection, known)
    if entries:
        mentions.catch_up(node.engine)  # what is erased tells no more whom it concerned
        node.catch_up()
    if not problem and messages != header.messages:
        problem = "Some of it is missing."
    return Taken(path, known.origin, entries, problem)


def read_bundles(node: Node, paths: Sequence[Path]) -> Iterator[Taken]:
    """Take in files in the best order: a file that goes on in the next part needs the one before.

    A file that is refused keeps none of the others out. Raises OSError as `read_bundle` does.
    """
    headers: dict[Path, Header] = {}
    for path in paths:
        try:
            headers[path] = read_header(path)
        except BundleError as error:
            yield Taken(path, "", 0, str(error))
    for path in sorted(headers, key=lambda path: (headers[path].written_at, headers[path].part)):
        try:
            yield read_bundle(node, path)
        except BundleError as error:
            yield Taken(path, "", 0, str(error))


def _take(node: Node, other: Other, files: Files, message: Message) -> int:
    items = [item for frame in message.frames for item in unpack(frame, PLAIN)]
    head, new = message.head, 0
    if items and not other.is_up:
        mentions.catch_up(node.engine)
    with writing(node.engine) as connection:
        note_told(connection, other, head)
        heads.note(connection, node.keys.public, other, head)
        if not other.is_up:
            items = list(trust.sift(connection, other.origin, items).items)
        if items:
            new = taking.take(connection, items)
            mending.mend(connection, node.schemas, items)
        if head.have is not None:
            look_at_own(connection, head.have)
            now_ms = time.time_ns() // 1_000_000
            peers.note_said(connection, other.origin, head.have)
            peers.note(connection, other.origin, contact_ms=now_ms)
            if other.is_up:
                note_marks(connection, other, head.have, now_ms, is_whole=head.is_whole)
                peers.note(connection, other.origin, unsendable=purging.note_held(connection, head))
    for part in message.parts:
        files.keep(part)
    return new


def _first(connection: Connection, node: Node, other: Other, everything: bool) -> Head:
    """What every file says first: what is here, what lacks, and which files that were asked about are here."""
    below, former = list_below(connection)
    files, now_ms = Files(node, other.origin), time.time_ns() // 1_000_000
    met = None if everything else peers.find_peer(connection, other.origin)
    lost_there = heads.list_lost(connection, other.origin, met.said if met else {}) if other.is_up else []
    held = files.list_held(requests.read(connection, other.origin).unsure)
    return Head(
        session=f"bundle-{secrets.token_hex(8)}",
        clock_ms=now_ms,
        digest="",
        room=0,
        have=logs.read_have(connection),
        is_whole=True,
        asked=[(sha256, 0) for sha256, _ in files.list_asked(ASKED_MAX)],
        again=lost.list_asked(connection, AGAIN_MAX),
        sure=purging.list_unsure(connection, now_ms, SURE_MAX) if other.is_up else (),
        held=held,
        signed=[heads.sign_own(connection, node.keys), *lost_there],
        below=below,
        former=former,
        kinds=Session.kinds,
        epoch=logs.own_log(connection)[0][1],
    )


def _iter(
    connection: Connection, node: Node, other: Other, head: Head, packing: Packing, everything: bool
) -> Iterator[tuple[Message, int, int]]:
    """Yield messages, texts before files, each with how many entries it brings and how many files it ends."""
    named: dict[str, None] = {}
    asked = requests.read(connection, other.origin)
    version = newest_version(scope_of(connection, other).kinds)
    for items in _together(connection, other, asked, everything):
        sent = [item for item in items if isinstance(item, Sent)]
        for one in sent:
            named |= dict.fromkeys(sorted(files_in(read_detail(one.entry.fact.detail))))
        yield Message(head, [packing.pack(items, PLAIN, version)]), len(sent), 0
    named |= dict.fromkeys(asked.files)
    sizes = {sha256: size for sha256 in named if (size := node.blobs.size(sha256)) is not None}
    for sha256, total in sorted(sizes.items(), key=lambda file: (file[1], file[0])):
        for offset in range(0, max(total, 1), PART_BYTES):
            content = node.blobs.read_range(sha256, offset, min(PART_BYTES, total - offset))
            is_last = offset + PART_BYTES >= total
            yield Message(head, (), [Part(sha256, offset, total, content)]), 0, int(is_last)


def _together(
    connection: Connection, other: Other, asked: Requests, everything: bool
) -> Iterator[Sequence[Sent | Skip]]:
    """What the receiver lacks, as many at once as go into one frame."""
    met = None if everything else peers.find_peer(connection, other.origin)
    scope = scope_of(connection, other)
    some: list[Sent | Skip] = []
    raw = 0
    due = read_due(connection, scope, DUE_MAX)
    again = mending.answer(connection, scope, asked.again)
    for item in chain(again, due.values(), choose(connection, scope, met.said if met else {})):
        some.append(item)
        raw += size_of(item)
        if raw >= RAW_BYTES_MAX:
            yield some
            some, raw = [], 0
    if some:
        yield some


def _prepare(node: Node, other: Other) -> None:
    with reading(node.engine) as connection:
        post = posts.find_post(connection, other.origin)
    if post is not None:
        listing.owe_forms(node, post, other.origin)
        listing.list_for(node, post)
    mentions.catch_up(node.engine)


def _find_sender(connection: Connection, origin: str) -> Other | None:
    centre = posts.find_centre(connection)
    if centre is not None and centre.origin == origin:
        return Other(origin, centre.public_key, is_up=True)
    post = posts.find_post(connection, origin)
    if post is None or post.public_key is None:
        return None
    return Other(origin, post.public_key, is_up=False, forms=post.forms)

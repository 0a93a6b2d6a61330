"""One side of a meeting of two nodes: what it says next, and what it does with what it hears.

Both sides are this class; who asks first and who answers is the business of `server.relay.client` and
`server.relay.door`. All that is heard is durable before anything more is said. A session may end anywhere: the next one
begins with what each side holds then.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace

import orjson
from sqlalchemy import Connection

from server.node import Node
from server.relay import auditing, heads, mending, purging, taking, trust
from server.relay.auditing import Span
from server.relay.choosing import count_waiting, list_doubted
from server.relay.fetching import Files
from server.relay.frames import Frames
from server.relay.messages import Head, Message, Part, Signed
from server.relay.other import Other, list_below, look_at_own, note_marks, note_told, scope_of
from server.store import logs, lost, marks, mentions, peers
from server.store.engine import reading, writing
from server.store.lost import Asked
from sync.frames import READS, Sent, Skip
from sync.journal import FIRST_KINDS, Kind
from sync.logs import MAIN, Have, Log, Range, list_have

ROOM_BYTES_MIN, ROOM_BYTES, ROOM_BYTES_MAX = 2_000, 64_000, 1_000_000
"""What a message may bring: at least, at first, at most."""
LOGS_SAID_AT_ONCE = 12
"""So many logs are said at once; more, or what was in step when last met, only if the other side differs."""
SURE_MAX = 500


class RelayError(Exception):
    """A meeting ended before the two were in step; tells why, and nothing of what was relayed."""


class Session:
    """What is known of the other side while a session lasts.

    name: the same on both sides. taken: entries that were new. mended: payloads put back. differing: short ranges of
    which the other side lacked something. waiting: records that the node above has yet to get.
    """

    kinds: Sequence[str] = sorted({*Kind, *READS} - FIRST_KINDS)

    def __init__(self, node: Node, other: Other, name: str) -> None:
        self.name = name
        self.other = other
        self.taken = self.mended = self.differing = self.waiting = 0
        self._node = node
        self._files = Files(node, other.origin)
        self._said: dict[Log, Sequence[Range]] | None = None
        self._told: Have | None = None
        self._is_unknown = False
        self._doubted: set[Log] = set()
        self._frames = Frames(other.origin)
        self._inexact_noted = 0
        self._strangers: frozenset[str] = frozenset()
        self._is_stranger_to: frozenset[str] = frozenset()
        self._foreign: frozenset[Asked] = frozenset()
        self._is_foreign_to: frozenset[Asked] = frozenset()
        self._spans: Sequence[Span] = ()
        self._differing: Sequence[Span] = ()
        self._unsure: Sequence[str] = ()
        self._held: Sequence[str] = ()
        self._asked: Sequence[tuple[str, int]] = ()
        self._has_proved = False

    def speak(self, room: int) -> Message:
        """Return what to say next. room: bytes that it may bring, and that the answer may bring."""
        if not self.other.is_up:
            mentions.catch_up(self._node.engine)
        with reading(self._node.engine) as connection:
            have = logs.read_have(connection, self._doubted, self._said)
            scope = replace(scope_of(connection, self.other), strangers=self._is_stranger_to)
            frames: list[bytes] = []
            more = False
            if self._said is not None:
                frames, more = self._frames.write(connection, scope, self._said, self._is_foreign_to, room)
            met = peers.find_peer(connection, self.other.origin)
            (_, epoch), _ = logs.own_log(connection)
            is_known = len(have) > LOGS_SAID_AT_ONCE or (met is not None and met.said == have)
            news = self._news(have, is_known=is_known)
            signed = self._signed(connection, news)
            below, former = list_below(connection) if self._told is None else ((), ())
            again = lost.list_asked(connection, mending.ASKED_MAX)
            audit = [auditing.digest(connection, span) for span in self._spans[: auditing.SPANS_AT_ONCE]]
            if scope.is_up and self._said is not None:
                self.waiting = count_waiting(connection, scope, self._said)
        parts: list[Part] = []
        if not more:
            parts = list(self._files.read_parts(self._asked, room - sum(map(len, frames))))
        head = Head(
            session=self.name,
            clock_ms=time.time_ns() // 1_000_000,
            digest=_digest(have),
            room=room,
            have=news,
            is_whole=self._told is None,
            unknown=self._is_unknown,
            doubted=sorted(self._doubted),
            plain=self._frames.wants_plain,
            asked=self._files.list_asked(),
            below=below,
            former=former,
            kinds=self.kinds if self._told is None else (),
            epoch=epoch if self._told is None else "",
            signed=signed,
            strangers=sorted(self._strangers),
            foreign=sorted(self._foreign),
            again=again,
            audit=audit,
            differing=self._differing,
            sure=self._unsure,
            held=self._held,
            waiting=self.waiting if more else 0,
            more=more,
        )
        if news is not None:
            self._told = have
        return Message(head, frames, parts)

    def hear(self, message: Message) -> None:
        """Take in what the other side said; durable when this returns. Raises FrameError."""
        unsendable = 0
        head, engine = message.head, self._node.engine
        with reading(engine) as connection:
            items: Sequence[Sent | Skip] = self._frames.read(connection, message.frames)
        if items and not self.other.is_up:
            mentions.catch_up(engine)
        with writing(engine) as connection:
            note_told(connection, self.other, head)
            heads.note(connection, self._node.keys.public, self.other, head)
            if not self.other.is_up:
                sifted = trust.sift(connection, self.other.origin, items)
                items, self._strangers = sifted.items, self._strangers | sifted.strangers
                self._foreign |= sifted.foreign
            if items:
                self.taken += taking.take(connection, items)
                self.mended += mending.mend(connection, self._node.schemas, items)
            self._compare(connection, head)
            if self.other.is_up:
                unsendable = purging.note_held(connection, head)
            mentions.settle_due(connection, scope_of(connection, self.other).family, self._frames.due)
            self._learn(connection, head)
            if self._said is not None:
                look_at_own(connection, self._said)
                peers.note_said(connection, self.other.origin, self._said)
            now_ms = time.time_ns() // 1_000_000
            self._mark(connection, items, head, now_ms)
            seen = {
                "contact_ms": now_ms,
                "clock_ms": head.clock_ms - now_ms,
                "waiting": head.waiting,
                "error": "",
                "unsendable": unsendable,
            }
            peers.note(connection, self.other.origin, tried_ms=now_ms, **seen)
        self._frames.go_on(head)
        for part in message.parts:
            self._files.keep(part)
        self._asked = head.asked
        self._unsure = ()
        self._held = self._files.list_held(head.sure[:SURE_MAX])

    def note_bytes(self, received: int, sent: int) -> None:
        """Keep what went to and fro, and how many frames were inexact since this was called last."""
        inexact = self._frames.packing.inexact
        with writing(self._node.engine) as connection:
            peers.note_bytes(connection, self.other.origin, received, sent)
            peers.note_inexact(connection, self.other.origin, inexact - self._inexact_noted)
        self._inexact_noted = inexact

    def ask_sure(self) -> bool:
        """Ask whether the node above has the files of what may be purged here; False when there is nothing to ask."""
        with reading(self._node.engine) as connection:
            self._unsure = purging.list_unsure(connection, time.time_ns() // 1_000_000, SURE_MAX)
        return bool(self._unsure)

    def begin_audit(self) -> bool:
        """Hold what both sides have of the logs of this node, and of those below it, against each other.

        False when there is nothing to compare.
        """
        with reading(self._node.engine) as connection:
            family = scope_of(connection, self.other).family
            self._spans = auditing.list_spans(connection, family, self._said or {})
        return bool(self._spans)

    def _compare(self, connection: Connection, head: Head) -> None:
        """Go on with the audit that either side has begun; a post's is answered only of what it may speak of."""
        said_of = {span: auditing.is_leaf(span) for span in head.differing}
        self.differing += sum(said_of.values())
        rest = self._spans[auditing.SPANS_AT_ONCE :]
        parts = [part for span, is_leaf in said_of.items() if not is_leaf for part in auditing.divide(span)]
        self._spans = [*rest, *parts]
        self._differing = ()
        if head.audit and not self.other.is_up:
            family = trust.family_of(connection, self.other.origin)
            known = [one for one in head.audit if one[0] in family]
            self._differing = auditing.list_differing(connection, known)
            for span in filter(auditing.is_leaf, self._differing):
                auditing.give_up(connection, span)

    def _learn(self, connection: Connection, head: Head) -> None:
        """What the other side holds, and what it does not know of us."""
        if head.have is not None and (head.is_whole or self._said is not None):
            self._said = dict(head.have) if head.is_whole else {**(self._said or {}), **head.have}
        if self._told is None or self._said is None:
            have = logs.read_have(connection)
            if head.digest == _digest(have):
                self._said, self._told = dict(have), have
        self._is_unknown = self._said is None
        self._is_stranger_to |= frozenset(head.strangers)
        self._is_foreign_to |= frozenset(head.foreign)
        if head.unknown:
            self._told = None
        self._doubted = set(head.doubted)
        if self._said is not None:
            self._doubted |= list_doubted(connection, self._said)

    def _mark(self, connection: Connection, items: Sequence[Sent | Skip], head: Head, now_ms: int) -> None:
        """Keep since when the node above has what was collected below it: the other side, or this one."""
        if self.other.is_up and head.have is not None:
            note_marks(connection, self.other, head.have, now_ms, is_whole=head.is_whole)
        elif items and not self.other.is_up:
            touched = {taking.log_of(item) for item in items}
            own, _ = logs.own_log(connection)
            chains = logs.read_chains(connection, touched)
            known = {log: chains[log].ranges.get(MAIN, []) for log in touched if log in chains}
            marks.note(connection, own[0], known, now_ms)

    def _news(self, have: Have, *, is_known: bool) -> Have | None:
        """What of it to say: all at first (unless its digest may do), then what changed."""
        if self._told is None:
            is_first = self._said is None and not self._is_unknown
            return None if is_first and is_known else have
        names = {*self._told, *have}
        return {name: have.get(name, ()) for name in names if self._told.get(name) != have.get(name)} or None

    def _signed(self, connection: Connection, news: Have | None) -> list[Signed]:
        """The head of this node's log when it says that one, and once what proves what the node above has lost."""
        signed: list[Signed] = []
        own, _ = logs.own_log(connection)
        if news is not None and (self._told is None or own in news):
            signed.append(heads.sign_own(connection, self._node.keys))
        if self.other.is_up and self._said is not None and not self._has_proved:
            signed += heads.list_lost(connection, self.other.origin, self._said)
            self._has_proved = True
        return signed


def _digest(have: Have) -> str:
    return hashlib.sha256(orjson.dumps(list_have(have))).hexdigest()[:16]

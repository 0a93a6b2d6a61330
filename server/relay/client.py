"""A post asks its centre: one connection, one exchange after the other until the two are in step."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx2

from server.node import Node
from server.problems import Problem
from server.relay import introducing
from server.relay.keys import KeysError
from server.relay.messages import Message, MessageError, open_message, read, write
from server.relay.other import Other
from server.relay.session import ROOM_BYTES, ROOM_BYTES_MAX, ROOM_BYTES_MIN, RelayError, Session
from server.store import journal, lost, peers, posts
from server.store.engine import reading, writing
from server.store.posts import Centre
from sync.frames import FrameError

PATH = "/v1/relay"
HEADERS = {"Content-Type": "application/octet-stream", "User-Agent": "chapar", "Accept-Encoding": "identity"}
TIMEOUT_S = 300
"""A message of 64 kB takes that long at 2 kbit/s."""
CONNECT_S = 30
PROMPT_S, QUICK_S, SLOW_S = 1.0, 8.0, 20.0
CUTS_MAX = 4
"""So often a meeting goes on after a cut, each time with a quarter in a message; then somebody waits."""
IDLE_MAX = 20
"""So often an exchange may bring things and change nothing."""


@dataclass(frozen=True, slots=True)
class Relayed:
    """What a meeting came to. taken: entries that are new here. mended, differing: as in `Session`."""

    exchanges: int
    taken: int
    mended: int
    differing: int
    sent_bytes: int
    received_bytes: int


def relay(
    node: Node, progress: Callable[[Session], object] = lambda _: None, *, audit: bool = False
) -> Relayed:
    """Meet the centre until the two are in step. progress: called after each exchange. audit: at the end, and mend.

    Raises RelayError with a sentence that says why it ended before, Problem when the centre refuses this post.
    """
    with reading(node.engine) as connection:
        centre = posts.find_centre(connection)
    if centre is None:
        raise RelayError("This server is no post. Make it one with `chapar post init`.")
    if not centre.url:
        raise RelayError("The centre has no address: only bundles reach it.")
    try:
        for cuts in range(CUTS_MAX):
            with suppress(httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                return _meet(node, centre, progress, audit, max(ROOM_BYTES >> 2 * cuts, ROOM_BYTES_MIN))
        raise RelayError("The connection to the centre is cut again and again.")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _noted(node, centre, f"The centre cannot be reached ({type(error).__name__}).") from None
    except (KeysError, MessageError, FrameError) as error:
        raise _noted(node, centre, str(error)) from None
    except (ConnectionError, RelayError) as error:
        raise _noted(node, centre, str(error)) from None
    except Problem as problem:
        _noted(node, centre, str(problem))
        raise


def room_after(took_s: float, room: int) -> int:
    """Return how many bytes the next exchange may bring: more after a quick one, fewer after a slow one."""
    if took_s < QUICK_S:
        return min(room * (4 if took_s < PROMPT_S else 2), ROOM_BYTES_MAX)
    return max(room // 2, ROOM_BYTES_MIN) if took_s > SLOW_S else room


def goes_on(message: Message, answer: Message) -> bool:
    """Whether there is a reason to say anything more after this answer."""
    head, said = message.head, answer.head
    news = message.brings or head.have is not None or head.plain or head.unknown
    compares = bool(head.audit or said.differing or head.sure)
    goes_on = answer.brings or said.more or said.unknown or bool(set(said.asked) and message.parts)
    return news or compares or goes_on


def _meet(
    node: Node, centre: Centre, progress: Callable[[Session], object], audit: bool, room: int
) -> Relayed:
    if centre.secret:
        introducing.introduce(node)
    session = Session(node, Other(centre.origin, centre.public_key, is_up=True), secrets.token_hex(8))
    exchanges = idle = 0
    asks = iter([*([session.begin_audit] if audit else []), session.ask_sure])
    sent_bytes = received_bytes = 0
    answer: Message | None = None
    with httpx2.Client(
        transport=_transport(), timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S)
    ) as client:
        while True:
            message = session.speak(room)
            if answer is not None and not goes_on(message, answer):
                if not any(ask() for ask in asks):
                    break
                continue
            began_s = time.monotonic()
            sent, received, answer = _exchange(node, client, centre, message)
            took_s = time.monotonic() - began_s
            session.hear(answer)
            exchanges += 1
            sent_bytes, received_bytes = sent_bytes + sent, received_bytes + received
            session.note_bytes(received, sent)
            progress(session)
            # What a node was owed and has already changes nothing either, but it comes to an end.
            is_idle = (
                message.head.have is None
                and answer.head.have is None
                and not (message.parts or answer.parts or message.head.audit or message.head.sure)
            )
            idle = idle + 1 if is_idle else 0
            if idle >= IDLE_MAX:
                raise RelayError(
                    "What is sent changes nothing: this server and the centre do not understand each other."
                )
            room = room_after(took_s, room)
    if audit:
        with writing(node.engine) as connection:
            lost.note_audit(connection, compared_ms=time.time_ns() // 1_000_000)
    return Relayed(exchanges, session.taken, session.mended, session.differing, sent_bytes, received_bytes)


def _exchange(
    node: Node, client: httpx2.Client, centre: Centre, message: Message
) -> tuple[int, int, Message]:
    with reading(node.engine) as connection:
        own = journal.origin(connection)
    body = write(message, node.keys, own, centre.public_key)
    response = client.post(f"{centre.url.rstrip('/')}{PATH}", content=body, headers=HEADERS)
    if response.status_code != httpx2.codes.OK:
        refusal = introducing.read_refusal(response)
        raise RelayError(
            f"The centre answers {response.status_code}. {refusal}"
            if refusal
            else introducing.tell_other(response)
        )
    if response.headers.get("Content-Type") != HEADERS["Content-Type"]:
        raise RelayError(introducing.tell_other(response))
    sender, signature, content = open_message(response.content, node.keys)
    if sender != centre.origin:
        raise RelayError("Another server answers at the centre's address.")
    return len(body), len(response.content), read(content, signature, centre.public_key, node.keys)


def _noted(node: Node, centre: Centre, reason: str) -> RelayError:
    with writing(node.engine) as connection:
        peers.note(connection, centre.origin, tried_ms=time.time_ns() // 1_000_000, error=reason)
    return RelayError(reason)


def _transport() -> httpx2.HTTPTransport:
    """One connection; BBR where the kernel has it: on a lossy satellite link it is three times as fast."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    congestion = getattr(socket, "TCP_CONGESTION", None)
    if congestion is not None:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.IPPROTO_TCP, congestion, b"bbr")
            return httpx2.HTTPTransport(socket_options=[*options, (socket.IPPROTO_TCP, congestion, b"bbr")])
    return httpx2.HTTPTransport(socket_options=options)

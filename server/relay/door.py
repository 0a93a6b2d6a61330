"""`POST /v1/relay`: a post below asks, this node answers; each exchange is durable before it is answered."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

import orjson
from starlette.types import Receive, Scope, Send

from server.node import Node
from server.openrosa.parts import ClientGoneError, iter_body
from server.problems import Problem
from server.relay import listing
from server.relay.keys import KeysError
from server.relay.messages import MessageError, open_message, read, write
from server.relay.other import Other
from server.relay.session import ROOM_BYTES_MAX, ROOM_BYTES_MIN, Session
from server.store import journal, posts
from server.store.engine import reading
from server.store.posts import Post
from server.store.troubles import STORE_TROUBLE, Trouble
from sync.frames import FrameError

BYTES_MAX = 16_000_000
UNREAD_BYTES_MAX = 64_000_000
"""Of all messages that are still on their way in: who sends them is known at their end only."""
AT_ONCE_MAX = 4
SESSIONS_MAX = 200

log = logging.getLogger("chapar.relay")


class RelayDoor:
    """The ASGI application behind it. committed: called when entries came in."""

    def __init__(self, node: Node, committed: Callable[[], object]) -> None:
        self._node = node
        self._committed = committed
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._unread_bytes = 0
        self._lock = threading.Lock()
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()
        self._listed: dict[str, int] = {}
        self._trouble = Trouble(log, "the relay cannot take what is sent")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one message; never raises for what a client sends."""
        try:
            if scope["method"] != "POST":
                raise Problem(405.1, "Send messages with POST.", headers=(("Allow", "POST"),))
            body = await self._read(receive)
            async with self._at_once:
                answer = await asyncio.to_thread(self._answer, body)
        except ClientGoneError:
            return
        except Problem as problem:
            await _respond(send, problem.status, orjson.dumps(problem.as_json()), b"application/problem+json")
        else:
            await _respond(send, 200, answer, b"application/octet-stream")

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        try:
            async for chunk in iter_body(receive):
                body += chunk
                self._unread_bytes += len(chunk)
                if len(body) > BYTES_MAX:
                    raise Problem(413.1, "The message is too large.")
                if self._unread_bytes > UNREAD_BYTES_MAX:
                    raise Problem(503.1, "Come again in a minute.")
            return bytes(body)
        finally:
            self._unread_bytes -= len(body)

    def _answer(self, body: bytes) -> bytes:
        try:
            return self._exchange(body)
        except (KeysError, MessageError, FrameError) as error:
            raise Problem(400.1, str(error)) from None
        except STORE_TROUBLE as error:
            self._trouble.say(error)
            raise Problem(503.1, "Come again in a minute.") from None

    def _exchange(self, body: bytes) -> bytes:
        node = self._node
        origin, signature, content = open_message(body, node.keys)
        with reading(node.engine) as connection:
            post, own = posts.find_post(connection, origin), journal.origin(connection)
        if post is None or post.public_key is None:
            raise Problem(403.1, "This server does not know who asks. Enrol the post, or admit its answer.")
        message = read(content, signature, post.public_key, node.keys)
        session = self._session(post, origin, message.head.session)
        taken = session.taken
        session.hear(message)
        if session.taken != taken:
            self._committed()
        room = min(max(message.head.room, ROOM_BYTES_MIN), ROOM_BYTES_MAX)
        answer = write(session.speak(room), node.keys, own, post.public_key)
        session.note_bytes(len(body), len(answer))
        return answer

    def _session(self, post: Post, origin: str, name: str) -> Session:
        with self._lock:
            known = self._sessions.get((origin, name))
            if known is not None:
                return known
        self._prepare(post, origin)
        assert post.public_key is not None, "the caller has looked"
        begun = Session(self._node, Other(origin, post.public_key, is_up=False, forms=post.forms), name)
        with self._lock:
            self._sessions[origin, name] = begun
            while len(self._sessions) > SESSIONS_MAX:
                self._sessions.popitem(last=False)
        return begun

    def _prepare(self, post: Post, origin: str) -> None:
        """Tell the post of entities, if anything is new since it was last told, and of forms that it may have now."""
        listing.owe_forms(self._node, post, origin)
        with reading(self._node.engine) as connection:
            position = journal.head_position(connection)
        if self._listed.get(origin) != position:
            listing.list_for(self._node, post)
            with reading(self._node.engine) as connection:
                self._listed[origin] = journal.head_position(connection)


async def _respond(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

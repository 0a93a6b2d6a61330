"""How much of a body is read, and from whom: FastAPI reads it whole, and only then asks who sends it."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.node import Node
from server.problems import Problem

STRANGERS_BYTES_MAX = 65_536
BYTES_MAX = 20_000_000
READ_BY_ENDPOINT = "chapar.read_by_endpoint"
"""The key in an ASGI scope by which an endpoint says that it knows who sends, and bounds what it reads."""


class Bounded:
    """An ASGI application that reads more than a few kilobytes only from users, and never without end."""

    def __init__(self, app: ASGIApp, node: Node) -> None:
        self._app = app
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        received_bytes, is_known = 0, False

        async def receive_bounded() -> Message:
            nonlocal received_bytes, is_known
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes <= STRANGERS_BYTES_MAX or READ_BY_ENDPOINT in scope:
                return message
            try:
                if received_bytes > BYTES_MAX:
                    raise Problem(413.1, f"At most {BYTES_MAX} bytes are taken here.")
                if not is_known:
                    header = Headers(scope=scope).get("authorization", "")
                    await asyncio.to_thread(self._node.authenticator.by_authorization, header)
                    is_known = True
            except Problem as problem:
                # FastAPI takes any other exception for a body that cannot be read
                raise HTTPException(problem.status) from problem
            return message

        await self._app(scope, receive_bounded, send)


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return the body, for an endpoint that knows who sends it. Raises Problem 413.1 before it grows too large."""
    request.scope[READ_BY_ENDPOINT] = True
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Problem(413.1, f"At most {bytes_max} bytes are taken here.")
    return bytes(body)

"""Around every request: its ID, its line in the access log, its place in the metrics.

Lines name the route's template: paths hold tablets' tokens and people's names.
"""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.logs import choose_request_id, request_id
from server.metrics import METHODS, Metrics

ROUTE = "chapar.route"
"""The key in an ASGI scope under which a door that is no FastAPI route leaves its template."""
NO_ROUTE = "none"
HEADER = b"x-request-id"

log = logging.getLogger("chapar.access")


class Observed:
    """An ASGI application whose requests are counted and carry an ID, which the answer tells."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = choose_request_id(next((value for key, value in scope["headers"] if key == HEADER), None))
        request_id.set(name)  # never taken back: the server's own lines about this request follow
        began_s = time.perf_counter()
        status = received_bytes = sent_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            return message

        async def send_named(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((HEADER, name.encode()))
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive_counted, send_named)
        finally:
            took_s = time.perf_counter() - began_s
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = str(scope.get(ROUTE) or getattr(scope.get("route"), "path", NO_ROUTE))
            self._metrics.answered(method, route, status, took_s, received_bytes, sent_bytes)
            if log.isEnabledFor(logging.INFO):
                fields = {
                    "method": method,
                    "route": route,
                    "status": status,
                    "duration_ms": round(took_s * 1000, 1),
                    "received_bytes": received_bytes,
                    "sent_bytes": sent_bytes,
                }
                log.info("%s %s %d, %.1f ms, %d bytes in, %d out", *fields.values(), extra={"fields": fields})

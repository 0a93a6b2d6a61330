"""Bounds on what a connection may hold without bringing anything: uvicorn waits for ever, and takes endless headers."""

from __future__ import annotations

import asyncio
import errno
import heapq
import logging
import resource
import socket
from functools import cache
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

BACKLOG = 2048
HEAD_BYTES_MAX = 65_536
RATE_BYTES_PER_S = 50
"""Who sends more slowly uses up the patience. A fortieth of what the worst border links carry (2 kB/s)."""
CONNECTIONS_MAX = 4096
OTHER_FILES_MIN = 0.5
"""How many of the open files are not for connections: the database's, and each large attachment has one."""
EVICTED = 0.05
"""How many connections are closed at once when there are too many."""
UNANSWERED_MS_MAX = 120_000
HELD_BYTES_MAX = 16_384
WHY_NOT = {
    errno.EADDRINUSE: "another program does; choose another --port, or end it",
    errno.EADDRNOTAVAIL: "this computer has no such address; choose another --host",
    errno.EACCES: "ports below 1024 are the system's; choose another --port",
}

log = logging.getLogger("chapar.connections")


class OneWrite:
    """A transport that sends what is written in one turn of the loop as one.

    uvicorn writes head and body apart: two packets, each a system call that wakes the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send soon."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held += data
        if len(self._held) > HELD_BYTES_MAX:  # who streams must hear when the other side does not follow
            self._send()

    def close(self) -> None:
        """Send, then close."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that hangs up on a head above 64 KiB, on a client that stalls, and on the idlest when there are too many.

    patience_s: how long a client may send nothing while it is its turn. Each byte is worth a fiftieth of a second,
    never beyond the full patience: a link that pauses is waited for, one byte a second is not.
    """

    patience_s: ClassVar[float]
    _in_head = True
    _head_bytes = 0
    ends_at = 0.0
    _look_task: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the client."""
        super().connection_made(OneWrite(transport, self.loop))  # type: ignore[arg-type]
        self.ends_at = self.loop.time() + self.patience_s
        self._look_task = self.loop.call_at(self.ends_at, self._look)
        if len(self.connections) > connections_max():
            self._hang_up_on_the_idlest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        if self._look_task:
            self._look_task.cancel()

    def on_message_begin(self) -> None:
        """Count the head from here."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Stop counting: bodies are bounded by whoever reads them."""
        if not self._asks_for_upgrade:
            super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        """Let the request be answered, unless it is read again."""
        if not self._asks_for_upgrade:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request with new patience."""
        super().on_response_complete()
        self.ends_at = self.loop.time() + self.patience_s

    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            log.info("what came over a connection is no HTTP")
            self.send_400_response("Invalid HTTP request received.")
            return
        except httptools.HttpParserUpgrade as upgrade:
            if not self._asks_for_upgrade:
                self.send_400_response("This is no proxy.")
                return
            self._read_without_upgrade(data[upgrade.args[0] :])
        worth_s = len(data) / RATE_BYTES_PER_S
        self.ends_at = min(self.ends_at + worth_s, self.loop.time() + self.patience_s)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")

    @property
    def _asks_for_upgrade(self) -> bool:
        """Whether the request would go on in another protocol: not a CONNECT, which is no request without that."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read the head again without its wish for another protocol: the parser takes what follows for that.

        Java's client wishes for HTTP/2 in every request that is not encrypted; a server may pass over it (RFC 9110, 7.8).
        """
        lines = [
            b" ".join(
                (self.parser.get_method(), self.url, b"HTTP/" + self.parser.get_http_version().encode())
            )
        ]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    @property
    def is_clients_turn(self) -> bool:
        """Whether the client has something to send, and we read it."""
        is_answering = (
            self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
        )
        return not is_answering and not self.flow.read_paused

    def _look(self) -> None:
        now = self.loop.time()
        if not self.is_clients_turn:
            self.ends_at = now + self.patience_s
        if self.ends_at <= now:
            self.transport.abort()
        else:
            self._look_task = self.loop.call_at(self.ends_at, self._look)

    def _hang_up_on_the_idlest(self) -> None:
        idle = [one for one in self.connections if isinstance(one, PatientProtocol) and one.is_clients_turn]
        some = int(connections_max() * EVICTED) + 1
        for one in heapq.nsmallest(some, idle, key=lambda one: one.ends_at):
            one.transport.abort()


def patient(patience_s: float) -> type[PatientProtocol]:
    """Return the protocol with this patience, as uvicorn wants it."""

    class Protocol(PatientProtocol):
        pass

    Protocol.patience_s = patience_s
    return Protocol


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections end when the other side is gone or takes no answer for two minutes.

    host: a name or an address; `::` for all, of IPv4 too. Raises OSError with a sentence.
    """
    is_ipv6 = ":" in host
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        why = WHY_NOT.get(error.errno or 0) or (error.strerror or str(error)).partition(" (")[0]
        raise OSError(f"Nobody can listen on {host}, port {port}: {why}.") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, UNANSWERED_MS_MAX // 2000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS_MAX)
    return listener


@cache
def connections_max() -> int:
    """Return how many connections this process keeps: the system grants it only so many open files."""
    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return min(CONNECTIONS_MAX, int(granted * OTHER_FILES_MIN))

"""The border link: real sockets that lose what a real link loses, at the moment it is told to.

LinkError               the tablet has no answer and has to send again
 ├─ AnswerLostError     the server answered 201; the answer never reached the tablet
 └─ CutOffError         the connection was reset in the middle of the request's body
"""

from __future__ import annotations

import random
import socket
import struct
from enum import Enum

import httpx2

TIMEOUT_S = 60
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
STORED = b" 201"


class LinkError(Exception):
    """The tablet has no answer."""


class AnswerLostError(LinkError):
    """The server has stored and answered; the tablet does not know."""


class CutOffError(LinkError):
    """The server got a part of the request."""


class Fault(Enum):
    """What the link does to one request."""

    NONE = "none"
    ANSWER_LOST = "answer lost"
    CUT_OFF = "cut off"


class Link:
    """One tablet's way to the server. chance: decides where a body is cut."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._client = httpx2.Client(timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def send(self, request: httpx2.Request, fault: Fault = Fault.NONE) -> httpx2.Response:
        """Return the server's answer, read to its end. Raises LinkError."""
        if fault is Fault.ANSWER_LOST:
            self._lose_answer(request)
            raise AnswerLostError
        if fault is Fault.CUT_OFF:
            self._cut_off(request)
            raise CutOffError
        try:
            return self._client.send(request)
        except httpx2.TransportError as error:
            raise LinkError(type(error).__name__) from error

    def _lose_answer(self, request: httpx2.Request) -> None:
        """Send everything, wait until the answer is there, and hang up before the tablet reads it."""
        with _connect(request) as connection:
            connection.sendall(_head(request) + request.content)
            status = connection.recv(len("HTTP/1.1 201"), socket.MSG_PEEK)
            _reset_on_close(connection)
        if not status.endswith(STORED):
            raise LinkError("the answer that was to be lost was no 201")

    def _cut_off(self, request: httpx2.Request) -> None:
        """Send between a tenth and nine tenths of the body, then reset the connection."""
        part = max(1, int(len(request.content) * self._chance.uniform(0.1, 0.9)))
        with _connect(request) as connection:
            connection.sendall(_head(request) + request.content[:part])
            _reset_on_close(connection)


def _connect(request: httpx2.Request) -> socket.socket:
    address = (request.url.host, request.url.port or 80)
    try:
        return socket.create_connection(address, timeout=TIMEOUT_S)
    except OSError as error:
        raise LinkError(type(error).__name__) from error


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])


def _reset_on_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

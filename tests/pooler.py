"""What pgbouncer does in transaction mode, as far as a client can tell: each transaction gets another backend.

Many clients share a few backends, handed out in turn; whatever a client leaves in one (a prepared statement, a SET, a
session's lock) it does not find again. Source: PostgreSQL's "Message Flow"; pgbouncer, "SQL feature map for pooling modes".
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.engine import URL, make_url

BACKENDS = 4
PROTOCOL, SSL, GSSENC = 196_608, 80_877_103, 80_877_104
ENDS_BATCH = {b"Q", b"S", b"F"}
"""Messages that are answered by a ReadyForQuery."""


@dataclass
class Pooler:
    """The backends of one database, and the clients that take turns on them."""

    url: URL
    transactions: int = 0
    _greeting: bytes = b""
    _idle: list[socket.socket] = field(default_factory=list)
    _open: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._attend, args=(client,), daemon=True).start()

    def _attend(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client:
            try:
                if self._greet(client):
                    self._relay(client)
            except (OSError, EOFError):
                pass

    def _greet(self, client: socket.socket) -> bool:
        while (code := struct.unpack(">I", (body := _startup(client))[:4])[0]) in {SSL, GSSENC}:
            client.sendall(b"N")
        if code != PROTOCOL or not body:
            return False
        self._give_back(self._take())
        client.sendall(self._greeting)
        return True

    def _relay(self, client: socket.socket) -> None:
        backend: socket.socket | None = None
        waiting, rest, answered = 0, b"", b""
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65_536)
                        if not data:
                            raise EOFError
                        if key.fileobj is client:
                            messages, rest = _split(rest + data)
                            for kind, whole in messages:
                                if kind == b"X":
                                    return
                                if backend is None:
                                    backend = self._take()
                                    ready.register(backend, selectors.EVENT_READ)
                                waiting += kind in ENDS_BATCH
                                backend.sendall(whole)
                            continue
                        messages, answered = _split(answered + data)
                        for kind, whole in messages:
                            waiting -= kind == b"Z"
                            if kind == b"Z" and whole[5:] == b"I" and not waiting:
                                ready.unregister(backend)
                                self.transactions += 1
                                self._give_back(backend)
                                backend = None
                            client.sendall(whole)
            finally:
                if backend is not None:  # its client is gone in the middle of a transaction
                    backend.close()
                    with self._changed:
                        self._open -= 1
                        self._changed.notify()

    def _take(self) -> socket.socket:
        with self._changed:
            if self._open < BACKENDS:
                self._open += 1
                return self._connect()
            self._changed.wait_for(lambda: self._idle)
            return self._idle.pop(0)

    def _give_back(self, backend: socket.socket) -> None:
        with self._changed:
            self._idle.append(backend)
            self._changed.notify()

    def _connect(self) -> socket.socket:
        folder = self.url.query.get("host")
        if folder:
            backend = socket.socket(socket.AF_UNIX)
            backend.connect(f"{folder}/.s.PGSQL.{self.url.port or 5432}")
        else:
            backend = socket.create_connection((self.url.host, self.url.port or 5432))
        names = f"user\0{self.url.username}\0database\0{self.url.database}\0\0".encode()
        backend.sendall(struct.pack(">II", len(names) + 8, PROTOCOL) + names)
        greeting = b""
        while True:
            kind, whole = _receive(backend)
            assert kind != b"E", whole
            assert kind != b"R" or whole[5:9] == bytes(4), (
                "the test needs a database that trusts this machine"
            )
            greeting += whole
            if kind == b"Z":
                self._greeting = greeting
                return backend

    def close(self) -> None:
        for backend in self._idle:
            backend.close()


@contextmanager
def pooled(database_url: str) -> Iterator[tuple[str, Pooler]]:
    """Stand in front of a database while the block lasts; yield its URL there."""
    pooler = Pooler(make_url(database_url))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=pooler.serve, args=(listener,), daemon=True).start()
        at = pooler.url.set(host="127.0.0.1", port=listener.getsockname()[1], query={})
        yield at.render_as_string(hide_password=False), pooler
        listener.shutdown(socket.SHUT_RDWR)
    pooler.close()


def _startup(client: socket.socket) -> bytes:
    (size,) = struct.unpack(">I", _exactly(client, 4))
    return _exactly(client, size - 4)


def _receive(source: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(source, 5)
    return head[:1], head + _exactly(source, struct.unpack(">I", head[1:])[0] - 4)


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _split(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Whole messages, and the beginning of the next one."""
    messages = []
    while len(data) >= 5 and len(data) > (size := struct.unpack(">I", data[1:5])[0]):
        messages.append((data[:1], data[: size + 1]))
        data = data[size + 1 :]
    return messages, data

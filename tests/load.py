"""Tablets that send to a server that fails, and what must be there afterwards. The list of what was acknowledged lives here."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from child import Child
from conftest import household
from sqlalchemy import select

from server.node import Node, open_node
from server.projection import lag
from server.settings import Settings
from server.store import journal, submissions
from server.store.chain import iter_entries
from server.store.engine import open_engine, reading
from server.store.tables import journal as entries
from sync.journal import Kind, verify

CLIENTS = 6


TEXT = "uuid:text"


def photo_of(name: str) -> bytes:
    """A file that is this instance's alone, every fourth one too large for memory; b"" when it begins with TEXT."""
    if name.startswith(TEXT):
        return b""
    return name.encode() * (4_000 if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 4 == 0 else 40)


def xml_of(name: str) -> bytes:
    return household(name, extra="<shelter>1.jpg</shelter>" + "<head>پ</head>" * (len(name) % 3))


def request_of(name: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers that send this instance with its file."""
    head = '--b\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n'
    parts = [head.format("xml_submission_file", "a.xml").encode() + xml_of(name)]
    if photo := photo_of(name):
        parts.append(head.format("1.jpg", "1.jpg").encode() + photo)
    body = b"\r\n".join((*parts, b"--b--\r\n"))
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


@dataclass
class Load:
    """Tablets that send until told to stop.

    acknowledged: what got a 201. refused: what else was answered, how often. insists: as Collect does, it sends again
    what was not acknowledged, also to a server that was gone.
    """

    token: str
    pause_s: float = 0
    insists: bool = False
    acknowledged: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def running(self, child: Child) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._send, args=(child.port, stop)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def send(self, connection: HTTPConnection, name: str) -> int:
        """Send one instance; return the status, and remember it."""
        connection.request("POST", f"/v1/key/{self.token}/projects/1/submission", *request_of(name))
        answer = connection.getresponse()
        answer.read()
        if answer.status == 201:
            self.acknowledged.append(name)
        else:
            self.refused[answer.status] += 1
        return answer.status

    def send_alone(self, child: Child, name: str) -> int:
        """Send one instance over a connection of its own; return the status."""
        connection = HTTPConnection("127.0.0.1", child.port, timeout=300)
        try:
            return self.send(connection, name)
        finally:
            connection.close()

    def _send(self, port: int, stop: threading.Event) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=300)
        name = ""
        while not stop.wait(self.pause_s):
            name = name or f"uuid:{next(self.numbers)}"
            try:
                if self.send(connection, name) == 201 or not self.insists:
                    name = ""
                else:
                    time.sleep(0.05)
            except (OSError, HTTPException):  # the server is gone
                if not self.insists:
                    break
                connection.close()
                time.sleep(0.05)
        connection.close()


def check_all_there(settings: Settings, acknowledged: list[str]) -> None:
    """Every acknowledged record is there once, byte for byte, with its file, and no record is half there."""
    node = open_node(settings)
    try:
        node.catch_up()
        with reading(node.engine) as connection:
            found = {one.instance_id: one for one in submissions.iter_submissions(connection, 1, "household")}
            files = {
                file.instance_id: file
                for file in submissions.list_attachments(connection, 1, "household", found)
            }
            bodies = journal.read_bodies(connection, [one.position for one in found.values()])
            kept = [
                row.body
                for row in connection.execute(select(entries.c.body, entries.c.kind))
                if row.kind == Kind.SUBMISSION
            ]
        assert not set(acknowledged) - set(found)
        assert len(kept) == len(set(kept)) == len(found)
        for name, one in found.items():
            assert bodies[one.position] == xml_of(name)
            if photo := photo_of(name):
                assert node.blobs.get(files[name].sha256) == photo
        check_chain(node)
    finally:
        node.close()


def check_chain(node: Node) -> None:
    with reading(node.engine) as connection:
        verify(iter_entries(connection))


def is_projected(settings: Settings) -> bool:
    """Whether a server has brought the state up to the journal, without our help."""
    engine = open_engine(settings.data, settings.database_url)
    try:
        return lag(engine) == 0
    finally:
        engine.dispose()

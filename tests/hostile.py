"""What tests of bad input share: requests written by hand, what is stored of them, a server to be watched."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from conftest import Live

from server.store import journal, quarantine, submissions
from server.store.engine import reading
from server.store.quarantine import Quarantined
from server.store.submissions import StoredSubmission

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is decided before any database is asked."""

BOMB = b"""<?xml version="1.0"?><!DOCTYPE data [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">
]><data id="household"><size>&e;&e;&e;&e;</size></data>"""

MEGABYTE = 1_000_000


def stored(live: Live) -> list[StoredSubmission]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return submissions.list_submissions(connection, 1, "household", after=0, limit=1000)


def quarantined(live: Live) -> list[Quarantined]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return quarantine.list_quarantined(connection, 1)


def entries(live: Live) -> int:
    with reading(live.node.engine) as connection:
        return journal.head_position(connection)


def body_of(*parts: tuple[str, str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """A multipart body with boundary `b`: (headers after `form-data; `, content type, content) of each part."""
    written = [
        f"--b\r\nContent-Disposition: form-data; {names}\r\nContent-Type: {kind}\r\n\r\n".encode() + content
        for names, kind, content in parts
    ]
    return b"\r\n".join(written) + b"\r\n" + end


def post_body(live: Live, body: bytes | Iterator[bytes], kind: str = "multipart/form-data; boundary=b"):
    return live.client.post(
        f"{live.tablet_url}/submission", content=body, headers={"Content-Type": kind}, timeout=120
    )


def exchange(url: str, request: bytes, *, then_close: bool = False, timeout_s: float = 10) -> bytes:
    """Send raw bytes; hang up, or read until the server has said all (b"" when it says nothing in time)."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout_s) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while not then_close and (chunk := connection.recv(65536)):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def raw_post(live: Live, body: bytes, length: int, path: str = "") -> bytes:
    path = path or urlsplit(live.tablet_url).path + "/submission"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    return head.encode() + body


class live_child:  # noqa: N801
    """A client for a server in another process, as `Live`."""

    def __init__(self, child, token: str) -> None:
        import httpx2

        self._client = httpx2.Client(timeout=120)
        self._live = Live(None, child.url, f"{child.url}/v1/key/{token}/projects/1", self._client)  # type: ignore[arg-type]

    def __enter__(self) -> Live:
        return self._live

    def __exit__(self, *_: object) -> None:
        self._client.close()

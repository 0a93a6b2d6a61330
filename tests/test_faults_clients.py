"""Clients that stall, drip, hang up or come by the thousand: they get nothing, and hold up nobody."""

from __future__ import annotations

import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from child import Child, prepare, started
from conftest import wait_for
from hostile import MEGABYTE, ON_SQLITE
from load import TEXT, Load, check_all_there, request_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and prlimit are Linux's")

LARGE = "uuid:large1"
PATIENCE_S = 3.0
FILES_MAX = 1024
CROWD = 2000


def whole_request(load: Load, name: str) -> bytes:
    body, headers = request_of(name)
    lines = [
        f"POST /v1/key/{load.token}/projects/1/submission HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def connect(child: Child) -> socket.socket:
    return socket.create_connection(("127.0.0.1", child.port), timeout=60)


def open_sockets(child: Child) -> int:
    found = 0
    for file in Path(f"/proc/{child.process.pid}/fd").iterdir():
        with suppress(OSError):
            found += str(file.readlink()).startswith("socket:")
    return found


def is_hung_up_on(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def drip(connection: socket.socket, pieces: Iterator[bytes], every_s: float) -> None:
    try:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(every_s)
    except OSError:
        pass


@ON_SQLITE
def test_who_stalls_is_hung_up_on_and_who_is_only_slow_is_waited_for(settings):
    load = Load(prepare(settings))
    with started(settings, CHAPAR_PATIENCE_S=str(PATIENCE_S)) as child, ExitStack() as stack:
        load.send_alone(child, LARGE)
        before = open_sockets(child)
        request = whole_request(load, "uuid:large2")
        stalled = [stack.enter_context(connect(child)) for _ in range(4)]
        for connection, sent in zip(stalled, (0, 30, 1000, len(request) - 1), strict=True):
            connection.sendall(request[:sent])
        dripping = stack.enter_context(connect(child))
        one_by_one = (request[n : n + 1] for n in range(len(request)))
        threading.Thread(target=drip, args=(dripping, one_by_one, 0.1), daemon=True).start()
        slow = stack.enter_context(connect(child))
        text = whole_request(load, f"{TEXT}-slow")
        drip(slow, (text[n : n + 20] for n in range(0, len(text), 20)), 2 * PATIENCE_S / (len(text) / 20))
        assert b" 201 " in slow.recv(1000)
        assert all(map(is_hung_up_on, (*stalled, dripping)))
        slow.close()
        wait_for(lambda: open_sockets(child) <= before)
        assert load.send_alone(child, "uuid:large2") == 201
    check_all_there(settings, [*load.acknowledged, f"{TEXT}-slow"])


@ON_SQLITE
def test_a_connection_reset_after_any_byte_leaves_nothing_half(settings):
    load = Load(prepare(settings))
    with started(settings) as child:
        request = whole_request(load, LARGE)
        head = request.index(b"\r\n\r\n")
        for sent in (1, head, head + 3, head + 200, len(request) // 2, len(request) - 1, len(request)):
            with connect(child) as connection:
                connection.sendall(request[:sent])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert load.send_alone(child, f"{TEXT}-1") == 201
        child.kill()
    check_all_there(settings, load.acknowledged)


@ON_SQLITE
def test_a_crowd_of_idle_connections_leaves_room_for_tablets(settings):
    wanted, allowed = CROWD + 200, resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed[1] not in (resource.RLIM_INFINITY, max(allowed[1], wanted)):
        pytest.skip(f"this process may open {allowed[1]} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed[0], wanted), allowed[1]))
    load = Load(prepare(settings))
    with started(settings) as child, ExitStack() as crowd:
        resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
        before = child.rss_bytes()
        for _ in range(CROWD):
            crowd.enter_context(connect(child))
        with load.running(child):
            wait_for(lambda: len(load.acknowledged) > 50)
        assert load.send_alone(child, LARGE) == 201
        assert child.peak_rss_bytes() - before < 100 * MEGABYTE
    resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert not load.refused
    check_all_there(settings, load.acknowledged)

"""Slow, large and endless input: nobody waits for it, and memory stays bounded."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

from child import prepare, started
from conftest import household, send
from hostile import (
    MEGABYTE,
    ON_SQLITE,
    body_of,
    live_child,
    post_body,
    raw_post,
)


def test_a_slow_tablet_keeps_nobody_waiting(live):
    body = body_of(('name="xml_submission_file"', "text/xml", household("uuid:slow")))
    request = raw_post(live, body, len(body))
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as slow:
        for start in range(0, len(request), 100):
            slow.sendall(request[start : start + 100])
            began = time.monotonic()
            assert send(live, household(f"uuid:{start}")).status_code == 201
            assert time.monotonic() - began < 5
        assert b" 201 " in slow.recv(65536)


def nested_parts(size_bytes: int) -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"\r\n\r\n<data id="household">'
    for _ in range(size_bytes // 300_000):
        yield b"<g>" * 100_000
    yield b"\r\n--b--\r\n"


@ON_SQLITE
def test_a_hundred_megabytes_of_nested_elements_cost_no_memory(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()
        answer = post_body(live, nested_parts(100 * MEGABYTE))
        assert answer.status_code == 202
        assert child.peak_rss_bytes() - before < 150 * MEGABYTE
        assert send(live, household("uuid:2")).status_code == 201


@ON_SQLITE
def test_who_tries_passwords_by_the_dozen_takes_neither_memory_nor_everybodys_turn(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()

        def guess(number: int) -> int:
            account = {"email": "a@example.org", "password": f"{number} correct horse"}
            return live.client.post(f"{live.url}/v1/sessions", json=account, timeout=60).status_code

        with ThreadPoolExecutor(40) as pool:
            assert set(pool.map(guess, range(80))) <= {401, 503}
        assert child.peak_rss_bytes() - before < 100 * MEGABYTE
        assert guess(1) == 401


@ON_SQLITE
def test_many_large_records_at_once_stay_within_bounds(settings):
    token = prepare(settings)
    large = household("uuid:{}", extra="<member><m_name>x</m_name></member>" * 45_000)
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()

        def post(number: int) -> int:
            return send(live, large.replace(b"uuid:{}", b"uuid:%d" % number)).status_code

        with ThreadPoolExecutor(24) as pool:
            assert set(pool.map(post, range(48))) <= {201, 503}
        time.sleep(3)  # the state follows
        assert child.peak_rss_bytes() - before < 400 * MEGABYTE


@ON_SQLITE
def test_many_tablets_with_a_hundred_small_photos_each_stay_within_bounds(settings):
    token = prepare(settings)
    photos = {f"{number}.jpg": b"%d" % number + bytes(60_000) for number in range(100)}
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()
        with ThreadPoolExecutor(25) as pool:
            answers = pool.map(lambda number: send(live, household(f"uuid:{number}"), photos), range(25))
            assert {answer.status_code for answer in answers} == {201}
        assert child.peak_rss_bytes() - before < 100 * MEGABYTE


@ON_SQLITE
def test_endless_headers_are_refused_without_growing(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        before = child.rss_bytes()
        for piece in (b"X-A: " + b"y" * 1000 + b"\r\n", b"y" * 1000):
            with socket.create_connection(("127.0.0.1", child.port), timeout=30) as connection:
                sent = 0
                try:
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-B: ")
                    while sent < 50 * MEGABYTE:
                        connection.sendall(piece * 1000)
                        sent += len(piece) * 1000
                except OSError:
                    pass
            assert sent < 50 * MEGABYTE
        assert child.peak_rss_bytes() - before < 30 * MEGABYTE
        assert send(live, household()).status_code == 201


@ON_SQLITE
def test_messages_of_a_relay_that_never_end_take_bounded_memory(settings):
    token = prepare(settings)
    head = b"POST /v1/relay HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n"
    with started(settings) as child, live_child(child, token) as live, ExitStack() as opened:
        send(live, household())
        before, answers = child.rss_bytes(), []
        for _ in range(12):
            stranger = opened.enter_context(socket.create_connection(("127.0.0.1", child.port), timeout=30))
            stranger.sendall(head + bytes(15 * MEGABYTE))
            answers.append(stranger)
        assert b" 503 " in answers[-1].recv(1000)
        assert child.peak_rss_bytes() - before < 150 * MEGABYTE
        assert send(live, household("uuid:2")).status_code == 201


def test_more_than_a_few_kilobytes_are_read_from_users_only_and_never_without_end(live, admin):
    email, password = admin
    account = b'{"email": "%s", "password": "%s"}' % (email.encode(), password.encode())

    def sign_in(padding: int, **options: object) -> int:
        headers = {"Content-Type": "application/json"}
        body = account + b" " * padding
        return live.client.post(
            f"{live.url}/v1/sessions", content=body, headers=headers, **options
        ).status_code

    assert sign_in(1000) == 200
    assert sign_in(MEGABYTE) == 401
    assert sign_in(MEGABYTE, auth=(email, "a wrong password")) == 401
    assert sign_in(MEGABYTE, auth=admin) == 200
    assert sign_in(21 * MEGABYTE, auth=admin) == 413

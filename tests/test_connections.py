"""What the wire may bring before a request is one: wishes for other protocols, and what is no HTTP."""

from __future__ import annotations

import socket
import time

from child import prepare, started
from conftest import household
from hostile import ON_SQLITE, body_of, exchange, live_child, raw_post

WISH = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
"""As Java's client and `curl --http2` send it with every request that is not encrypted."""


@ON_SQLITE
def test_a_wish_for_another_protocol_is_passed_over_and_the_body_read(settings):
    token = prepare(settings)
    body = body_of(('name="xml_submission_file"', "text/xml", household()))
    with started(settings) as child, live_child(child, token) as live:
        last = raw_post(live, body, len(body))
        post = last.replace(b"Connection: close\r\n", WISH)
        assert exchange(live.url, post + post + last).count(b" 201 ") == 3
        head_bytes = len(post) - len(body)
        for cut in (20, head_bytes - 2, head_bytes, len(post) - 9):
            with socket.create_connection(("127.0.0.1", child.port), timeout=10) as connection:
                connection.sendall(post[:cut])
                time.sleep(0.05)
                connection.sendall(post[cut:])
                assert b" 201 " in connection.recv(65536)
        chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        with_length = b"Content-Length: %d\r\n" % len(body)
        request = post[:head_bytes].replace(with_length, b"").removesuffix(b"\r\n") + chunked
        assert b" 201 " in exchange(live.url, request, timeout_s=1)
        get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + WISH + b"\r\n"
        assert exchange(live.url, get + get + last).count(b"HTTP/1.1 20") == 3
        assert b" 400 " in exchange(live.url, b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n")
        assert b" 201 " in exchange(live.url, last)


@ON_SQLITE
def test_what_is_no_http_fills_no_log(settings):
    prepare(settings)
    with started(settings) as child:
        for rubbish in (b"no http at all\r\n\r\n", b"\x16\x03\x01\x02\x00", b"CONNECT x:1 HTTP/1.1\r\n\r\n"):
            assert b" 400 " in exchange(child.url, rubbish)
    assert child.log.read_text() == ""

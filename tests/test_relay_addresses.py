"""The centre's address: mistyped, moved, or answered by somebody else, such as the sign-in page of a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import commands
import httpx2
import pytest
from conftest import Live
from relaying import enrolled, new_node

from server.node import Node, open_node
from server.problems import Problem
from server.relay import enrolling
from server.relay.client import relay
from server.relay.session import RelayError
from server.relay.status import describe
from server.settings import Settings
from server.store.engine import reading

__all__ = ["new_node"]

PAGE = b"<html><title>Sign in</title></html>"


@contextmanager
def portal(status: int) -> Iterator[str]:
    """Something that is no centre and answers everything alike; gives its address."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://portal.example/sign-in?token=secret")
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def error_at(node: Node) -> str:
    with reading(node.engine) as connection:
        return str(describe(connection)["centre"]["error"])


@pytest.mark.parametrize("status", [200, 302, 403, 404, 511])
def test_behind_a_sign_in_page_a_post_is_made_and_its_answer_written(
    node: Node, tmp_path: Path, status: int
) -> None:
    with portal(status) as url:
        enrolment, answer = tmp_path / "north.enrolment", tmp_path / "north.answer"
        enrolment.write_bytes(enrolling.enrol(node, "north", url).to_json())
        made = commands.run(
            "post", "init", "--from", str(enrolment), "--data", str(tmp_path / "post"), cwd=tmp_path
        )
    assert made.returncode == 0, made.stderr
    assert "Something else answers at the centre's address" in made.stdout
    assert enrolling.admit(node, enrolling.Answer.of(answer.read_bytes())).name == "north"


@pytest.mark.parametrize("status", [200, 302, 403, 500])
@pytest.mark.parametrize("is_known", [True, False])
def test_the_status_says_that_something_else_answers(node, new_node, status, is_known) -> None:
    post = new_node("post")
    with portal(status) as url:
        if is_known:
            enrolled(node, post, url)
        else:
            enrolling.become_post(post, enrolling.enrol(node, "north", url))
        with pytest.raises(RelayError, match="Something else answers"):
            relay(post)
    assert f"({status}" in error_at(post)
    assert "secret" not in error_at(post)


def test_the_status_says_that_the_centre_refuses(live: Live, new_node) -> None:
    post = new_node("post")
    made = enrolling.enrol(live.node, "north", live.url)
    enrolling.become_post(post, made)
    enrolling.enrol(live.node, "north", live.url)
    with pytest.raises(Problem):
        relay(post)
    assert "refuses this post" in error_at(post)


@pytest.mark.parametrize(
    "url", ["centre.example", "htp://centre.example", "http://[bad", "http://h:abc", " http://h", "http://"]
)
def test_what_is_no_address_is_refused_where_it_is_typed(node: Node, tmp_path: Path, url: str) -> None:
    with pytest.raises(Problem, match="no address of a centre"):
        enrolling.enrol(node, "north", url)
    enrolment = replace(enrolling.enrol(node, "north", ""), url=url)
    post = open_node(Settings(data=tmp_path / "post"))
    with pytest.raises(Problem, match="no address of a centre"):
        enrolling.become_post(post, enrolment)
    post.close()


def test_an_enrolment_that_cannot_be_written_leaves_the_one_before(new_node, tmp_path: Path) -> None:
    path, data = tmp_path / "north.enrolment", tmp_path / "centre"
    words = ("post", "enrol", "north", "--out", str(path), "--data", str(data))
    assert commands.run(*words).returncode == 0
    assert commands.run(*words).returncode == 1
    answer = enrolling.become_post(new_node("post"), enrolling.Enrolment.of(path.read_bytes()))
    centre = open_node(Settings(data=data))
    assert enrolling.admit(centre, answer).name == "north"
    centre.close()


def test_two_bytes_of_a_message_are_refused(live: Live) -> None:
    assert httpx2.post(f"{live.url}/v1/relay", content=b"CR").status_code == 400

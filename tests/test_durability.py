"""What was acknowledged is there: after `kill -9`, after a clean stop, beside other commands, after a rebuild."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import httpx2
import orjson
import pytest
from child import Child, chapar, prepare, started
from conftest import HOUSEHOLD, Live, household, send, state_of, wait_for
from sqlalchemy import delete, select

from server import projection
from server.node import Node, open_node
from server.publishing import publish
from server.settings import Settings
from server.store import journal, submissions
from server.store.engine import reading, writing
from server.store.tables import STATE
from server.store.tables import journal as entries
from sync.journal import Kind, verify

SOAK_ROUNDS = 50
CLIENTS = 6


def photo_of(name: str) -> bytes:
    """A file that is this instance's alone; every fourth one is too large for memory."""
    return name.encode() * (4_000 if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 4 == 0 else 40)


def xml_of(name: str) -> bytes:
    return household(name, extra="<shelter>1.jpg</shelter>" + "<head>پ</head>" * (len(name) % 3))


@dataclass
class Load:
    """Tablets that send until told to stop. acknowledged: what got a 201; lives outside the server."""

    token: str
    pause_s: float = 0
    acknowledged: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
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

    def _send(self, port: int, stop: threading.Event) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while not stop.wait(self.pause_s):
                name = f"uuid:{next(self.numbers)}"
                connection.request("POST", f"/v1/key/{self.token}/projects/1/submission", *_request(name))
                answer = connection.getresponse()
                answer.read()
                (self.acknowledged if answer.status == 201 else self.other).append(name)
        except (OSError, HTTPException):
            pass  # the server is gone
        finally:
            connection.close()


def _request(name: str) -> tuple[bytes, dict[str, str]]:
    head = 'Content-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n'
    body = b"\r\n".join(
        (
            b"--b\r\n" + head.format("xml_submission_file", "a.xml").encode() + xml_of(name),
            b"--b\r\n" + head.format("1.jpg", "1.jpg").encode() + photo_of(name),
            b"--b--\r\n",
        )
    )
    return body, {"Content-Type": "multipart/form-data; boundary=b"}


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
            assert node.blobs.get(files[name].sha256) == photo_of(name)
        check_chain(node)
    finally:
        node.close()


def check_chain(node: Node) -> None:
    with reading(node.engine) as connection:
        verify(journal.iter_entries(connection))


def kill_rounds(settings: Settings, rounds: int) -> None:
    load, chance = Load(prepare(settings)), random.Random(rounds)
    for _ in range(rounds):
        kill_once(settings, load, chance.uniform(0, 1))
    assert load.other == []
    assert list((settings.data / "tmp").iterdir()) == []
    check_all_there(settings, load.acknowledged)


def kill_once(settings: Settings, load: Load, after_s: float) -> None:
    """Start a server, and kill it so long after the first new acknowledgement."""
    began, known = time.monotonic(), len(load.acknowledged)
    with started(settings) as child:
        httpx2.get(f"{child.url}/healthz")
        ready_s = time.monotonic() - began
        with load.running(child):
            wait_for(lambda: len(load.acknowledged) > known)
            time.sleep(after_s)
            child.kill()
    # A figure, not a check.
    print(f"first answer after {ready_s:.2f} s, {len(load.acknowledged)} acknowledged")  # noqa: T201


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(settings):
    kill_rounds(settings, 1 if settings.database_url else 2)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
def test_fifty_kills_under_load_lose_nothing_that_was_acknowledged(settings):
    kill_rounds(settings, SOAK_ROUNDS)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_sigterm_under_load_finishes_what_is_in_flight_and_exits_with_0(settings):
    load = Load(prepare(settings))
    with started(settings) as child, load.running(child):
        wait_for(lambda: len(load.acknowledged) > 50)
        assert child.stop() == 0
    assert load.other == []
    check_all_there(settings, load.acknowledged)
    assert child.log.read_text() == ""


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_request_begun_before_sigterm_is_answered(settings):
    token = prepare(settings)
    with started(settings) as child:
        body, headers = _request("uuid:late")
        connection = HTTPConnection("127.0.0.1", child.port, timeout=30)
        connection.putrequest("POST", f"/v1/key/{token}/projects/1/submission")
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            connection.putheader(name, value)
        connection.endheaders(body[:100])
        time.sleep(0.3)
        threading.Timer(0.5, lambda: connection.send(body[100:])).start()
        assert child.stop() == 0
        assert connection.getresponse().status == 201
        connection.close()
    check_all_there(settings, ["uuid:late"])


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_second_server_on_one_data_directory_is_refused_and_told_where_the_first_is(settings):
    prepare(settings)
    with started(settings) as child:
        second = chapar(settings, "serve", "--port", "0")
        assert second.returncode == 1
        assert str(settings.data) in second.stderr
        assert child.url in second.stderr
        assert "Traceback" not in second.stderr
        assert chapar(settings, "rebuild").returncode == 1
        assert httpx2.get(f"{child.url}/healthz").status_code == 200


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_commands_beside_a_running_server_are_seen_by_it(settings, tmp_path):
    token = prepare(settings)
    sheet = tmp_path / "second.md"
    sheet.write_text(re.sub(r"\| household *\|", "| second |", HOUSEHOLD))
    with started(settings) as child:
        load = Load(token, pause_s=0.2)
        with load.running(child):
            assert chapar(settings, "forms", "publish", str(sheet)).returncode == 0
            made = orjson.loads(chapar(settings, "app-user", "create", "new", "--json").stdout)
            url = made["server_url"]
            assert url.startswith(child.url)
            wait_for(lambda: "second" in httpx2.get(f"{url}/formList").text, timeout_s=2)
            files = {"xml_submission_file": household("uuid:new", form_id="second")}
            assert httpx2.post(f"{url}/submission", files=files).status_code == 201
            exported = chapar(settings, "export", "household", "--out", str(tmp_path / "out"))
            assert (exported.returncode, exported.stderr) == (0, "")
            assert chapar(settings, "app-user", "revoke", str(made["id"])).returncode == 0
            wait_for(lambda: httpx2.get(f"{url}/formList").status_code == 403, timeout_s=4)
        assert load.other == []
        assert len(list((tmp_path / "out").glob("*.csv"))) == 2


def test_state_rebuilt_from_the_journal_is_the_same_row_for_row(live):
    mixed_load(live, random.Random(7))
    live.node.catch_up()
    before = state_of(live.node)
    assert all(before[name] for name in ("submission", "revision", "attachment", "quarantine", "form_media"))
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before
    check_chain(live.node)


def test_a_rebuild_that_was_cut_off_is_finished_by_the_next_start(live):
    mixed_load(live, random.Random(8))
    live.node.catch_up()
    before = state_of(live.node)
    with writing(live.node.engine) as connection:
        for table in STATE:
            connection.execute(delete(table))
    live.node.catch_up()
    assert state_of(live.node) == before


def mixed_load(live: Live, chance: random.Random) -> None:
    """Records, edits before and after their parents, siblings, repeats, files, a form that comes late and its media."""
    sheet = HOUSEHOLD.replace(
        "| image                | shelter  | Shelter ", "| select_one_from_file a.csv | shelter | Shelter"
    )
    publish(
        live.node,
        1,
        re.sub(r"\| household *\|", "| listed |", sheet).encode(),
        "listed.md",
        {"a.csv": b"name,label\na,A\n"},
    )
    requests = [
        (household(f"uuid:{n}", str(n), f"<shelter>{n}.jpg</shelter>"), {f"{n}.jpg": b"%d" % n})
        for n in range(20)
    ]
    requests += [(household(f"uuid:e{n}", "7", deprecated_id=f"uuid:{n % 25}"), {}) for n in range(30)]
    requests += [
        (household(f"uuid:ee{n}", "8", deprecated_id=f"uuid:e{n}"), {"audit.csv": b"x"}) for n in range(9)
    ]
    requests += [(household(f"uuid:{n}", "99"), {}) for n in range(5)]
    requests += [
        (household(f"uuid:l{n}", form_id="late"), {f"{m}.jpg": b"x"}) for n in range(4) for m in range(3)
    ]
    requests += [(household("uuid:odd", "many", version="9"), {}), (b"<data", {"1.jpg": b"x"}), (b"", {})]
    requests += chance.sample(requests, 15)
    chance.shuffle(requests)
    for number, (xml, files) in enumerate(requests):
        if number == len(requests) // 2:
            publish(live.node, 1, re.sub(r"\| household *\|", "| late |", HOUSEHOLD).encode(), "late.md", {})
        assert send(live, xml, files).status_code in {201, 202}

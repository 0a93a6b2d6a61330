"""Several processes on one store: nothing is lost or doubled, and what one learns the others know."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from child import Child, prepare, started
from conftest import HOUSEHOLD, Live, household, send, serving, wait_for
from load import Load, check_all_there
from people import PASSWORD, People
from pooler import pooled
from test_openrosa_digest import LIST, Tablet

from server import enrolment
from server.auth import hash_password
from server.node import open_node
from server.permissions import Role
from server.projection import lag
from server.publishing import publish
from server.settings import Settings
from server.store import accounts
from server.store.engine import open_engine, writing


def workers_of(child: Child) -> list[int]:
    """The processes that serve, the one that leads first."""
    task = Path(f"/proc/{child.process.pid}/task/{child.process.pid}/children")
    found = [int(pid) for pid in task.read_text().split()]
    return [pid for pid in found if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
def store(settings: Settings) -> Iterator[Settings]:
    """SQLite, or PostgreSQL behind a pooler, as large centres have it."""
    if not settings.database_url:
        yield settings
        return
    with pooled(settings.database_url) as (url, _):
        yield replace(settings, database_url=url)


def test_a_killed_worker_loses_nothing_the_others_serve_and_another_takes_its_place(store):
    load = Load(prepare(store), pause_s=0.02, insists=True)
    with started(store, CHAPAR_WORKERS="3") as child:
        first = workers_of(child)
        assert len(first) == 3
        with load.running(child):
            wait_for(lambda: len(load.acknowledged) > 30)
            os.kill(first[0], signal.SIGKILL)
            known = len(load.acknowledged)
            wait_for(lambda: len(load.acknowledged) > known + 30)
            wait_for(lambda: len(set(workers_of(child)) - set(first)) == 1, timeout_s=60)
        wait_for(lambda: is_projected(store), timeout_s=60)
        assert child.stop() == 0
        assert not any(map(is_alive, first))
    assert not load.refused
    assert child.log.read_text().count("another one is started") == 1
    check_all_there(store, load.acknowledged)


def is_projected(settings: Settings) -> bool:
    """Whether the workers have brought the state up to the journal, without our help."""
    engine = open_engine(settings.data, settings.database_url)
    try:
        return lag(engine) == 0
    finally:
        engine.dispose()


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_worker_compiles_a_sheet_in_a_process_of_its_own(settings):
    prepare(settings)
    node = open_node(settings)
    with writing(node.engine) as connection:
        hashed = hash_password(PASSWORD)
        accounts.add_user(connection, "a@example.org", hashed, Role.ADMINISTRATOR, one_time=False)
    node.close()
    with started(settings, CHAPAR_WORKERS="2") as child:
        answer = httpx2.post(
            f"{child.url}/v1/projects/1/forms?publish=true&ignoreWarnings=true",
            content=re.sub(r"\| household *\|", "| second |", HOUSEHOLD).encode(),
            headers={"Content-Type": "text/markdown"},
            auth=("a@example.org", PASSWORD),
            timeout=60,
        )
        assert (answer.status_code, answer.json()["xmlFormId"]) == (200, "second")
        assert child.stop() == 0
    assert child.log.read_text() == ""


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_workers_end_with_the_one_that_started_them_whatever_happens_to_it(settings):
    load = Load(prepare(settings), pause_s=0.05)
    with started(settings, CHAPAR_WORKERS="2") as child, load.running(child):
        wait_for(lambda: len(load.acknowledged) > 10)
        pids = workers_of(child)
        child.kill()
        wait_for(lambda: not any(map(is_alive, pids)), timeout_s=60)
    check_all_there(settings, load.acknowledged)


FAILING = """
import pathlib, socket, sys
from server.settings import Settings
from server.workers import run_workers
listener = socket.create_server(("127.0.0.1", 0))
settings = Settings(data=pathlib.Path(sys.argv[1]), workers=2)
run_workers(settings, listener, lambda: None, lambda: print("all are up"))
"""


def test_workers_that_cannot_start_are_not_started_for_ever(tmp_path):
    (tmp_path / "data").write_text("no directory")
    command = [sys.executable, "-c", FAILING, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "WorkerFailedError" in done.stderr


@pytest.fixture
def other(live: Live) -> Iterator[Live]:
    """A second server on the same store with a memory of its own, as each worker has."""
    node = open_node(live.node.settings)
    with serving(node, leads=False) as url:
        yield replace(live, node=node, url=url, tablet_url=live.tablet_url.replace(live.url, url))
    node.close()


def test_a_form_published_by_one_worker_is_served_by_the_others(live, other):
    sheet = re.sub(r"\| household *\|", "| second |", HOUSEHOLD)
    assert "second" not in live.client.get(f"{other.tablet_url}/formList").text
    assert send(other, household("uuid:1", form_id="second")).status_code == 202
    assert publish(live.node, 1, sheet.encode(), "second.md", {}).released == 1
    assert "second" in live.client.get(f"{other.tablet_url}/formList").text
    assert send(other, household("uuid:2", form_id="second")).status_code == 201


def test_a_revoked_tablet_is_refused_by_all_within_seconds(live, other):
    enrolled = enrolment.create_app_user(live.node, 1, "lost")
    live, other = (
        replace(one, tablet_url=enrolment.server_url(one.url, 1, enrolled.token)) for one in (live, other)
    )
    for one in (live, other):
        assert live.client.get(f"{one.tablet_url}/formList").status_code == 200
    enrolment.revoke_app_user(live.node, 1, enrolled.id)
    wait_for(lambda: live.client.get(f"{other.tablet_url}/formList").status_code == 403, timeout_s=4)
    assert send(other, household()).status_code == 403


def test_what_one_worker_challenged_another_takes(live, other):
    enrolled = enrolment.create_app_user(live.node, 1, "by hand")
    tablet = Tablet(live, enrolled.username, enrolled.password)
    assert tablet.request("GET", LIST).status_code == 200
    tablet.live = other
    assert tablet.send("GET", LIST).status_code == 200


def test_a_session_counts_everywhere_until_its_user_changes_the_password(live, other):
    people = People(live)
    headers = people.headers[Role.COORDINATOR]
    at_other = f"{other.url}/v1/projects/1/forms"
    assert live.client.get(at_other, headers=headers).status_code == 200
    body = {"old": PASSWORD, "new": "another long password"}
    live.client.put(f"{live.url}/v1/users/current/password", json=body, headers=headers)
    wait_for(lambda: live.client.get(at_other, headers=headers).status_code == 401, timeout_s=4)

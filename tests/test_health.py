"""`/healthz`, `/readyz` and who may see `/metrics`."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx2
import pytest
from conftest import Live, household, send, serving, wait_for
from hostile import ON_SQLITE
from sqlalchemy import Connection

from server import disk, intake
from server.node import Node
from server.store import journal
from server.store.engine import writing

BLOCK = 4096


@pytest.fixture
def free_bytes(monkeypatch: pytest.MonkeyPatch):
    """Have every disk be of 10 GB, with so much free."""

    def free_bytes(count: int) -> None:
        found = list(os.statvfs("/"))
        blocks = 10_000_000_000 // BLOCK
        found[0:5] = [BLOCK, BLOCK, blocks, count // BLOCK, count // BLOCK]
        monkeypatch.setattr(disk.os, "statvfs", lambda _: os.statvfs_result(found))

    return free_bytes


def ready(live: Live) -> tuple[int, list[str]]:
    answer = live.client.get(f"{live.url}/readyz")
    return answer.status_code, list(answer.json().get("details", {}).get("failed", []))


def test_a_server_that_takes_submissions_is_ready(live):
    assert ready(live) == (200, [])
    assert live.client.get(f"{live.url}/healthz").json() == {"status": "ok"}


@ON_SQLITE
def test_probes_may_ask_for_the_status_alone(live):
    for name in ("healthz", "readyz", "metrics"):
        answer = live.client.head(f"{live.url}/{name}")
        assert (answer.status_code, answer.content) == (200, b"")
    refused = live.client.post(f"{live.url}/healthz")
    assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_server_whose_threads_all_wait_for_the_database_is_alive(live):
    url = live.tablet_url.replace("/key/", "/key/x") + "/formList"
    with ThreadPoolExecutor(60) as crowd, writing(live.node.engine) as connection:
        connection.exec_driver_sql("LOCK TABLE app_user IN ACCESS EXCLUSIVE MODE")
        asked = [crowd.submit(httpx2.get, url, timeout=60) for _ in range(60)]
        wait_for(lambda: waiting(connection) >= 40)
        try:
            assert httpx2.get(f"{live.url}/healthz", timeout=20).status_code == 200
        finally:
            connection.rollback()
    assert {one.result().status_code for one in asked} == {401}


def waiting(connection: Connection) -> int:
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'app_user'::regclass"
    return int(connection.exec_driver_sql(query).scalar_one())


def test_a_writer_that_hangs_is_not_ready_until_it_goes_on(live, monkeypatch):
    monkeypatch.setattr(intake, "COMMIT_S_MAX", 0)
    with writing(live.node.engine) as connection:
        journal.lock(connection)
        sending = threading.Thread(target=send, args=(live, household()))
        sending.start()
        wait_for(lambda: ready(live) == (503, ["writer"]))
        assert live.client.get(f"{live.url}/healthz").status_code == 200
    sending.join()
    assert ready(live) == (200, [])


def test_a_schema_of_another_version_is_not_ready(live):
    with writing(live.node.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert ready(live) == (503, ["schema"])


@ON_SQLITE
def test_a_database_that_cannot_be_read_is_not_ready(live):
    live.node.engine.dispose()
    path = live.node.settings.data / "chapar.sqlite"
    path.rename(path.with_suffix(".away"))
    path.write_bytes(b"no database" * 1000)
    assert ready(live) == (503, ["store"])
    path.with_suffix(".away").rename(path)
    assert ready(live) == (200, [])


@ON_SQLITE
def test_a_disk_that_is_nearly_full_takes_texts_only_and_a_full_one_is_not_ready(live, free_bytes):
    free_bytes(400_000_000)
    assert ready(live) == (200, [])
    assert send(live, household("uuid:1"), {"a.jpg": b"x"}).status_code == 201
    free_bytes(150_000_000)
    refused = send(live, household("uuid:2"), {"a.jpg": b"x" * 3_000_000})
    assert (refused.status_code, "no room for photos" in refused.text) == (507, True)
    assert send(live, household("uuid:2", extra="<head>" + "پ" * 200_000 + "</head>")).status_code == 201
    assert ready(live) == (200, [])
    free_bytes(15_000_000)
    assert ready(live) == (503, ["disk"])


@ON_SQLITE
def test_a_file_that_comes_while_the_disk_fills_up_is_refused_half_way(live, free_bytes, monkeypatch):
    free_bytes(400_000_000)
    looked = iter([None] * 2)

    def spare_for_texts(_):
        if next(looked, "full") == "full":
            raise disk.NoRoomError

    monkeypatch.setattr("server.store.uploads.spare_for_texts", spare_for_texts)
    assert send(live, household(), {"a.mp4": bytes(5_000_000)}).status_code == 507
    assert list((live.node.settings.data / "tmp").iterdir()) == []


@ON_SQLITE
def test_metrics_are_for_this_machine_and_for_administrators(live, admin, sign_in):
    url = f"{live.url}/metrics"
    from_elsewhere = {"X-Forwarded-For": "127.0.0.1"}
    assert live.client.get(url).status_code == 200
    assert live.client.get(url, headers=from_elsewhere).status_code == 401
    assert live.client.get(url, headers=from_elsewhere, auth=admin).status_code == 200
    assert live.client.get(url, headers=from_elsewhere | sign_in("coordinator")).status_code == 403


@ON_SQLITE
def test_a_token_for_metrics_is_asked_of_everybody(node: Node, live):
    node.settings = replace(node.settings, metrics_token="scrape-me-1")
    with serving(node) as url:
        answers = [
            live.client.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}).status_code
            for token in ("scrape-me-1", "scrape-me-2", "?")
        ]
    assert answers == [200, 401, 401]

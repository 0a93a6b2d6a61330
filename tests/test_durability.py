"""What was acknowledged is there: after a clean stop, beside other commands, after a rebuild."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection

import httpx2
import orjson
import pytest
from child import chapar, prepare, started
from conftest import HOUSEHOLD, Live, household, send, state_of, wait_for
from load import Load, check_all_there, check_chain, request_of
from sqlalchemy import delete

from server import projection
from server.publishing import publish
from server.store.engine import sqlite_file, writing
from server.store.tables import STATE


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_sigterm_under_load_finishes_what_is_in_flight_and_exits_with_0(settings):
    load = Load(prepare(settings))
    with started(settings) as child, load.running(child):
        wait_for(lambda: len(load.acknowledged) > 50)
        assert child.stop() == 0
    assert not load.refused
    check_all_there(settings, load.acknowledged)
    assert child.log.read_text() == ""


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_request_begun_before_sigterm_is_answered(settings):
    token = prepare(settings)
    with started(settings) as child:
        body, headers = request_of("uuid:late")
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
        assert not load.refused
        assert {"household.csv", "household-member.csv"} <= {
            path.name for path in (tmp_path / "out").iterdir()
        }


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


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_at_rest_everything_stands_in_the_database_file_and_not_only_in_its_log(live, tmp_path):
    assert send(live, household("uuid:alone")).status_code == 201
    path = sqlite_file(live.node.settings.data)

    def stands_in_file() -> bool:
        copy = tmp_path / "without-log.sqlite"
        copy.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(copy)) as database, suppress(sqlite3.DatabaseError):
            found = database.execute("SELECT count(*) FROM submission WHERE instance_id = 'uuid:alone'")
            return bool(found.fetchone()[0])
        return False

    wait_for(stands_in_file)

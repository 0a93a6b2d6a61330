"""No answer, name or token is ever logged, whatever goes wrong."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys

import httpx2
import orjson
import pytest
from child import prepare, started
from conftest import household, send, serving
from hostile import (
    ON_SQLITE,
    exchange,
    live_child,
    raw_post,
    stored,
)
from sqlalchemy import text
from sqlalchemy.exc import DataError

from server.logs import Formatter, JsonFormatter, choose_request_id
from server.store.engine import reading
from server.store.troubles import Trouble

NAME = "Zahra Testname-Karimi"


def test_no_name_and_no_token_is_ever_logged(live, admin, caplog):
    caplog.set_level(logging.DEBUG)
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    named = f"<head>{NAME}</head>"
    for xml in (
        household("uuid:1", extra=named),
        household("uuid:2", NAME),
        household("uuid:3", extra=named)[:-5],
        household("uuid:4", extra=named, form_id="unheard-of"),
        household("uuid:5", extra=f"<seen>{NAME}</seen><place>{NAME}</place>"),
    ):
        send(live, xml, {f"{NAME}.jpg": b"photo"})
    exchange(live.url, raw_post(live, named.encode(), 10_000), then_close=True)
    live.client.post(f"{live.url}/v1/sessions", json={"email": NAME, "password": token})
    live.client.get(f"{live.url}/v1/projects/1/forms/{NAME}", auth=admin)
    stored(live)
    # The client's own records, and the access log that only pytest hears.
    ours = [one for one in caplog.records if not one.name.startswith(("http", "uvicorn.access"))]
    said = "".join(record.getMessage() + str(record.__dict__) for record in ours)
    assert "Testname" not in said
    assert token not in said


def test_an_error_is_logged_with_its_place_and_without_its_text():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter())
    log = logging.Logger("chapar.test")
    log.addHandler(handler)
    try:
        int(NAME)
    except ValueError:
        log.exception("entry %d", 7)
    assert "entry 7" in stream.getvalue()
    assert "int(NAME)" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "Testname" not in stream.getvalue()


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_trouble_that_nobody_expected_is_told_without_its_text(node):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter())
    log = logging.Logger("chapar.test")
    log.addHandler(handler)
    trouble = Trouble(log, "arrivals cannot be committed")
    try:
        int(NAME)
    except ValueError as error:
        trouble.say(error)
    with pytest.raises(DataError, match="Testname") as raised, reading(node.engine) as connection:
        connection.execute(text("SELECT CAST(:name AS integer)"), {"name": NAME})
    trouble.say(raised.value)
    trouble.say(OSError(28, "No space left on device"))
    said = stream.getvalue()
    assert "arrivals cannot be committed: ValueError\n" in said
    assert "int(NAME)" in said
    assert "arrivals cannot be committed: DataError\n" in said
    assert "No space left on device" in said
    assert "Testname" not in said


@ON_SQLITE
def test_a_failure_of_the_server_itself_logs_no_value(settings):
    token = prepare(settings)
    with started(settings, CHAPAR_LOG_LEVEL="debug") as child, live_child(child, token) as live:
        for path in (settings.data / "blobs", settings.data / "tmp"):
            path.rename(path.with_suffix(".away"))
        answer = send(live, household(extra=f"<head>{NAME}</head>"), {f"{NAME}.jpg": bytes(100_000)})
        assert answer.status_code in {500, 507}
        assert "OpenRosaResponse" in answer.text
    log = child.log.read_text()
    assert "submissions cannot be taken: FileNotFoundError" in log
    assert "Testname" not in log
    assert token not in log


UNCAUGHT = f"""
import asyncio, gc, logging, threading, warnings
from server import logs

def fail(*_):
    raise ValueError({NAME!r})

async def tasks():
    asyncio.get_running_loop().call_soon(fail, {NAME!r})
    task = asyncio.create_task(asyncio.to_thread(fail))
    await asyncio.wait([task])

class Odd:
    def __del__(self):
        fail()

logs.to_standard_error("info", "FORM")
logging.getLogger("chapar.test").info("a name of a file: %s", "caf\\udcff")
logging.getLogger("chapar.test").info("a number", extra={{"fields": {{"bytes": 2**70}}}})
thread = threading.Thread(target=fail)
thread.start()
thread.join()
warnings.warn({NAME!r})
asyncio.run(tasks())
gc.collect()
odd = Odd()
del odd
fail()
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_nobody_caught_is_logged_like_everything_without_its_text(form):
    code = UNCAUGHT.replace("FORM", form)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Testname" not in done.stderr
    assert done.stderr.count("ValueError") == 5
    if form == "json":
        lines = [orjson.loads(line) for line in done.stderr.splitlines()[2:]]
        assert [line["level"] for line in lines] == [
            "critical",
            "warning",
            "error",
            "error",
            "critical",
            "critical",
        ]
        assert [json.loads(line)["logger"] for line in done.stderr.splitlines()[:2]] == ["chapar.test"] * 2


@pytest.mark.parametrize(
    "given", [None, b"short", b"x" * 65, "زهرا-کریمی".encode(), b"two words", b'a"b,c:d{e}']
)
def test_an_id_that_cannot_stand_in_a_log_is_replaced(given):
    assert re.fullmatch("[0-9a-f]{16}", choose_request_id(given))


@ON_SQLITE
def test_a_request_is_followed_by_its_id_from_the_answer_into_every_line(live, caplog):
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.INFO)
    sent = {"X-Request-ID": "from-a-proxy.1"}
    live.node.engine.dispose()
    (live.node.settings.data / "chapar.sqlite").write_bytes(b"no database" * 1000)
    answer = live.client.get(f"{live.url}/readyz", headers=sent)
    assert answer.headers["X-Request-ID"] == answer.json()["requestId"] == "from-a-proxy.1"
    lines = [orjson.loads(line) for line in caplog.text.splitlines() if '"chapar.' in line]
    followed = {line["logger"]: line for line in lines if line.get("request_id") == "from-a-proxy.1"}
    assert followed["chapar.health"]["message"] == "not ready: store"  # written in a thread
    assert followed["chapar.access"]["status"] == 503


def test_every_answer_names_its_request(live, admin):
    answers = [
        send(live, household()),
        send(live, b"<data"),
        live.client.get(f"{live.tablet_url}/formList"),
        live.client.get(f"{live.url}/v1/projects/1/forms", auth=admin),
        live.client.get(f"{live.url}/v1/nothing"),
        live.client.get(f"{live.url}/v1/%00"),
        live.client.put(f"{live.url}/healthz"),
        live.client.get(f"{live.url}/v1/projects/1/forms"),
    ]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == len(answers)


@ON_SQLITE
def test_the_framework_tells_nobody_of_addresses_and_errors(node, monkeypatch):
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("fastapi.telemetry._runtime._export_endpoint", pytest.fail)
    with serving(node) as url:
        assert httpx2.get(f"{url}/healthz").status_code == 200


@ON_SQLITE
def test_logs_in_json_have_a_line_for_each_request_without_its_path(settings):
    token = prepare(settings)
    with (
        started(settings, CHAPAR_LOG_LEVEL="info", CHAPAR_LOG_FORMAT="json") as child,
        live_child(child, token) as live,
    ):
        send(live, household(extra=f"<head>{NAME}</head>"), {f"{NAME}.jpg": b"photo"})
        live.client.get(f"{live.tablet_url}/formList?deviceID={NAME}")
        exchange(child.url, b"no http at all\r\n\r\n")
        child.stop()
    log = child.log.read_text()
    lines = [orjson.loads(line) for line in log.splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    access = [line for line in lines if line["logger"] == "chapar.access"]
    found = [(line["method"], line["route"], line["status"]) for line in access]
    assert found == [
        ("POST", "/projects/{project_id}/submission", 201),
        ("GET", "/projects/{project_id}/formList", 200),
    ]
    assert access[0]["received_bytes"] > 500
    assert access[0]["duration_ms"] > 0
    assert token not in log
    assert "Testname" not in log

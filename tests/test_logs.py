"""No answer, name or token is ever logged, whatever goes wrong."""

from __future__ import annotations

import io
import logging

from child import prepare, started
from conftest import household, send
from hostile import (
    ON_SQLITE,
    exchange,
    live_child,
    raw_post,
    stored,
)

from server.logs import Formatter

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
    assert "a submission could not be taken" in log
    assert "FileNotFoundError: No such file" in log
    assert "Testname" not in log
    assert token not in log

"""What `/metrics` tells: figures that add up, a bounded number of series, and nothing about people."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from child import prepare, started
from conftest import Live, household, send, wait_for
from hostile import ON_SQLITE, live_child
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from forms.instance import Header
from server import intake
from server.metrics import StoreFigures
from server.receiving import Arrival, Sender

Figures = dict[tuple[str, ...], float]


def read(text: str) -> Figures:
    """Every sample: its name and the values of its labels, in order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(live: Live) -> Figures:
    return read(live.client.get(f"{live.url}/metrics").text)


def test_figures_add_up_over_what_came_in(live):
    for number in (1, 2, 3, 3):
        send(live, household(f"uuid:{number}"), {"a.jpg": b"x" * 1000})
    send(live, household("uuid:4", form_id="unheard-of"))
    send(live, household("uuid:3", size="6"))
    live.node.catch_up()
    wait_for(lambda: figures(live)["chapar_commit_arrivals_sum",] == 6)
    found = figures(live)
    assert found["chapar_arrivals_total", "stored"] == 4
    assert found["chapar_arrivals_total", "repeat"] == 1
    assert found["chapar_arrivals_total", "quarantined"] == 1
    assert found["chapar_arrivals_total", "failed"] == 0
    assert 1 <= found["chapar_commit_seconds_count",] <= 6
    route = "/projects/{project_id}/submission"
    assert found["chapar_http_request_seconds_count", "POST", route, "201"] == 5
    assert found["chapar_http_request_seconds_count", "POST", route, "202"] == 1
    assert found["chapar_http_received_bytes_total",] > 4000
    assert found["chapar_quarantine_waiting",] == 1
    assert found["chapar_conflicts_open",] == 1
    assert found["chapar_attachment_bytes",] == 3000
    assert found["chapar_store_up",] == 1
    assert found["chapar_projection_lag_entries",] == found["chapar_queue_arrivals",] == 0
    for name in ("chapar_journal_position", "chapar_database_bytes", "process_resident_memory_bytes"):
        assert found[name,] > 0
    assert 0 < found["chapar_disk_free_bytes", "data"] < found["chapar_disk_total_bytes", "data"]


@ON_SQLITE
def test_nothing_that_a_client_sends_becomes_a_series(live):
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    for number in range(20):
        send(live, household(f"uuid:Testname-{number}"))
        live.client.get(f"{live.url}/v1/Testname-{number}")
        live.client.get(f"{live.url}/v1/projects/{number}/forms/Testname-{number}")
        live.client.request(("PROPFIND", "REPORT")[number % 2], f"{live.url}/v1/sessions")
    text = live.client.get(f"{live.url}/metrics").text
    assert token not in text
    assert "Testname" not in text
    assert "Household" not in text
    assert len(text.splitlines()) < 300
    assert read(text)["chapar_http_request_seconds_count", "other", "/sessions", "405"] == 20
    assert read(text)["chapar_http_request_seconds_count", "GET", "none", "404"] == 20


def test_the_lag_is_the_age_of_the_oldest_entry_that_is_not_yet_state(node):
    header, sender = Header("unheard-of", "1", "uuid:1"), Sender(None, "", "", "test")
    intake.record(node.engine, [Arrival(1, header, b"<data/>", (), sender, datetime.now(UTC), "why")])
    time.sleep(0.05)
    registry = CollectorRegistry()
    registry.register(StoreFigures(node))
    behind = read(generate_latest(registry).decode())
    assert behind["chapar_projection_lag_entries",] == 1
    assert behind["chapar_projection_lag_seconds",] >= 0.04
    node.catch_up()
    caught_up = read(generate_latest(registry).decode())
    assert caught_up["chapar_projection_lag_entries",] == 0
    assert caught_up["chapar_projection_lag_seconds",] == 0


@ON_SQLITE
def test_a_store_that_does_not_answer_is_a_figure_too(node):
    registry = CollectorRegistry()
    registry.register(StoreFigures(node))
    node.engine.dispose()
    (node.settings.data / "chapar.sqlite").write_bytes(b"no database" * 1000)
    found = read(generate_latest(registry).decode())
    assert found["chapar_store_up",] == 0
    assert found["chapar_disk_free_bytes", "data"] > 0


@ON_SQLITE
def test_figures_of_several_workers_are_sums_whichever_of_them_answers(settings):
    token = prepare(settings)
    with started(settings, CHAPAR_WORKERS="2") as child:
        for number in range(12):  # a connection for each, so that both workers get some
            with live_child(child, token) as live:
                send(live, household(f"uuid:{number}"))
        with live_child(child, token) as live:
            wait_for(lambda: figures(live).get(("chapar_commit_arrivals_sum",)) == 12)
        found = []
        for _ in range(6):
            with live_child(child, token) as live:
                found.append(figures(live))
    route = "/projects/{project_id}/submission"
    for one in found:
        assert one["chapar_arrivals_total", "stored"] == 12
        assert one["chapar_http_request_seconds_count", "POST", route, "201"] == 12
        assert one["chapar_queue_arrivals",] == 0

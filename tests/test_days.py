"""Days that are closed at a time: what comes later is taken, and marked."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import orjson
import pytest
from conftest import Live, household, send, state_of
from people import People
from typer.testing import CliRunner

from server import projection
from server.cli import app
from server.exports.folder import export_form
from server.exports.options import Options, View
from server.permissions import Role
from sync.clock import COUNTER_BITS
from sync.days import Said, order

DAY = datetime.now(UTC).date() + timedelta(days=1)
FRIDAY = date(2026, 11, 20)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def stamp(moment: datetime) -> int:
    return int(moment.timestamp() * 1000) << COUNTER_BITS


def rule(moment: datetime, closes_at: clock | None, offset_min: int = 270) -> Said:
    return Said(stamp(moment), str(moment), closes_at=closes_at, offset_min=offset_min)


def test_a_day_closes_by_the_clock_there():
    days = order([rule(at(19, 0), clock(21))])
    assert [days.is_closed(FRIDAY, stamp(at(20, 16, minute))) for minute in (29, 30)] == [False, True]
    assert not days.is_closed(date(2026, 11, 18), stamp(at(20, 16))), "it had passed when the rule was given"


def test_another_rule_changes_no_day_that_is_closed():
    rules = [rule(at(19, 0), clock(21)), rule(at(21, 0), clock(18)), rule(at(22, 0), None)]
    for days in (order(rules), order(reversed(rules))):
        closings = [days.closing(date(2026, 11, day)) for day in (20, 21, 22)]
        assert closings == [at(20, 16, 30), at(21, 13, 30), None]
        assert days.rule is None


def test_what_comes_while_a_day_is_open_again_is_not_late():
    turns = [Said(stamp(at(21, hour)), str(hour), FRIDAY, hour == 8) for hour in (10, 8)]
    days = order([rule(at(19, 0), clock(21)), *turns])
    assert [days.is_closed(FRIDAY, stamp(at(21, hour))) for hour in (7, 9, 11)] == [True, False, True]


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


@pytest.fixture
def closed(live: Live, people: People, monkeypatch: pytest.MonkeyPatch) -> People:
    """One record of tomorrow, which closes at 21:00; then it is in three days."""
    given = {"closesAt": "21:00", "offset": "+04:30", "question": "seen"}
    assert people._ask("PUT", "cleaning/days", given, Role.ADMINISTRATOR).status_code == 200
    send(live, record("uuid:1"))
    live.node.catch_up()
    now = time.time_ns()
    later = now + 3 * 86_400 * 10**9
    monkeypatch.setattr("server.store.journal.time.time_ns", lambda: later)
    return people


def record(name: str, day: date = DAY, size: str = "5", deprecated_id: str = "") -> bytes:
    return household(name, size, f"<seen>{day}T10:00:00.000+04:30</seen>", deprecated_id)


def told(people: People, query: str = "") -> list[tuple[str, str, str]]:
    late = people.get(f"cleaning/days?{query}").json()["late"]
    return sorted((one["day"], one["instanceId"], one["what"]) for one in late)


def test_what_comes_after_the_closing_is_taken_and_traced(live, closed, tmp_path):
    people, other = closed, DAY + timedelta(days=30)
    assert send(live, record("uuid:2")).status_code == 201
    assert send(live, record("uuid:1b", size="6", deprecated_id="uuid:1")).status_code == 201
    assert send(live, record("uuid:3", other)).status_code == 201
    change = {"kind": "change", "new": "9", "field": "size"}
    moved = {"instanceId": "uuid:3", "kind": "change", "field": "seen", "new": f"{DAY}T11:00:00.000+04:30"}
    entries = [change | {"instanceId": "uuid:1"}, moved]
    assert people.post("cleaning", entries=entries).status_code == 200
    assert people.delete("submissions/uuid:2").status_code == 200
    day = str(DAY)
    late = [
        (day, "uuid:1", "corrected"),
        (day, "uuid:1", "edited"),
        (day, "uuid:2", "deleted"),
        (day, "uuid:2", "received"),
        (day, "uuid:3", "corrected"),
        (day, "uuid:3", "received"),
    ]
    assert told(people) == late
    assert told(people, f"day={other}") == []
    export_form(live.node, 1, "household", tmp_path, Options(view=View.CLEAN))
    manifest = orjson.loads((tmp_path / "household.manifest.json").read_bytes())
    assert manifest["days"]["late"] == {day: {"corrected": 2, "deleted": 1, "edited": 1, "received": 2}}
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert (state_of(live.node), told(people)) == (before, late)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_an_administrator_opens_a_day_again_and_a_coordinator_does_not(live, closed):
    people = closed
    opening = {"open": True, "reason": "the list of the morning was lost"}
    assert people._ask("PUT", f"cleaning/days/{DAY}", opening, Role.COORDINATOR).status_code == 403
    words = ["cleaning", "days", "household", "--reopen", str(DAY), "--data", str(live.node.settings.data)]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "closed at 21:00, UTC+04:30" in done.output) == (0, True)
    send(live, record("uuid:2"))
    live.node.catch_up()
    assert told(people) == []
    assert people._ask("PUT", f"cleaning/days/{DAY}", {"open": False}, Role.ADMINISTRATOR).status_code == 200
    send(live, record("uuid:4"))
    assert told(people) == [(str(DAY), "uuid:4", "received")]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_rule_that_cannot_be_read_is_refused(people):
    for given in (
        {"closesAt": "25:00"},
        {"closesAt": "21:00", "offset": "Asia/Kabul"},
        {"closesAt": "21:00", "question": "size"},
    ):
        assert people._ask("PUT", "cleaning/days", given, Role.ADMINISTRATOR).status_code == 400


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_record_of_a_day_that_nobody_means_is_of_the_day_of_its_receipt(live, closed):
    for year in ("0001", "9999"):
        xml = record(f"uuid:{year}").replace(f"<seen>{DAY}".encode(), f"<seen>{year}-12-31".encode())
        assert send(live, xml).status_code == 201
    days = [one["day"] for one in closed.get("cleaning/days").json()["days"]]
    assert len(days) == 2
    assert all(day.startswith("20") for day in days)

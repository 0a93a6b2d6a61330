"""Somebody sets the clock of the machine back a day or a year ahead: nothing stops, nothing is lost, order stays."""

from __future__ import annotations

import csv
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import orjson
import pytest
from child import Child, chapar, prepare, started
from conftest import wait_for
from faulty import run
from hostile import ON_SQLITE
from load import TEXT, Load, check_all_there, is_projected
from sqlalchemy import select

from server.auth import hash_password
from server.node import open_node
from server.permissions import Role
from server.settings import Settings
from server.store import accounts
from server.store.engine import reading, writing
from server.store.tables import journal as entries
from sync.clock import to_datetime
from sync.journal import Kind

DAY_S = 86_400
YEAR_S = 365 * DAY_S
EMAIL, PASSWORD = "a@example.org", "long-enough-1"


@dataclass(frozen=True)
class Clock:
    """The wall clock of servers started with `environment`."""

    library: Path
    offset: Path

    def set(self, ahead_s: int) -> None:
        with self.offset.open("r+b") as file:
            file.write(struct.pack("q", ahead_s))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "FAULTY_CLOCK": str(self.offset)}


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    library, source = tmp_path / "clock.so", Path(__file__).with_name("clock.c")
    run("cc", "-shared", "-fPIC", "-O1", "-o", library, source)
    (tmp_path / "offset").write_bytes(bytes(8))
    return Clock(library, tmp_path / "offset")


@ON_SQLITE
def test_a_clock_set_back_a_day_and_a_year_ahead_loses_and_stops_nothing(settings, clock, tmp_path):
    load = Load(prepare(settings))
    add_administrator(settings)
    with started(settings, **clock.environment) as child:
        session = sign_in(child)
        for number, ahead_s in enumerate((0, -DAY_S, YEAR_S, -DAY_S, 0)):
            clock.set(ahead_s)
            assert load.send_alone(child, f"{TEXT}-{number}") == 201
            wait_for(lambda ends=ahead_s == YEAR_S: has_ended(child, session) == ends)
        assert not has_ended(child, sign_in(child))
        wait_for(lambda: is_projected(settings))
        child.kill()
    check_all_there(settings, load.acknowledged)
    check_receipts(settings)
    assert chapar(settings, "export", "household", "--out", str(tmp_path / "out")).returncode == 0
    with (tmp_path / "out" / "household.csv").open(encoding="utf-8-sig") as file:
        assert {row["KEY"] for row in csv.DictReader(file)} == set(load.acknowledged)


def check_receipts(settings: Settings) -> None:
    """When something was received is what the clock said; stamps only ever rise, and stay ahead once they were."""
    received = receipts(settings)
    start, back, ahead, back_again, now = (when for when, _ in received)
    assert back_again < start < now < ahead
    assert timedelta(hours=23) < start - back < timedelta(hours=25)
    stamps = [stamp for _, stamp in received]
    assert stamps == sorted(set(stamps))
    assert to_datetime(stamps[-1]) - now > timedelta(days=364)


def add_administrator(settings: Settings) -> None:
    node = open_node(settings)
    with writing(node.engine) as connection:
        accounts.add_user(connection, EMAIL, hash_password(PASSWORD), Role.ADMINISTRATOR, one_time=False)
    node.close()


def sign_in(child: Child) -> str:
    answer = httpx2.post(f"{child.url}/v1/sessions", json={"email": EMAIL, "password": PASSWORD})
    return str(answer.json()["token"])


def has_ended(child: Child, session: str) -> bool:
    headers = {"Authorization": f"Bearer {session}"}
    return httpx2.get(f"{child.url}/v1/users/current", headers=headers).status_code == 401


def receipts(settings: Settings) -> list[tuple[datetime, int]]:
    """When each submission was received by the clock, and its stamp, in the order of the journal."""
    node = open_node(settings)
    try:
        with reading(node.engine) as connection:
            rows = connection.execute(
                select(entries.c.detail, entries.c.stamp)
                .where(entries.c.kind == Kind.SUBMISSION)
                .order_by(entries.c.position)
            ).all()
        return [(datetime.fromisoformat(orjson.loads(row.detail)["received_at"]), row.stamp) for row in rows]
    finally:
        node.close()

"""PostgreSQL stops, loses connections, or cannot decide: tried again inside, answered once, stored once."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from child import Child, prepare, started
from conftest import wait_for
from load import Load, check_all_there
from postgres import Postgres, Proxy

from server.settings import Settings


@dataclass(frozen=True)
class Faulty:
    """A server whose PostgreSQL can be hurt. directly: settings that go past the proxy."""

    postgres: Postgres
    proxy: Proxy
    child: Child
    load: Load
    directly: Settings

    def send_meanwhile(self, name: str) -> threading.Thread:
        thread = threading.Thread(target=self.load.send_alone, args=(self.child, name))
        thread.start()
        return thread

    def check(self) -> None:
        check_all_there(self.directly, self.load.acknowledged)


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    # Not under pytest's own folder: socket paths must be short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        postgres = Postgres(Path(folder))
        proxy = Proxy(Path(folder), postgres.socket)
        directly = Settings(data=Path(folder) / "node", database_url=postgres.url)
        load = Load(prepare(directly), insists=True)
        with proxy.running(), started(replace(directly, database_url=proxy.url)) as child:
            yield Faulty(postgres, proxy, child, load, directly)
        postgres.close()


def test_what_postgresql_loses_or_cannot_decide_is_answered_once_and_stored_once(faulty, subtests):
    for fault in FAULTS:  # in one test, since the servers take longer to start than all of this
        faulty.load.send_alone(faulty.child, f"uuid:before-{fault.__name__}")
        faulty.load.refused.clear()
        with subtests.test(fault.__name__):
            fault(faulty)


def connection_lost_at_commit(faulty: Faulty) -> None:
    for lost, when in enumerate(("before", "after"), 1):
        faulty.proxy.lose = when
        assert faulty.load.send_alone(faulty.child, f"uuid:lost-{when}") == 201
        assert faulty.proxy.lost == lost
    faulty.check()


def deadlock(faulty: Faulty) -> None:
    with faulty.postgres.connect() as other:
        other.execute("SET deadlock_timeout = '1min'")  # the server is to be the one that is told
        other.execute("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
        sending = faulty.send_meanwhile("uuid:deadlock")
        wait_for(lambda: _waits_for(faulty, "journal"))
        other.execute("SELECT 1 FROM node FOR UPDATE")
    sending.join()
    assert "deadlock detected" in faulty.postgres.log
    assert "uuid:deadlock" in faulty.load.acknowledged
    assert not faulty.load.refused
    faulty.check()


def serialization_failure(faulty: Faulty) -> None:
    with faulty.postgres.connect(autocommit=True) as admin:
        admin.execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")
        for attempt in range(10):  # a connection that somebody read with before says its own level
            _disconnect_all(admin)
            with faulty.postgres.connect() as other:
                other.execute("UPDATE node SET stamp = stamp + 1")
                sending = faulty.send_meanwhile(f"uuid:serial-{attempt}")
                wait_for(lambda: _waits_for(faulty, "node"))
            sending.join()
            assert f"uuid:serial-{attempt}" in faulty.load.acknowledged
            if "could not serialize access" in faulty.postgres.log:
                break
        admin.execute("ALTER DATABASE postgres RESET default_transaction_isolation")
        _disconnect_all(admin)
    assert "could not serialize access" in faulty.postgres.log
    assert not faulty.load.refused


def too_many_connections(faulty: Faulty) -> None:
    with faulty.postgres.connect(autocommit=True) as admin:
        admin.execute("ALTER ROLE chapar CONNECTION LIMIT 0")
        _disconnect_all(admin)
        sending = faulty.send_meanwhile("uuid:many")
        wait_for(lambda: "too many connections for role" in faulty.postgres.log)
        admin.execute("ALTER ROLE chapar CONNECTION LIMIT -1")
    sending.join()
    assert set(faulty.load.refused) <= {503}  # who it is may be what could not be asked


def stopped_and_started_under_load(faulty: Faulty) -> None:
    with faulty.load.running(faulty.child):
        known = len(faulty.load.acknowledged)
        wait_for(lambda: len(faulty.load.acknowledged) > known + 20)
        faulty.postgres.stop()
        time.sleep(1)
        known = len(faulty.load.acknowledged)
        faulty.postgres.start()
        wait_for(lambda: len(faulty.load.acknowledged) > known + 20, timeout_s=60)
    assert set(faulty.load.refused) <= {503}
    assert faulty.child.process.poll() is None
    faulty.check()


FAULTS = (
    connection_lost_at_commit,
    deadlock,
    serialization_failure,
    too_many_connections,
    stopped_and_started_under_load,
)


def _waits_for(faulty: Faulty, table: str) -> bool:
    """Whether somebody waits for a lock while they use this table."""
    with faulty.postgres.connect() as looker:
        found = looker.execute(
            "SELECT 1 FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE a.wait_event_type = 'Lock' AND l.relation = %s::regclass",
            [table],
        )
        return found.fetchone() is not None


def _disconnect_all(admin: psycopg.Connection) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )

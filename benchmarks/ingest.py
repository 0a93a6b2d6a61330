"""`make bench`: durable submissions per second, and the ratio to a bare grouped SQLite loop in the same run."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.server import BenchServer
from benchmarks.workload import instances, sheet

COUNTS = {1: 1500, 8: 4000, 32: 6000}
GROUP = 256


def bare_loop(folder: Path, count: int = 10_000) -> float:
    """Return rows/s of the floor: the same bytes with a unique digest, 256 to a fsynced commit, nothing else."""
    rows = [(hashlib.sha256(xml).digest(), xml) for xml in instances(count, seed=7)]
    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE bare (digest BLOB UNIQUE, body BLOB)")
    began = time.perf_counter()
    for start in range(0, count, GROUP):
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT INTO bare VALUES (?, ?)", rows[start : start + GROUP])
        database.execute("COMMIT")
    seconds = time.perf_counter() - began
    database.close()
    return count / seconds


def main() -> None:
    """Measure and print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        form = folder / "bench.md"
        form.write_bytes(sheet())
        size = sum(len(xml) for xml in instances(100, 1)) // 100
        floor = bare_loop(folder)
        print(
            f"bare grouped SQLite loop: {floor:,.0f} rows/s of {size:,} bytes (256 a commit, synchronous=FULL)"
        )
        with BenchServer(folder / "data") as server:
            server.chapar("forms", "publish", str(form))
            print(f"server at rest: {server.rss_mb():.0f} MB")
            print(
                "connections  submissions/s  ratio  p50 ms  p99 ms  CPU us each  caught up s  RSS MB  refused"
            )
            for seed, (connections, count) in enumerate(COUNTS.items(), 1):
                _measure(server, connections, count, seed, floor)


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
        f"{connections:11}  {found['per_s']:13,.0f}  {found['per_s'] / floor:5.3f}  {found['p50_ms']:6.1f}"
        f"  {found['p99_ms']:6.1f}  {accepted / count * 1e6:11.0f}  {time.perf_counter() - began:11.2f}"
        f"  {server.rss_mb():6.0f}  {found['refused']:7}"
    )
    assert lag == 0


if __name__ == "__main__":
    main()

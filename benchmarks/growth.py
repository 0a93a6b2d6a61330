"""What the number of stored submissions does to ingest, pages and lookups: flat is the aim.

python -m benchmarks.growth [SMALL LARGE]   (10,000 and 100,000; the figures are about 10,000 and 1,000,000)

SMALL submissions come in by the real road. The rest are copies of their rows under other names, hashes and keys, as
scattered as real ones: only the chain of hashes is not what it should be.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx2

from benchmarks.ingest import bare_loop
from benchmarks.merge import SENDER, batches
from benchmarks.server import BenchServer
from benchmarks.workload import instances, sheet
from server import intake, receiving
from server.auth import hash_password
from server.node import open_node
from server.permissions import Role
from server.publishing import publish
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from server.store import accounts, lost
from server.store.engine import sqlite_file, writing

BATCH = 256
CONNECTIONS = 32
INGESTED = 4000
READS = 60
WHO = ("bench@example.org", "correct horse battery")
NAMES = ("instance_id", "root_id", "current_id")
HASHES = ("hash", "key", "payload_hash")


def fill(data: Path, count: int) -> None:
    """Make a store with so many submissions, and a coordinator."""
    node = open_node(Settings(data=data))
    ensure_project(node)
    publish(node, PROJECT_ID, sheet(), "bench.md", {})
    for batch in batches(instances(count, seed=3), BATCH):
        arrived = [receiving.examine(PROJECT_ID, xml, [], SENDER, lambda *_: True) for xml in batch]
        intake.record(node.engine, arrived)
    node.catch_up()
    with writing(node.engine) as connection:
        accounts.add_user(connection, WHO[0], hash_password(WHO[1]), Role.COORDINATOR, one_time=False)
        # The daily look at all bodies would find that the copies' hashes are not theirs.
        lost.note_audit(connection, read_ms=time.time_ns() // 1_000_000)
    node.close()


def multiply(data: Path, times: int) -> None:
    """Copy every submission `times` - 1 times."""
    database = sqlite3.connect(sqlite_file(data), isolation_level=None)
    database.create_function("renamed", 2, _renamed, deterministic=True)
    (end,) = database.execute("SELECT position FROM node").fetchone()
    for table, condition in (("journal", "kind = 'submission'"), ("revision", "1"), ("submission", "1")):
        columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(_value(column) for column in columns)
        copy = f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {condition} AND position <= :end"
        for number in range(1, times):
            database.execute(copy, {"number": number, "end": end})
    for table, column in (("node", "seq"), ("node", "position"), ("cursor", "position")):
        database.execute(f"UPDATE {table} SET {column} = {column} + ?", ((times - 1) * end,))
    database.execute(
        "UPDATE form_tally SET submissions = submissions * ?1, revisions = revisions * ?1", (times,)
    )
    database.execute("ANALYZE")
    database.close()


def _value(column: str) -> str:
    if column in NAMES:
        return f"renamed({column}, :number)"
    if column in HASHES:
        return "randomblob(32)"
    return f"{column} + :number * :end" if column in {"position", "seq"} else column


def _renamed(name: str, number: int) -> str:
    digest = hashlib.md5(f"{name}/{number}".encode(), usedforsecurity=False).hexdigest()
    return f"uuid:{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def ingest(data: Path, seed: int) -> float:
    """Return submissions/s as a ratio to the bare loop just before."""
    with tempfile.TemporaryDirectory() as scratch, BenchServer(data) as server:
        floor = bare_loop(Path(scratch))
        words = [str(server.port), server.path, str(CONNECTIONS), str(INGESTED), str(seed)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *words], stdout=subprocess.PIPE, check=True
        )
        while server.lag():
            time.sleep(0.1)
    return float(json.loads(done.stdout)["per_s"] / floor)


def read_both(*stores: Path) -> dict[str, list[float]]:
    """Return how many milliseconds each reading takes at each store, in turn: the machine is the same for both."""
    with httpx2.Client() as client, ExitStack() as running:
        readings = [_readings(client, running.enter_context(BenchServer(store))) for store in stores]
        return {name: _medians_ms([one[name] for one in readings]) for name in readings[0]}


def _readings(client: httpx2.Client, server: BenchServer) -> dict[str, Callable[[], object]]:
    forms = f"{server.url}/v1/projects/{PROJECT_ID}/forms"
    page = client.get(f"{forms}/bench/submissions?limit=50", auth=WHO)
    page.raise_for_status()
    middle = page.json()[-1]["instanceId"]
    key = server.path.removesuffix("/submission")

    def read(url: str, *, signed_in: bool = True) -> Callable[[], object]:
        return lambda: client.get(url, auth=WHO if signed_in else None).raise_for_status()

    return {
        "first page of the submissions, ms": read(f"{forms}/bench/submissions?limit=50"),
        "one submission, ms": read(f"{forms}/bench/submissions/{middle}"),
        "forms, ms": read(forms),
        "one form with its counts, ms": read(f"{forms}/bench"),
        "formList, ms": read(f"{server.url}{key}/formList", signed_in=False),
        "open conflicts, ms": read(f"{server.url}/v1/projects/{PROJECT_ID}/conflicts"),
    }


def _medians_ms(works: Sequence[Callable[[], object]]) -> list[float]:
    took: list[list[float]] = [[] for _ in works]
    for _ in range(READS):
        for work, one in zip(works, took, strict=True):
            began = time.perf_counter()
            work()
            one.append(time.perf_counter() - began)
    return [sorted(one)[READS // 2] * 1000 for one in took]


def main(small: int, large: int) -> None:
    """Print each figure at both sizes, and the second as a part of the first."""
    with tempfile.TemporaryDirectory() as scratch:
        data, few = Path(scratch) / "data", Path(scratch) / "small"
        fill(data, small)
        shutil.copytree(data, few)
        ratios = [ingest(few, 11)]
        multiply(data, large // small)
        size = sqlite_file(data).stat().st_size
        ratios.append(ingest(data, 12))
        found = {"ingest, ratio to the bare loop": ratios} | read_both(few, data)
    print(f"{'':34}  {small:>10,}  {large:>10,}  ratio   ({size / large:,.0f} bytes a submission)")
    for name, (before, after) in found.items():
        print(f"{name:34}  {before:10.3f}  {after:10.3f}  {after / before:5.2f}")


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (10_000, 100_000)))

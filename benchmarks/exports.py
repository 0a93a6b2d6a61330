"""`make bench`: exports per processor second and their memory, each held against a floor of the same run.

python -m benchmarks.exports [SUBMISSIONS]   (10,000; the figures are about 200,000)
python -m benchmarks.exports wide [SUBMISSIONS COLUMNS]   (132,229 and 510)

The floor reads the rows, parses their JSON and writes the texts as CSV: no titles, no order, no keys, no zip.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from server.exports.making import make
from server.exports.options import Format, Options
from server.node import open_node
from server.settings import Settings
from server.setup import PROJECT_ID
from server.store.engine import sqlite_file

COLUMNS, ROWS, ROW_COLUMNS = 65, 4, 10
SEEDS = 500
WIDE = (132_229, 510)
KINDS = ("text", "integer", "select_one yn", "select_multiple need", "date", "decimal")
WORDS = ("خانواده", "سرپناه", "آب", "مدرک", "اسلام‌قلعه", "Zaranj", "family", "transit")


def sheet(columns: int) -> bytes:
    """Return the form as a Markdown XLSForm."""
    rows = ["| survey | | | |", "| | type | name | label |"]
    rows += [f"| | {KINDS[n % len(KINDS)]} | q{n:03} | Question {n} |" for n in range(columns)]
    rows += ["| | begin_repeat | member | Member |"]
    rows += [f"| | {KINDS[n % len(KINDS)]} | m{n:02} | Member {n} |" for n in range(ROW_COLUMNS)]
    rows += ["| | end_repeat | | |", "| choices | | | |", "| | list_name | name | label |"]
    rows += ["| | yn | yes | Yes |", "| | yn | no | No |", *(f"| | need | n{n} | N{n} |" for n in range(9))]
    return "\n".join([*rows, "| settings | | |", "| | form_id | version |", "| | bench | 1 |"]).encode()


def instances(count: int, columns: int) -> Iterator[bytes]:
    """Yield distinct instances, a fifth of the answers blank."""
    chance = random.Random(7)

    def answer(name: str, question: int) -> str:
        drawn = (
            " ".join(chance.choices(WORDS, k=3)),
            str(chance.randrange(5000)),
            chance.choice(("yes", "no")),
            " ".join(sorted({f"n{chance.randrange(9)}" for _ in range(3)})),
            f"2026-11-{chance.randrange(1, 29):02}",
            f"{chance.random() * 100:.3f}",
        )
        return f"<{name}>{drawn[question % 6] if chance.random() < 0.8 else ''}</{name}>"

    for number in range(count):
        answers = "".join(answer(f"q{n:03}", n) for n in range(columns))
        for _ in range(ROWS):
            answers += f"<member>{''.join(answer(f'm{n:02}', n) for n in range(ROW_COLUMNS))}</member>"
        meta = f"<meta><instanceID>uuid:{number:032x}</instanceID></meta>"
        yield f'<data id="bench" version="1">{answers}{meta}</data>'.encode()


def fill(data: Path, count: int, columns: int) -> None:
    """Make a store of so many submissions: some by the real road, the rest copies of them."""
    # inside: what runs an export is to have in memory what an export needs, and no more
    from benchmarks.growth import multiply
    from benchmarks.merge import SENDER, batches
    from server import intake, receiving
    from server.publishing import publish
    from server.setup import ensure_project

    node = open_node(Settings(data=data))
    ensure_project(node)
    publish(node, PROJECT_ID, sheet(columns), "bench.md", {})
    for batch in batches(instances(min(count, SEEDS), columns), 256):
        intake.record(
            node.engine, [receiving.examine(PROJECT_ID, xml, [], SENDER, lambda *_: True) for xml in batch]
        )
    node.catch_up()
    node.close()
    multiply(data, max(1, count // SEEDS))


def floor(data: Path, scratch: Path) -> None:
    """Read, parse, write."""
    database = sqlite3.connect(sqlite_file(data))
    with (scratch / "a.csv").open("w") as first, (scratch / "b.csv").open("w") as second:
        own, members = csv.writer(first), csv.writer(second)
        for (answers,) in database.execute(
            "SELECT answers FROM submission WHERE project_id = 1 AND form_id = 'bench' ORDER BY position"
        ):
            document = orjson.loads(answers)
            rows = document.pop("member")
            document.pop("meta")
            own.writerow(document.values())
            members.writerows(row.values() for row in rows)


def run(what: str, data: Path) -> dict[str, float]:
    """Return what one export cost this process: CPU seconds; memory before and at its peak, in MB; size in MB."""
    node = open_node(Settings(data=data))
    idle, idle_mb = resource.getrusage(resource.RUSAGE_SELF), peak_mb()
    with tempfile.TemporaryDirectory() as scratch:
        if what == "floor":
            floor(data, Path(scratch))
        else:
            make(node, PROJECT_ID, "bench", Options(format=Format(what)), Path(scratch) / "export")
        used = resource.getrusage(resource.RUSAGE_SELF)
        size = sum(file.stat().st_size for file in Path(scratch).iterdir())
    cpu = used.ru_utime + used.ru_stime - idle.ru_utime - idle.ru_stime
    return {"cpu": cpu, "idle": idle_mb, "rss": peak_mb(), "size": size / 1e6}


def peak_mb() -> float:
    """Resident memory of this process at its peak. `getrusage` tells that of the parent where this is more."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM:"))


def measure(what: str, data: Path) -> dict[str, float]:
    """Run one export in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.exports", "run", what, str(data)]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {**json.loads(done.stdout), "wall": time.perf_counter() - began}


def main(count: int, columns: int, formats: list[str]) -> None:
    """Print a line for each format."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        fill(data, count, columns)
        count = max(SEEDS, count // SEEDS * SEEDS)
        print(f"{count:,} submissions of {columns} columns, {count * ROWS:,} rows of {ROW_COLUMNS}")
        print(
            f"{'':8}  {'per CPU s':>9}  {'floor':>8}  {'of floor':>8}  {'idle MB':>8}  {'peak MB':>8}  {'file MB':>8}"
            f"  {'seconds':>8}"
        )
        for what in formats:
            least = measure("floor", data)["cpu"]  # just before: the machine changes its speed
            found = measure(what, data)
            print(
                f"{what:8}  {count / found['cpu']:9,.0f}  {count / least:8,.0f}  {least / found['cpu']:8.2f}  {found['idle']:8.0f}"
                f"  {found['rss']:8.0f}  {found['size']:8.1f}  {found['wall']:8.1f}"
            )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", what, data]:
            print(json.dumps(run(what, Path(data))))
        case ["wide", *numbers]:
            wide = tuple(map(int, numbers)) or WIDE
            main(*wide, ["csv"])
        case numbers:
            main(
                int(numbers[0]) if numbers else 10_000,
                COLUMNS,
                [one.value for one in Format if one is not Format.MEDIA],
            )

"""`make bench`: what a view costs by its number of revisions, and deriving all state from the journal again.

python -m benchmarks.merge [SUBMISSIONS]   (20,000; the last figure is for 100,000)
python -m benchmarks.merge hostile         10,000 edits of one record through the store (minutes)
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.workload import instances, sheet
from forms import instance
from forms.cells import read
from forms.compile import compile_form
from forms.merge_rules import MergeRules, Shape, merge_rules
from forms.schema import FormSchema
from server import intake, projection, receiving
from server.node import open_node
from server.publishing import publish
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from sync.history import components
from sync.registers import Snapshot
from sync.revision import Revision
from sync.view import view

QUESTIONS = 140
ROWS = 10
ROW_QUESTIONS = 8
REVISIONS = (1, 2, 10, 100)
HOSTILE = 10_000
SUBMISSIONS = 20_000
BATCH = 256
SENDER = receiving.Sender(None, "bench", "collect:bench", "openrosa")


def form() -> str:
    """A form of 140 questions, some asked because of others, and a roster whose rows have a key."""
    rows = ["| survey | | | | | |", "| | type | name | label | relevant | chapar::key |"]
    for number in range(QUESTIONS):
        relevant = f"${{q{number - 5}}} != ''" if number % 10 == 5 else ""
        rows.append(f"| | text | q{number} | Question {number} | {relevant} | |")
    rows.append("| | begin_repeat | member | Member | | row |")
    rows += [
        f"| | text | {name} | {name} | | |" for name in ("row", *(f"m{n}" for n in range(ROW_QUESTIONS)))
    ]
    return "\n".join([*rows, "| | end_repeat | | | | |"])


def filled(name: str, changes: Sequence[int]) -> bytes:
    """An instance with an answer everywhere; changes: the questions that this one answers otherwise."""
    answers = "".join(
        f"<q{n}>{name if n in changes else 'an answer of ordinary length'}</q{n}>" for n in range(QUESTIONS)
    )
    members = "".join(
        f"<member><row>r{row}</row>"
        + "".join(f"<m{n}>{row}{n}</m{n}>" for n in range(ROW_QUESTIONS))
        + "</member>"
        for row in range(ROWS)
    )
    return f'<data id="f" version="1">{answers}{members}<meta><instanceID>{name}</instanceID></meta></data>'.encode()


SHAPES: dict[str, Callable[[int], int]] = {
    "chain": lambda number: number - 1,
    "edits of one base": lambda _: 0,
}

Facts = tuple[list[Revision], dict[str, Snapshot]]


def facts(count: int, schema: FormSchema, rules: MergeRules, upon: Callable[[int], int]) -> Facts:
    """Revisions with what they say; each edits the one that `upon` names, and changes three answers."""
    chance = random.Random(count)
    revisions, snapshots = [], {}
    for number in range(count):
        tree = instance.read(filled(f"i{number}", chance.sample(range(QUESTIONS), 3)), schema).answers
        edits = f"i{upon(number)}" if number else None
        revisions.append(Revision(f"i{number}", f"d{number}", edits, number))
        cells = read(tree, schema, Shape(rules.sets, rules.keys))
        snapshots[f"d{number}"] = Snapshot(cells, schema.by_path.__contains__)
    return revisions, snapshots


def seconds(work: Callable[[], object], times: int) -> float:
    """The shortest of several runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def views() -> None:
    """Print the cost of a view, half of it edited in a chain, half apart; and of 10,000 from somebody hostile."""
    schema = compile_form(form().encode(), "f.md").schema
    rules = merge_rules(schema)
    xml = filled("i0", ())
    parsing = seconds(lambda: instance.read(xml, schema), 30)
    print(f"parsing one instance of {len(xml):,} bytes: {parsing * 1e3:.2f} ms")
    print("revisions  view ms  ms each  to parsing  conflicts")
    each: dict[int, float] = {}
    for count in REVISIONS:
        revisions, snapshots = facts(count, schema, rules, lambda number: number - 1 if number % 2 else 0)

        def work(revisions: list[Revision] = revisions, snapshots: dict[str, Snapshot] = snapshots) -> int:
            (group,) = components(revisions)
            return len(view(group, snapshots.__getitem__, rules).conflicts)

        took = seconds(work, 5)
        each[count] = took / count
        print(
            f"{count:9}  {took * 1e3:7.2f}  {took / count * 1e3:7.3f}  {took / count / parsing:10.2f}  {work():9}"
        )
    print(f"a revision among 100 costs {each[100] / each[2]:.2f} times one among 2")
    for name, upon in SHAPES.items():
        revisions, snapshots = facts(HOSTILE, schema, rules, upon)
        took = seconds(
            lambda some=revisions, said=snapshots: view(components(some)[0], said.__getitem__, rules), 1
        )
        print(f"{HOSTILE:,}, {name}: {took:.2f} s, {took / HOSTILE * 1e3:.3f} ms each")


def rederiving(count: int) -> None:
    """Print how long it takes to derive `count` submissions from the journal again, on SQLite."""
    with tempfile.TemporaryDirectory() as scratch:
        node = open_node(Settings(data=Path(scratch)))
        ensure_project(node)
        publish(node, PROJECT_ID, sheet(), "bench.md", {})
        for batch in batches(instances(count, seed=3), BATCH):
            arrived = [receiving.examine(PROJECT_ID, xml, [], SENDER, lambda *_: True) for xml in batch]
            intake.record(node.engine, arrived)
        node.catch_up()
        took = seconds(lambda: projection.rebuild(node.engine, node.schemas), 1)
        node.close()
    print(f"deriving {count:,} submissions again: {took:.1f} s, {count / took:,.0f} a second", end="")
    print(f"; 100,000 at that rate: {100_000 / count * took:.0f} s" if count != 100_000 else "")


def hostile(name: str, upon: Callable[[int], int]) -> None:
    """Print how long the state of one record with 10,000 edits takes, and the memory of this process."""
    with tempfile.TemporaryDirectory() as scratch:
        node = open_node(Settings(data=Path(scratch)))
        ensure_project(node)
        publish(node, PROJECT_ID, form().encode(), "f.md", {})
        for batch in batches((_edit(number, upon) for number in range(HOSTILE)), BATCH):
            intake.record(
                node.engine,
                [receiving.examine(PROJECT_ID, xml, [], SENDER, lambda *_: True) for xml in batch],
            )
        began = time.process_time()
        node.catch_up()
        took = time.process_time() - began
        node.close()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{HOSTILE:,} in the store, {name}: {took:.0f} s of processor time, {megabytes} MB resident at most"
    )


def _edit(number: int, upon: Callable[[int], int]) -> bytes:
    edits = f"<deprecatedID>i{upon(number)}</deprecatedID></meta>" if number else "</meta>"
    return filled(f"i{number}", (number % QUESTIONS, number * 7 % QUESTIONS)).replace(
        b"</meta>", edits.encode()
    )


def batches(all_of_them: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    """Yield them by so many."""
    batch: list[bytes] = []
    for one in all_of_them:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


if __name__ == "__main__":
    if sys.argv[1:] == ["hostile"]:
        for one, edits in SHAPES.items():
            hostile(one, edits)
        sys.exit()
    views()
    rederiving(int(sys.argv[1]) if len(sys.argv) > 1 else SUBMISSIONS)

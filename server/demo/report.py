"""What a person sees: progress while it works, the table at the end, and what to do next."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.demo.reconcile import Figure, Line, exit_code

REDRAW_S = 0.1
LINE_S = 2.0
WIDTH = 100


class Narrator:
    """Tells what happens: bars on a terminal, plain lines in a log. With JSON on stdout it speaks on stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.console = Console(stderr=as_json, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(stderr=as_json, highlight=False, width=WIDTH)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has worked."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Say one thing."""
        self.console.print(f"{self.seconds:5.1f} s  {text}", markup=False, soft_wrap=True)

    def watch(self, label: str, total: int, count: Callable[[], int], work: Iterable[Future[None]]) -> None:
        """Show how far the work is until all of it is done. Raises what a worker raised."""
        pending = set(work)
        done: set[Future[None]] = set()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        is_terminal = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not is_terminal) as progress:
            task, spoken_at = progress.add_task(label, total=total), time.monotonic()
            while pending:
                ended, pending = wait(pending, REDRAW_S)
                done |= ended
                progress.update(task, completed=count())
                if not is_terminal and time.monotonic() - spoken_at > LINE_S:
                    self.say(f"{label}: {count()} of {total}")
                    spoken_at = time.monotonic()
        for one in done:
            one.result()
        self.say(f"{label}: {count()} of {total}")


def table(lines: Iterable[Line], titles: Mapping[str, str]) -> Table:
    """Return the table: both figures of every line, and by form where they differ. titles: heading by form ID."""
    drawn = Table(box=box.SIMPLE_HEAD)
    drawn.add_column("")
    for title in [*titles.values(), "tablets", "server"]:
        drawn.add_column(title, justify="right")
    drawn.add_column("")
    for line in lines:
        cells = [_cell(line.by_form[form_id]) if form_id in line.by_form else "" for form_id in titles]
        mark = "[green]✓[/]" if line.total.agrees else "[bold red]✗[/]"
        drawn.add_row(line.label, *cells, str(line.total.known), str(line.total.found), mark)
    return drawn


def next_steps(out: Path, names: Iterable[str]) -> str:
    """Return what to do with the exports, and what comes next."""
    whole = out.resolve()
    first = next(iter(names))
    return (
        f"Exports: {whole}\n"
        f'In pandas: pandas.read_csv("{whole / first}")\n'
        f"Next: {_command()} serve    (then enrol a tablet as it says)"
    )


def _command() -> str:
    """How this very command was called: in a fresh clone `chapar` is on no PATH."""
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "chapar" else "chapar"


def document(
    lines: tuple[Line, ...], out: Path, names: Iterable[str], seed: int, seconds: float
) -> dict[str, Any]:
    """Return the table for machines."""
    return {
        "reconciled": exit_code(lines) == 0,
        "out": str(out.resolve()),
        "files": list(names),
        "seed": seed,
        "seconds": round(seconds, 1),
        "figures": {
            line.name: _plain(line.total)
            | (
                {"forms": {form_id: _plain(one) for form_id, one in line.by_form.items()}}
                if line.by_form
                else {}
            )
            for line in lines
        },
    }


def dump(found: Mapping[str, Any]) -> str:
    """Return the document as JSON."""
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def _cell(figure: Figure) -> str:
    return str(figure.known) if figure.agrees else f"{figure.known} ≠ {figure.found}"


def _plain(figure: Figure) -> dict[str, int | bool]:
    return {"known": figure.known, "found": figure.found, "reconciled": figure.agrees}

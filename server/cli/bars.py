"""Progress bars, on standard error and only where somebody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.progress import Advance, Report


@contextmanager
def bars() -> Iterator[Report]:
    """Show a bar for each thing that is reported, while the block lasts."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def report(what: str, total: int) -> Advance:
            task = progress.add_task(what, total=total)
            return lambda more: progress.advance(task, more)

        yield report

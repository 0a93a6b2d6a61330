"""Progress bars, on standard error and only where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from server.progress import Advance, Report, unseen


@contextmanager
def bars() -> Iterator[Report]:
    """Show a bar for each thing that is reported, while the block lasts."""
    if not sys.stderr.isatty():
        yield unseen
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def report(what: str, total: int) -> Advance:
            task = progress.add_task(what, total=total)
            return lambda more: progress.advance(task, more)

        yield report

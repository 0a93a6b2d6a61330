"""Rows kept on disk between reading and writing, with what has to be known of a column before its first row is written.

So whatever is exported takes one short reading transaction, and memory for one page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryFile

import orjson

from server.exports.layout import Table
from server.exports.rows import Row
from server.exports.variables import Kind, Variable, variables

Cells = Sequence[str]
READ_AS: dict[Kind, Callable[[str], object]] = {
    Kind.INTEGER: int,
    Kind.DECIMAL: float,
    Kind.DATE: date.fromisoformat,
    Kind.DATETIME: datetime.fromisoformat,
}
INTEGER_MAX = 1 << 63


class Seen:
    """What is known of a column's answers.

    is_filled: somebody answered. fits: all can be read as the kind of the column. bytes_max: of the longest, in UTF-8.
    choices: those given, of a select_multiple.
    """

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.is_filled = False
        self.fits = True
        self.bytes_max = 0
        self.choices: set[str] = set()

    def fill(self, cells: Cells) -> None:
        self.is_filled = self.is_filled or any(cells)

    def fit(self, cells: Cells) -> None:
        if self.fits:
            self.fits = fits(self.variable.kind, cells)

    def measure(self, cells: Cells) -> None:
        self.bytes_max = max(self.bytes_max, *(len(cell.encode()) for cell in cells))

    def choose(self, cells: Cells) -> None:
        self.choices.update(*map(str.split, set(cells)))


class Spool:
    """One table's rows. watches: what is to be known of which column; see `Seen`."""

    def __init__(self, folder: Path, table: Table, name: str) -> None:
        self.table = table
        self.name = name
        self.rows = 0
        self.seen = tuple(map(Seen, variables(table)))
        self.watches: list[tuple[int, Callable[[Cells], None]]] = []
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115

    def watch(self, wanted: Callable[[Variable], bool], look: Callable[[Seen, Cells], None]) -> None:
        """Have `look` see the cells of the columns that are wanted."""
        for place, seen in enumerate(self.seen):
            if wanted(seen.variable):
                self.watches.append((place, look.__get__(seen)))

    def add(self, rows: Sequence[Row]) -> None:
        """Keep one page."""
        if not rows:
            return
        if self.watches:
            columns = list(zip(*rows, strict=True))
            for place, look in self.watches:
                look(columns[place])
        self._file.write(orjson.dumps(rows) + b"\n")
        self.rows += len(rows)

    def pages(self) -> Iterator[list[Row]]:
        """Yield what was kept, page by page."""
        self._file.seek(0)
        for line in self._file:
            yield orjson.loads(line)

    def close(self) -> None:
        self._file.close()


def fits(kind: Kind, cells: Iterable[str]) -> bool:
    """Return whether all cells that are not blank can be read as this kind."""
    if kind is Kind.TEXT:
        return True
    with suppress(ValueError, OverflowError):
        numbers = list(map(READ_AS[kind], filter(None, cells)))
        return kind is not Kind.INTEGER or not numbers or max(map(abs, numbers)) < INTEGER_MAX  # type: ignore[arg-type]
    return False

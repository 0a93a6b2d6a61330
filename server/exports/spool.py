"""Rows kept on disk between reading and writing, with what has to be known of a column before its first row is written.

So whatever is exported takes one short reading transaction, and memory for one page.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import orjson

from server.disk import spare_for_texts
from server.exports.layout import Table
from server.exports.rows import Row, as_texts, csv_bytes
from server.exports.variables import Kind, Variable

CHUNK_BYTES = 1 << 16
Cells = Sequence[str]
READ_AS: dict[Kind, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    Kind.INTEGER: (re.compile(r"[-\d\n]*", re.ASCII), int),
    Kind.DECIMAL: (re.compile(r"[-.\d\n]*", re.ASCII), float),
    Kind.DATE: (re.compile(r"(?:\d{4}-\d\d-\d\d\n)*+", re.ASCII), date.fromisoformat),
    Kind.DATETIME: (
        re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-]\d\d:\d\d)\n)*+", re.ASCII),
        datetime.fromisoformat,
    ),
}
"""How the texts of a kind are written, each with a line's end, and what tells whether they mean something."""
SURELY = {
    Kind.INTEGER: re.compile(r"(?:-?\d{1,18}+\n)*+", re.ASCII),
    Kind.DECIMAL: re.compile(r"(?:-?\d{1,18}+(?:\.\d{1,18}+)?\n)*+", re.ASCII),
}
"""How nearly all numbers are written, so that nobody has to read them."""
MAX = {Kind.INTEGER: 1 << 63, Kind.DECIMAL: math.inf}


class Seen:
    """What is known of a column's answers.

    is_filled: somebody answered, or nobody looks. fits: all can be read as the kind of the column. bytes_max: of the longest, in UTF-8.
    choices: those given, of a select.
    """

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.is_filled = True
        self.fits = True
        self.bytes_max = 0
        self.choices: set[str] = set()

    def fit(self, cells: Cells) -> None:
        self.fits = fits(self.variable.kind, cells)

    def measure(self, cells: Cells) -> None:
        self.bytes_max = max(self.bytes_max, *(len(cell.encode()) for cell in cells))

    def answer(self, cells: Cells) -> None:
        self.choices.update(cells)

    def choose(self, cells: Cells) -> None:
        self.choices.update(*map(str.split, set(cells)))


class Spool:
    """One table's rows, of its columns as read. watches: what is to be known of which column; see `Seen`.

    is_csv: the rows are kept as CSV at once, for whoever needs nothing else of them; another thread may have them
    while more are added.
    """

    def __init__(
        self, folder: Path, table: Table, columns: Sequence[Variable], name: str, *, is_csv: bool
    ) -> None:
        self.table = table
        self.name = name
        self.is_csv = is_csv
        self.rows = 0
        self.seen = tuple(map(Seen, columns))
        self.watches: list[tuple[int, Callable[[Cells], None]]] = []
        self._fitting: list[tuple[Kind, list[int]]] = []
        self._blank: list[int] = []
        self._sizes: list[int] = []
        self._size = 0
        self._is_whole = False
        self._grown = threading.Condition()
        self._folder = folder
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115

    def watch(self, wanted: Callable[[Variable], bool], look: Callable[[Seen, Cells], None]) -> None:
        """Have `look` see the cells of the columns that are wanted."""
        for place, seen in enumerate(self.seen):
            if wanted(seen.variable):
                self.watches.append((place, look.__get__(seen)))

    def look_for_answers(self, wanted: Callable[[Variable], bool]) -> None:
        """Have it noted which of the columns that are wanted somebody answered."""
        self._blank = [place for place, seen in enumerate(self.seen) if wanted(seen.variable)]

    def fit(self, wanted: Callable[[Variable], bool]) -> None:
        """Have the cells of the columns that are wanted held against their kind."""
        for kind in READ_AS:
            places = [
                place
                for place, seen in enumerate(self.seen)
                if seen.variable.kind is kind and wanted(seen.variable)
            ]
            self._fitting.append((kind, places))

    def add(self, rows: list[Row]) -> None:
        """Keep one page, as it was read. Raises OSError when the disk is full, or its rest is kept for texts."""
        if not rows:
            return
        spare_for_texts([self._folder])
        try:
            content = self._content(rows)
        except TypeError:  # not yet texts: seldom, so nobody looks before
            rows = as_texts(rows)
            content = self._content(rows)
        if self._blank:
            self._blank = [place for place in self._blank if not any(map(itemgetter(place), rows))]
        if self.watches or self._fitting:
            columns = list(zip(*rows, strict=True))
            for place, look in self.watches:
                look(columns[place])
            for kind, places in self._fitting:
                # all at once, since they nearly always fit
                if not fits(kind, chain.from_iterable(map(columns.__getitem__, places))):
                    for place in places:
                        self.seen[place].fit(columns[place])
                    places[:] = [place for place in places if self.seen[place].fits]
        self._size += self._file.write(content)
        self.rows += len(rows)
        if self._size >= CHUNK_BYTES:
            self._hand_over()

    def finish(self) -> None:
        """No more will be added. A table without rows keeps all its titles: they say what it would hold."""
        for place in self._blank if self.rows else ():
            self.seen[place].is_filled = False
        self._hand_over(is_whole=True)

    def pages(self) -> Iterator[list[Row]]:
        """Yield what was kept, page by page."""
        self._file.seek(0)
        for line in self._file:
            yield orjson.loads(line)

    def chunks(self) -> Iterator[bytes]:
        """Yield what was kept as CSV, some whole rows at a time, until it is finished."""
        number = start = 0
        while True:
            with self._grown:
                while number == len(self._sizes) and not self._is_whole:
                    self._grown.wait()
            if number == len(self._sizes):
                return
            size = self._sizes[number]
            yield os.pread(self._file.fileno(), size, start)
            number, start = number + 1, start + size

    def close(self) -> None:
        """Let go of the disk; who adds more gets ValueError."""
        self._file.close()

    def _content(self, rows: list[Row]) -> bytes:
        return csv_bytes(rows) if self.is_csv else orjson.dumps(as_texts(rows)) + b"\n"

    def _hand_over(self, *, is_whole: bool = False) -> None:
        self._file.flush()
        with self._grown:
            if self._size:
                self._sizes.append(self._size)
            self._size, self._is_whole = 0, is_whole
            self._grown.notify_all()


def fits(kind: Kind, cells: Iterable[str]) -> bool:
    """Return whether all cells that are not blank can be read as this kind, by any program and in one way."""
    if kind is Kind.TEXT:
        return True
    given = list(filter(None, cells))
    lines = "\n".join([*given, ""])
    if kind in SURELY and SURELY[kind].fullmatch(lines):
        return True
    written, read = READ_AS[kind]
    if not written.fullmatch(lines):
        return False
    try:
        values = list(map(read, given))
    except ValueError:
        return False
    return kind not in MAX or max(map(abs, values), default=0) < MAX[kind]

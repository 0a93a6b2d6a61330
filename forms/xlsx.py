"""xlsx workbooks as tables, read part by part: what the cells cost, whatever the file says of its own size.

Why not openpyxl: four seconds for 80,000 cells, and it refuses a workbook for a style that it dislikes. Why not
calamine: it allocates the rectangle between the outermost cells, so that two of them end the process
(tafia/calamine#693). Only `forms.excel` calls this, after it has looked at every part.
Source: ECMA-376 Part 1, 18.2 to 18.4, 18.8.30 (number formats), 22.9.2.19 (`_xHHHH_`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zipfile import ZipFile

from forms.elements import Elements, local, walk
from forms.tables import (
    BLANK_ROWS_MAX,
    COLUMNS_MAX,
    ROWS_MAX,
    UNCALCULATED,
    Grid,
    Table,
    as_text,
    column_number,
)

LIST_BYTES_MAX = 20_000_000
"""For parts that hold one element a sheet, relation or style."""
TEXTS_BYTES_MAX = 50_000_000
"""For the book's texts, which are held in memory as a whole."""
CELLS_CHARS_MAX = 50_000_000
"""Of one sheet: ten times what 20,000 choices in five languages need. One long text may stand in many cells."""
DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
NO_DATE = re.compile(r'"[^"]*"|\\.|[_*].|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Part:
    """Where a sheet stands in the file. name: the sheet's. path: of its part in the archive."""

    name: str
    path: str
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """What the sheets of a workbook share. dates: the cell styles that show a date. epoch: day 0 of its dates."""

    parts: tuple[Part, ...]
    strings: tuple[str, ...]
    dates: frozenset[int]
    epoch: datetime


def read_tables(archive: ZipFile) -> Iterator[Table]:
    """Yield every worksheet in the book's order. Raises MemoryError for a huge file; for a damaged one,
    NotReadable, ExpatError, KeyError and others."""
    book = read_book(archive)
    for part in book.parts:
        sheet = _Sheet(book)
        with archive.open(part.path) as stream:
            walk(stream, sheet)
        yield Table(
            part.name,
            sheet.grid,
            tuple(sheet.merged),
            frozenset(sheet.hidden_rows),
            frozenset(sheet.hidden_columns),
            part.is_hidden,
        )


def read_book(archive: ZipFile) -> Book:
    """Return the sheets' places and what they share."""
    workbook = _list(archive, "xl/workbook.xml")
    relations = [
        each for name, each in _list(archive, "xl/_rels/workbook.xml.rels") if name == "Relationship"
    ]
    paths = {each["Id"]: posixpath.normpath(posixpath.join("/xl", each["Target"]))[1:] for each in relations}
    by_kind = {each["Type"].rpartition("/")[2]: paths[each["Id"]] for each in relations}
    worksheets = {each["Id"] for each in relations if each["Type"].endswith("/worksheet")}
    parts = [
        Part(each["name"], paths[each["id"]], each.get("state", "visible") != "visible")
        for name, each in workbook
        if name == "sheet" and each["id"] in worksheets
    ]
    is_1904 = any(name == "workbookPr" and each.get("date1904") in {"1", "true"} for name, each in workbook)
    return Book(
        tuple(parts),
        _strings(archive, by_kind["sharedStrings"]) if "sharedStrings" in by_kind else (),
        _dates(_list(archive, by_kind["styles"])) if "styles" in by_kind else frozenset(),
        datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30),  # noqa: DTZ001 (a cell has no zone)
    )


def unescaped(text: str) -> str:
    """Return a text as its reader sees it: `_x000D_` is one character, no-break spaces are spaces."""
    if "_x" in text:
        text = ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return as_text(text)


class _List(Elements):
    def __init__(self) -> None:
        self.found: list[tuple[str, Mapping[str, str]]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.found.append((name, {local(each): value for each, value in attributes.items()}))


def _list(archive: ZipFile, path: str) -> list[tuple[str, Mapping[str, str]]]:
    """Return the elements of a small part in document order, with their attributes."""
    if archive.getinfo(path).file_size > LIST_BYTES_MAX:
        raise MemoryError
    elements = _List()
    with archive.open(path) as stream:
        walk(stream, elements)
    return elements.found


def _dates(elements: list[tuple[str, Mapping[str, str]]]) -> frozenset[int]:
    """Return the numbers of the cell styles that show a date or a time."""
    own = {int(each["numFmtId"]): each["formatCode"] for name, each in elements if name == "numFmt"}
    begins = next((place for place, (name, _) in enumerate(elements) if name == "cellXfs"), len(elements))
    styles: list[int] = []
    for name, each in elements[begins + 1 :]:
        if name == "xf":
            styles.append(int(each.get("numFmtId", "0")))
        elif name in {"cellStyles", "dxfs"}:
            break
    return frozenset(number for number, kind in enumerate(styles) if _is_date(kind, own))


def _is_date(kind: int, own: Mapping[int, str]) -> bool:
    if kind not in own:
        return kind in DATE_FORMATS
    return re.search("[dmyhs]", NO_DATE.sub("", own[kind]), re.IGNORECASE) is not None


class _Strings(Elements):
    def __init__(self) -> None:
        self.found: list[str] = []
        self.parts: list[str] = []
        self.is_phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        if name == "si":
            self.parts = []
        elif name == "rPh":
            self.is_phonetic = True
        elif name == "t" and not self.is_phonetic:
            self.text = self.parts

    def end(self, name: str) -> None:
        if name == "t":
            self.text = None
        elif name == "rPh":
            self.is_phonetic = False
        elif name == "si":
            self.found.append(unescaped("".join(self.parts)))


def _strings(archive: ZipFile, path: str) -> tuple[str, ...]:
    if archive.getinfo(path).file_size > TEXTS_BYTES_MAX:
        raise MemoryError
    elements = _Strings()
    with archive.open(path) as stream:
        walk(stream, elements)
    return tuple(elements.found)


class _Sheet(Elements):
    """Gathers the cells of one worksheet."""

    def __init__(self, book: Book) -> None:
        self.grid: Grid = []
        self.merged: list[str] = []
        self.hidden_rows: set[int] = set()
        self.hidden_columns: set[int] = set()
        self._book = book
        self._row = 0
        self._is_row_hidden = False
        self._cells: list[str] = []
        self._column = -1
        self._cell: Mapping[str, str] = {}
        self._parts: list[str] = []
        self._has_formula = False
        self._is_phonetic = False
        self._chars = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            reference = attributes.get("r")
            self._column = column_number(reference) if reference else self._column + 1
            self._cell, self._parts, self._has_formula = attributes, [], False
        elif name in {"v", "t"}:
            self.text = None if self._is_phonetic else self._parts
        elif name == "f":
            self._has_formula = True
        elif name == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._is_row_hidden = attributes.get("hidden") in {"1", "true"}
            self._cells, self._column = [], -1
        elif name == "rPh":
            self._is_phonetic = True
        elif name == "mergeCell":
            self.merged.append(attributes["ref"])
        elif name == "col" and attributes.get("hidden") in {"1", "true"}:
            last = min(int(attributes["max"]), COLUMNS_MAX)
            self.hidden_columns.update(range(int(attributes["min"]) - 1, last))

    def end(self, name: str) -> None:
        if name in {"v", "t"}:
            self.text = None
        elif name == "c":
            self._end_cell()
        elif name == "row":
            self._end_row()
        elif name == "rPh":
            self._is_phonetic = False

    def _end_cell(self) -> None:
        text = self._value("".join(self._parts))
        if text and 0 <= self._column < COLUMNS_MAX:
            self._cells += [""] * (self._column + 1 - len(self._cells))
            self._cells[self._column] = text
            self._chars += len(text)
            if self._chars > CELLS_CHARS_MAX:
                raise MemoryError

    def _end_row(self) -> None:
        last = self.grid[-1][0] if self.grid else 0
        self.is_done = self.is_done or self._row - last > BLANK_ROWS_MAX or len(self.grid) > ROWS_MAX + 1
        if self._cells and not self.is_done:
            self.grid.append((self._row, self._cells))
            if self._is_row_hidden:
                self.hidden_rows.add(self._row)

    def _value(self, text: str) -> str:
        kind = self._cell.get("t", "n")
        if self._has_formula and not text and kind != "str":
            return UNCALCULATED
        match kind:
            case "s":
                return self._book.strings[int(text)] if text else ""
            case "b":
                return {"1": "TRUE", "0": "FALSE"}.get(text, text)
            case "n" if NUMBER.fullmatch(text):
                return self._number(float(text))
            case "d":
                return text.removesuffix("T00:00:00")
            case _:
                return unescaped(text)

    def _number(self, value: float) -> str:
        if int(self._cell.get("s", "0")) not in self._book.dates:
            return as_text(value)
        try:
            return as_text(_moment(value, self._book.epoch))
        except OverflowError:
            return as_text(value)


def _moment(value: float, epoch: datetime) -> object:
    """Return the date and time of a cell, only the time for less than a day."""
    days, fraction = divmod(value, 1)
    is_before_leap = 0 < value < 60 and epoch.year == 1899  # Excel holds 1900 for a leap year
    moment = epoch + timedelta(days=days + is_before_leap, milliseconds=round(fraction * 86_400_000))
    return moment.time() if 0 <= value < 1 else moment

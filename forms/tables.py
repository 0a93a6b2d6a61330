"""What every spreadsheet file is read into: tables of text, each row with its number.

Read by `forms.workbook`; made by `forms.xlsx`, `forms.excel` (xls) and `forms.workbook` itself (CSV, Markdown).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

ROWS_MAX = 20_000
COLUMNS_MAX = 500
BLANK_ROWS_MAX = 1_000
"""So many blank rows end a sheet; a format on a whole column makes a million of them."""
UNCALCULATED = "#not calculated!"
"""Stands for a formula without a result: a program wrote it and no Excel has opened it since."""

Grid = list[tuple[int, list[str]]]
"""Rows that are not blank, from the top: number as Excel counts, and the text of every cell from column A."""


@dataclass(frozen=True, slots=True)
class Table:
    """One sheet of a file.

    merged: ranges such as `B3:B5`. hidden_rows: their numbers. hidden_columns: from 0. is_hidden: the whole sheet.
    """

    name: str
    grid: Grid
    merged: tuple[str, ...] = ()
    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    is_hidden: bool = False


def trimmed(rows: Iterable[tuple[int, Sequence[str]]]) -> Grid:
    """Return the rows that are not blank, up to a long run of blank ones, and one more than a sheet may have."""
    grid: Grid = []
    for number, cells in rows:
        if number - (grid[-1][0] if grid else 0) > BLANK_ROWS_MAX or len(grid) > ROWS_MAX + 1:
            break
        if any(cells):
            grid.append((number, list(cells[:COLUMNS_MAX])))
    return grid


def as_text(value: object) -> str:
    """Return a cell's text as its reader sees it: 3.0 is `3`, a date is ISO 8601."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() else format(value, ".15g")
        case datetime() if value.time() == time(0):
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value).replace("\xa0", " ").strip()


def column_letters(number: int) -> str:
    """Return a column as Excel names it: 0 is `A`, 26 is `AA`."""
    letters = ""
    while number >= 0:
        number, rest = divmod(number, 26)
        letters = chr(ord("A") + rest) + letters
        number -= 1
    return letters


def column_number(reference: str) -> int:
    """Return the column of a cell from its reference: 0 for `A1`, 27 for `AB12`."""
    number = 0
    for letter in reference:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return number - 1

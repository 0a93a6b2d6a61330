"""Rules about what the spreadsheet program does with cells: it merges them, and it hides them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forms.check.design import Design
from forms.check.finding import Rule, Severity, Spot
from forms.workbook import SHEETS

FIRST_CELL = re.compile(r"([A-Z]+)(\d+)")


def merged(design: Design) -> Iterator[Spot]:
    """Yield cells merged over several rows: only the first row has their text."""
    for sheet in design.book.values():
        for cells in sheet.merged:
            first = FIRST_CELL.match(cells)
            row = int(first[2]) if first else None
            message = f"The cells {cells} are merged: only the first of these rows has their text."
            yield Spot(message, "Unmerge them, and write the text into each row.", sheet.name, row)


def hidden(design: Design) -> Iterator[Spot]:
    """Yield sheets, rows and columns that nobody sees in the workbook and that are part of the form."""
    for key, sheet in design.book.items():
        if sheet.is_hidden and key in SHEETS:
            yield Spot("The sheet is hidden, and part of the form.", "Show it, or delete it.", sheet.name)
        for letters in sheet.hidden_columns:
            what = f"Column {letters} is hidden, and part of the form."
            yield Spot(what, "Show it, or delete it.", sheet.name, sheet.header_row)
        for number in sheet.hidden_rows:
            what = "The row is hidden, and part of the form."
            yield Spot(what, "Show it, or delete it.", sheet.name, number)


RULES = (
    Rule("cells-merged", Severity.WARNING, "Each row has its own cells.", merged),
    Rule("hidden", Severity.HINT, "Nothing that is part of the form is hidden.", hidden),
)

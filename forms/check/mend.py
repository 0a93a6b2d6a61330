"""A corrected copy of an xlsx form: what has one right answer is mended, and every change is listed.

All else in the workbook stays (`forms.xlsx_edit`). What needs a decision is left to the designer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from forms import excel, workbook
from forms.check.design import Header, headers_of, language_code
from forms.check.script import ARABIC_LETTERS
from forms.errors import Fault, FormError
from forms.sheet_checks import INVISIBLE, NAMING
from forms.tables import Table, column_letters
from forms.workbook import Sheet
from forms.xlsx_edit import EditableSheet, open_sheets, with_parts

YES = frozenset({"yes", "true", "true()"})
JOINABLE = frozenset(
    {"label", "hint", "guidance_hint", "constraint_message", "required_message", "relevant", "constraint"}
    | {"calculation", "required", "readonly", "default", "appearance", "choice_filter"}
)
ONLY_XLSX = Fault("Only .xlsx files can be mended.", "Save the sheet as .xlsx, or correct it by hand.")


@dataclass(frozen=True, slots=True)
class Change:
    """One cell changed. before, after: its text. row: as the spreadsheet program counts."""

    sheet: str
    row: int
    column: str
    before: str
    after: str
    reason: str


class _Sheet:
    """A sheet's texts as they are read, its columns' meanings, and the cells to write to."""

    def __init__(self, table: Table, cells: EditableSheet) -> None:
        self.name = table.name
        self.is_merged = bool(table.merged)
        (self.header_row, headers), *rows = table.grid or [(1, [])]
        meant = {each.text: each for each in headers_of(Sheet(table.name, tuple(filter(None, headers))))}
        self.columns: Mapping[int, Header] = {n: meant[text] for n, text in enumerate(headers) if text}
        self.texts = {
            (row, n): text for row, texts in rows for n, text in enumerate(texts) if n in self.columns
        }
        self.rows = [row for row, _ in rows]
        self.cells = cells
        self.is_changed = False

    def text(self, row: int, column: int) -> str:
        return self.texts.get((row, column), "")

    def column(self, name: str) -> int | None:
        return next((number for number, header in self.columns.items() if header.column == name), None)

    def write(self, row: int, column: int, after: str, reason: str) -> Change:
        header = self.columns[column].text
        before = header if row == self.header_row else self.text(row, column)
        self.cells.write(row, column, after)
        self.texts[row, column] = after
        self.is_changed = True
        return Change(self.name, row, header, before, after, reason)

    def written(self) -> Iterator[tuple[int, int, Header, str]]:
        """Yield row, column, meaning and text of every cell that is no formula."""
        for (row, column), text in list(self.texts.items()):
            if text and not self.cells.is_formula(row, column):
                yield row, column, self.columns[column], text


def mend(data: bytes, file_name: str) -> tuple[bytes, tuple[Change, ...]]:
    """Return a corrected copy and what was changed in it; without a change, the bytes as they were.

    Raises FormError when the file is no workbook, is sealed, too large, or carries macros.
    """
    tables = excel.tables(data, file_name.rpartition(".")[2].lower())
    if tables is None or not data.startswith(b"PK"):
        raise FormError(ONLY_XLSX)
    try:
        opened = open_sheets(data)
    except MemoryError:
        raise FormError(excel.TOO_LARGE) from None
    sheets = [_Sheet(table, cells) for table, cells in zip(tables, opened.values(), strict=True)]
    named = {workbook.key_of(sheet.name, len(sheets)): sheet for sheet in reversed(sheets)}
    ours = {name: named[name] for name in workbook.SHEETS if name in named}
    changes = [change for step in STEPS for change in step(ours)]
    parts = {path: sheet.cells.xml() for path, sheet in zip(opened, sheets, strict=True) if sheet.is_changed}
    return with_parts(data, parts) if parts else data, tuple(changes)


Sheets = Mapping[str, _Sheet]


def _show_names(sheets: Sheets) -> Iterator[Change]:
    for sheet in sheets.values():
        for row, column, header, text in sheet.written():
            if header.column in NAMING and (visible := INVISIBLE.sub("", text)) != text:
                yield sheet.write(row, column, visible, "an invisible character in a name")


def _join_columns(sheets: Sheets) -> Iterator[Change]:
    """Move a second column of one meaning into the first, when no row has both; formats show where it was."""
    for name in ("survey", "choices"):
        if (sheet := sheets.get(name)) and not sheet.is_merged:
            first: dict[tuple[str, str], int] = {}
            for number, header in sheet.columns.items():
                kept = first.setdefault((header.column, header.language), number)
                if kept != number and header.column in JOINABLE:
                    yield from _join(sheet, kept, number)


def _join(sheet: _Sheet, kept: int, number: int) -> Iterator[Change]:
    moved = [row for row in sheet.rows if sheet.text(row, number)]
    clashes = any(sheet.text(row, kept) not in {"", sheet.text(row, number)} for row in moved)
    if clashes or any(sheet.cells.is_formula(row, number) for row in moved):
        return
    for row in moved:
        text = sheet.text(row, number)
        reason = f"moved to column {column_letters(kept)} of the same meaning"
        yield sheet.write(row, number, "", reason)
        if not sheet.text(row, kept):
            sheet.write(row, kept, text, reason)
    yield sheet.write(sheet.header_row, number, "", "a second header for one column")


def _use_persian_letters(sheets: Sheets) -> Iterator[Change]:
    for name in ("survey", "choices"):
        for row, column, header, text in sheets[name].written() if name in sheets else ():
            letters = ARABIC_LETTERS.get(language_code(header.language), {}) if header.is_text else {}
            if (written := _translated(text, letters)) != text:
                yield sheets[name].write(row, column, written, "Arabic letters in a text that has its own")


def _translated(text: str, letters: Mapping[str, str]) -> str:
    for letter, right in letters.items():
        text = text.replace(letter, right)
    return text


def _rename_meta(sheets: Sheets) -> Iterator[Change]:
    """Rename what is named `meta`, also where `${meta}` refers to it."""
    column = sheets["survey"].column("name") if "survey" in sheets else None
    names = [] if column is None else [sheets["survey"].text(row, column) for row in sheets["survey"].rows]
    if "meta" not in names:
        return
    new = next(new for new in chain(["meta_group"], _suffixed("meta_group")) if new not in names)
    for sheet in sheets.values():
        for row, number, header, text in sheet.written():
            if header.column == "name" and text == "meta" and sheet is sheets["survey"]:
                yield sheet.write(row, number, new, "“meta” is the standard's own group")
            elif (written := re.sub(r"\$\{\s*meta\s*\}", f"${{{new}}}", text)) != text:
                yield sheet.write(row, number, written, "refers to the group that was “meta”")


def _part_choices(sheets: Sheets) -> Iterator[Change]:
    """Give choices of one code in one list different codes; a row that says the same twice is emptied."""
    sheet = sheets.get("choices")
    if sheet is None or _allows_duplicates(sheets.get("settings")):
        return
    lists, names = sheet.column("list_name"), sheet.column("name")
    if lists is None or names is None:
        return
    rows = [row for row in sheet.rows if sheet.text(row, names)]
    taken = Counter((sheet.text(row, lists), sheet.text(row, names)) for row in rows)
    seen: dict[tuple[str, str], list[list[str]]] = {}
    for row in rows:
        code = (sheet.text(row, lists), sheet.text(row, names))
        texts = [sheet.text(row, column) for column in sheet.columns]
        before = seen.setdefault(code, [])
        if texts in before:
            for column in sheet.columns:
                if sheet.text(row, column):
                    yield sheet.write(row, column, "", "the same choice stands above")
        elif before:
            new = next(new for new in _suffixed(code[1]) if (code[0], new) not in taken)
            taken[code[0], new] += 1
            yield sheet.write(row, names, new, "the list has this code already")
        before.append(texts)


def _allows_duplicates(settings: _Sheet | None) -> bool:
    column = settings.column("allow_choice_duplicates") if settings else None
    if settings is None or column is None:
        return False
    return any(settings.text(row, column).lower() in YES for row in settings.rows)


def _suffixed(name: str) -> Iterator[str]:
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


STEPS = (
    _show_names,
    _join_columns,
    _use_persian_letters,
    _rename_meta,
    _part_choices,
)

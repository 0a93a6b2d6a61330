"""A corrected copy of an xlsx form: what has one right answer is mended, and every change is listed.

Formats, widths and other sheets stay, as far as openpyxl keeps them. What needs a decision is left to the designer.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forms import excel
from forms.check.design import Header, headers_of, language_code
from forms.check.script import ARABIC_LETTERS
from forms.errors import Fault, FormError
from forms.workbook import Sheet

NAMES = frozenset({"name", "list_name", "type"})
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


def mend(data: bytes, file_name: str) -> tuple[bytes, tuple[Change, ...]]:
    """Return a corrected copy and what was changed in it; without a change, the bytes as they were.

    Raises FormError when the file is no workbook, is sealed, too large, or carries macros.
    """
    if excel.grids(data, file_name.rpartition(".")[2].lower()) is None or not data.startswith(b"PK"):
        raise FormError(ONLY_XLSX)
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="openpyxl")  # of features that a form does not use
        book = load_workbook(io.BytesIO(data), rich_text=True)
    sheets = {each.title.strip().lower(): each for each in book.worksheets}
    steps = [*STEPS, *([] if _allows_duplicates(sheets.get("settings")) else [_part_choices])]
    changes = [
        change
        for name in ("survey", "choices")
        if name in sheets
        for step in steps
        for change in step(sheets[name])
    ]
    if not changes:
        return data, ()
    copy = io.BytesIO()
    book.save(copy)
    return copy.getvalue(), tuple(changes)


def _allows_duplicates(settings: Any) -> bool:
    if settings is None:
        return False
    cells = _cells(settings, lambda header: header.column == "allow_choice_duplicates")
    return any(cell.value.strip().lower() in YES for cell, _ in cells)


def _columns(sheet: Any) -> dict[int, Header]:
    """Return what each column of the first row means, by its number."""
    texts = {cell.column: cell.value.strip() for cell in sheet[1] if isinstance(cell.value, str)}
    meant = {header.text: header for header in headers_of(Sheet(sheet.title, tuple(texts.values())))}
    return {number: meant[text] for number, text in texts.items() if text}


def _cells(sheet: Any, wanted: Callable[[Header], bool]) -> Iterator[tuple[Any, Header]]:
    """Yield the cells with plain text below the headers that are wanted."""
    columns = {number: header for number, header in _columns(sheet).items() if wanted(header)}
    for row in sheet.iter_rows(min_row=2):
        for cell in row:
            if isinstance(cell.value, str) and cell.data_type == "s" and cell.column in columns:
                yield cell, columns[cell.column]


def _set(cell: Any, header: Header, after: str, reason: str) -> Change:
    before, cell.value = str(cell.value), after or None
    return Change(cell.parent.title, cell.row, header.text, before, after, reason)


def _trim(sheet: Any) -> Iterator[Change]:
    for cell, header in _cells(sheet, lambda header: header.column in NAMES):
        if (trimmed := cell.value.strip()) != cell.value:
            yield _set(cell, header, trimmed, "blanks around a name")


def _join_columns(sheet: Any) -> Iterator[Change]:
    """Move a second column of one meaning into the first, when no row has both; formats show where it was."""
    first: dict[tuple[str, str], int] = {}
    for number, header in _columns(sheet).items():
        kept = first.setdefault((header.column, header.language), number)
        pairs = [(row[kept - 1], row[number - 1]) for row in sheet.iter_rows(min_row=2)]
        clashes = any(one.value and other.value and one.value != other.value for one, other in pairs)
        if kept == number or clashes or header.column not in JOINABLE or sheet.merged_cells.ranges:
            continue
        for one, other in pairs:
            if other.value:
                one.value = one.value or other.value
                yield _set(other, header, "", f"moved to column {one.column_letter} of the same meaning")
        yield _set(sheet.cell(1, number), header, "", "a second header for one column")


def _use_persian_letters(sheet: Any) -> Iterator[Change]:
    for cell, header in _cells(sheet, lambda header: header.is_text):
        letters = ARABIC_LETTERS.get(language_code(header.language), {})
        if (written := cell.value.translate(str.maketrans(dict(letters)))) != cell.value:
            yield _set(cell, header, written, "Arabic letters in a text that has its own")


def _rename_meta(sheet: Any) -> Iterator[Change]:
    """Rename groups named `meta`, also where `${meta}` refers to them."""
    named = [cell for cell, header in _cells(sheet, _is_name) if cell.value == "meta"]
    if not named or sheet.title.strip().lower() != "survey":
        return
    for cell, header in _cells(sheet, lambda _: True):
        if cell in named:
            yield _set(cell, header, "meta_group", "“meta” is the standard's own group")
        elif (written := re.sub(r"\$\{\s*meta\s*\}", "${meta_group}", cell.value)) != cell.value:
            yield _set(cell, header, written, "refers to the group that was “meta”")


def _is_name(header: Header) -> bool:
    return header.column == "name"


def _part_choices(sheet: Any) -> Iterator[Change]:
    """Give choices of one code in one list different codes; a row that says the same twice is emptied."""
    if sheet.title.strip().lower() != "choices":
        return
    columns = {header.column: number for number, header in reversed(_columns(sheet).items())}
    if not {"list_name", "name"} <= columns.keys():
        return
    rows = [row for row in sheet.iter_rows(min_row=2) if row[columns["name"] - 1].value]
    taken = Counter(_code(row, columns) for row in rows)
    seen: dict[tuple[str, str], list[tuple[object, ...]]] = {}
    for row in rows:
        code, texts = _code(row, columns), tuple(cell.value for cell in row)
        before = seen.setdefault(code, [])
        if texts in before:
            yield from _emptied(row, _columns(sheet))
        elif before:
            new = next(new for new in _suffixed(code[1]) if (code[0], new) not in taken)
            taken[code[0], new] += 1
            cell = row[columns["name"] - 1]
            yield _set(cell, _columns(sheet)[columns["name"]], new, "the list has this code already")
        before.append(texts)


def _code(row: tuple[Any, ...], columns: Mapping[str, int]) -> tuple[str, str]:
    return str(row[columns["list_name"] - 1].value), str(row[columns["name"] - 1].value)


def _suffixed(name: str) -> Iterator[str]:
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def _emptied(row: tuple[Any, ...], columns: Mapping[int, Header]) -> Iterator[Change]:
    for cell in row:
        if cell.value and cell.column in columns:
            yield _set(cell, columns[cell.column], "", "the same choice stands above")


STEPS = (_trim, _join_columns, _use_persian_letters, _rename_meta)

"""A form's sheets as text cells that know their place, from xlsx, xls, CSV or Markdown.

What is no spreadsheet, or a harmful one, is refused here. What the cells mean is `forms.compile`.
Excel files are opened in `forms.excel`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forms import excel
from forms.errors import Fault, FormError
from forms.tables import (
    COLUMNS_MAX,
    ROWS_MAX,
    UNCALCULATED,
    Grid,
    Table,
    as_text,
    column_letters,
    column_number,
    trimmed,
)

SIZE_BYTES_MAX = 20_000_000
"""A form of 20,000 choices in four languages is an xlsx of 2 MB."""
SHEETS = ("survey", "choices", "settings", "external_choices", "osm", "entities", "checks")
"""The sheets that XLSForm knows."""
FAULTS_MAX = 50
"""More faults of one kind help nobody: the person mends these and tries again."""
TYPES = ".xlsx, .xls, .csv or .md"
FORMULA_ERRORS = frozenset(
    {
        "#NULL!",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "#NAME?",
        "#NUM!",
        "#N/A",
        "#SPILL!",
        "#CALC!",
    }
)
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
RANGE = re.compile(r"([A-Z]+)(\d{1,7}):([A-Z]+)(\d{1,7})")
MARKDOWN_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not blank. number: as the spreadsheet program counts. cells: text by header, no blank ones."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet. name: as the file spells it. header_row: the number of the row that names the columns.

    merged: ranges of several rows below a header, such as `B3:B5`. hidden_rows, hidden_columns: numbers of rows and
    letters of named columns that the spreadsheet program does not show. is_hidden: nor the whole sheet.
    """

    name: str
    headers: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    header_row: int = 1
    merged: tuple[str, ...] = ()
    hidden_rows: tuple[int, ...] = ()
    hidden_columns: tuple[str, ...] = ()
    is_hidden: bool = False


Workbook = Mapping[str, Sheet]
"""Sheets by name in lower case, in the file's order. The only sheet is `survey`, whatever its name; sheets that
XLSForm does not know (notes, calculations) keep their name alone."""


def read(data: bytes, file_name: str) -> Workbook:
    """Return the sheets of a form file, known by its content and, for texts, by its name.

    Raises FormError when it is no spreadsheet, cannot be opened, carries macros or hides more than it shows; and,
    with every place, when a cell holds an error or a letter that XML cannot carry.
    """
    _check_size(data)
    suffix = file_name.rpartition(".")[2].lower()
    tables = excel.tables(data, suffix)
    if tables is None:
        tables = _stacked(list(_text_rows(data, suffix)))
    sheets: dict[str, Sheet] = {}
    faults: list[Fault] = []
    for table in tables:
        name = table.name.strip()
        key = key_of(name, len(tables))
        if key in SHEETS and key in sheets:
            faults.append(Fault("Two sheets have this name.", "Rename or remove one of them.", name))
        sheets.setdefault(key, _sheet(name, table, faults) if key in SHEETS else Sheet(name))
    if faults:
        raise FormError(*faults[:FAULTS_MAX])
    return sheets


def key_of(name: str, sheets: int) -> str:
    """Return what a sheet of a file with so many sheets is: one of SHEETS, or another name in small letters."""
    key = name.strip().lower()
    return "survey" if sheets == 1 and key not in SHEETS else key


def canonical(header: str) -> str:
    """Return a column's name without language, case and blanks: `Label::Farsi (fa)` is `label`."""
    return re.sub(r"[\s-]+", "_", re.split(r"::?", header.strip())[0].strip()).lower()


def _check_size(data: bytes) -> None:
    if not data.strip():
        raise FormError(Fault("The file is empty.", "Save the form again and choose that file."))
    if len(data) > SIZE_BYTES_MAX:
        raise FormError(
            Fault(
                f"The file has {len(data) // 1_000_000} MB; a form has at most {SIZE_BYTES_MAX // 1_000_000} MB.",
                "Remove pictures from the sheet and attach long lists as CSV files.",
            )
        )


def _sheet(name: str, table: Table, faults: list[Fault]) -> Sheet:
    rows = iter(table.grid)
    header_row, first = next(rows, (1, []))
    headers = tuple(re.sub(" +", " ", cell) for cell in first)
    _check_headers(name, headers, header_row, faults)
    kept: list[Row] = []
    for number, cells in rows:
        if len(kept) >= ROWS_MAX:
            fix = "Move long choice lists into a CSV file and use select_one_from_file."
            faults.append(Fault(f"The sheet has more than {ROWS_MAX} rows.", fix, name, number))
            break
        named = {header: cell for header, cell in zip(headers, cells, strict=False) if header and cell}
        faults += _flaws(name, number, named)
        if named:
            kept.append(Row(number, named))
    return Sheet(
        name,
        tuple(header for header in headers if header),
        tuple(kept),
        header_row,
        tuple(cells for cells in table.merged if _hides_text(cells, header_row, headers)),
        tuple(row.number for row in kept if row.number in table.hidden_rows),
        tuple(column_letters(n) for n, header in enumerate(headers) if header and n in table.hidden_columns),
        table.is_hidden,
    )


def _hides_text(merged: str, header_row: int, headers: Sequence[str]) -> bool:
    """Return whether merged cells leave rows below a header without their text."""
    match = RANGE.fullmatch(merged)
    if match is None:
        return False
    first, last = sorted((column_number(match[1]), column_number(match[3])))
    return int(match[4]) > max(int(match[2]), header_row) and any(headers[first : last + 1])


def _check_headers(name: str, headers: Sequence[str], row: int, faults: list[Fault]) -> None:
    seen: dict[str, int] = {}
    for number, header in enumerate(headers):
        if header and (first := seen.setdefault(header, number)) != number:
            where = f"{column_letters(first)} and {column_letters(number)}"
            what = f"Two columns have this name, {where}."
            faults.append(Fault(what, "Rename or remove one of them.", name, row, header))


def _flaws(name: str, number: int, cells: Mapping[str, str]) -> Iterator[Fault]:
    for header, cell in cells.items():
        if cell == UNCALCULATED:
            fix = "Open the file in Excel or LibreOffice, save it there, and try again."
            yield Fault("The cell's formula has no result yet.", fix, name, number, header)
        elif cell in FORMULA_ERRORS:
            yield Fault(
                f"The cell's formula gives {cell}.",
                "Mend the formula or type the text.",
                name,
                number,
                header,
            )
        elif bad := NOT_XML.search(cell):
            what = f"The cell holds the invisible character U+{ord(bad[0]):04X}, which no form can carry."
            yield Fault(what, "Type the cell's text again.", name, number, header)


def _text_rows(data: bytes, suffix: str) -> Iterator[tuple[int, list[str]]]:
    if suffix == "gsheet":
        fix = "In Google Sheets choose File, Download, Microsoft Excel (.xlsx)."
        raise FormError(Fault("The file is a shortcut to a sheet in Google Sheets, not the sheet.", fix))
    if suffix not in {"csv", "md", "txt", ""}:
        raise FormError(
            Fault(
                f"The file is named .{suffix} but is no spreadsheet of that kind.",
                f"Save the form as {TYPES}.",
            )
        )
    text = _decode(data)
    if text.lstrip().startswith("<"):
        raise FormError(Fault("The file is XML or a web page, not a sheet.", f"Save the form as {TYPES}."))
    is_markdown = suffix == "md" or (suffix != "csv" and text.lstrip().startswith("|"))
    return _markdown_rows(text) if is_markdown else _csv_rows(text)


def _decode(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        fault = Fault("The text is not UTF-8.", "Save the file as “CSV UTF-8”, or give the xlsx.", row=row)
        raise FormError(fault) from None


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    delimiter = max(",;\t", key=text[:5_000].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            yield number, [as_text(cell) for cell in row]
    except csv.Error as error:
        fault = Fault(f"The CSV cannot be read: {error}.", "Save the sheet as CSV again.", row=number + 1)
        raise FormError(fault) from None


def _markdown_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the tables' rows; the number starts again at every sheet, as if each were one in a workbook."""
    number = 0
    for line in re.split(r"\r?\n|\r", text):
        stripped = line.strip()
        if not stripped.startswith("|") or re.fullmatch(r"[|\s:-]*-[|\s:-]*", stripped):
            continue
        inner = stripped[1 : stripped.rfind("|")] if stripped.rfind("|") > 0 else stripped[1:]
        cells = [cell.strip().replace(r"\|", "|") for cell in MARKDOWN_CELL_BORDER.split(inner)]
        number = 0 if cells[0] else number
        number += any(cells[1:]) or number > 0
        yield number, cells


def _stacked(rows: Sequence[tuple[int, list[str]]]) -> list[Table]:
    """Return sheets from one table whose first column names a sheet and whose other columns are its cells.

    A table whose first row names the columns of a survey is one.
    """
    _, first = next((row for row in rows if any(row[1])), (0, []))
    if (
        {"type", "name"} <= {canonical(cell) for cell in first}
        and first[0]
        and first[0].lower() not in SHEETS
    ):
        return [Table("survey", trimmed(enumerate((cells for _, cells in rows), start=1)))]
    grids: dict[str, Grid] = {}
    name = ""
    for number, cells in rows:
        name = (cells[0] if cells else "") or name
        if name and len(grids.setdefault(name, [])) <= ROWS_MAX + 1 and any(cells[1:]):
            grids[name].append((number, cells[1 : COLUMNS_MAX + 1]))
    return [Table(name, grid) for name, grid in grids.items()]

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
from forms.excel import COLUMNS_MAX, ROWS_MAX

SIZE_BYTES_MAX = 20_000_000
"""A form of 20,000 choices in four languages is an xlsx of 2 MB."""
SHEETS = ("survey", "choices", "settings", "external_choices", "osm", "entities")
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
        excel.UNCALCULATED,
    }
)
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MARKDOWN_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Row:
    """One row that is not blank. number: as the spreadsheet program counts. cells: text by header, no blank ones."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet. name: as the file spells it. header_row: the number of the row that names the columns."""

    name: str
    headers: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    header_row: int = 1


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
    grids = excel.grids(data, suffix)
    if grids is None:
        grids = _stacked(_text_rows(data, suffix))
    sheets: dict[str, Sheet] = {}
    faults: list[Fault] = []
    for name, grid in grids:
        key = name.strip().lower()
        key = "survey" if len(grids) == 1 and key not in SHEETS else key
        sheets.setdefault(key, _sheet(name.strip(), grid, faults) if key in SHEETS else Sheet(name.strip()))
    if faults:
        raise FormError(*faults[:FAULTS_MAX])
    return sheets


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


def _sheet(name: str, grid: excel.Grid, faults: list[Fault]) -> Sheet:
    rows = iter(grid)
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
    return Sheet(name, tuple(header for header in headers if header), tuple(kept), header_row)


def _check_headers(name: str, headers: Sequence[str], row: int, faults: list[Fault]) -> None:
    seen: set[str] = set()
    for header in filter(None, headers):
        if header in seen:
            faults.append(
                Fault("Two columns have this name.", "Rename or remove one of them.", name, row, header)
            )
        seen.add(header)


def _flaws(name: str, number: int, cells: Mapping[str, str]) -> Iterator[Fault]:
    for header, cell in cells.items():
        if cell in FORMULA_ERRORS:
            yield Fault(
                f"The cell's formula gives {cell}", "Mend the formula or type the text.", name, number, header
            )
        elif bad := NOT_XML.search(cell):
            what = f"The cell holds the invisible character U+{ord(bad[0]):04X}, which no form can carry."
            yield Fault(what, "Type the cell's text again.", name, number, header)


def _text_rows(data: bytes, suffix: str) -> Iterator[tuple[int, list[str]]]:
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
            yield number, [cell.replace("\xa0", " ").strip() for cell in row]
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


def _stacked(rows: Iterator[tuple[int, list[str]]]) -> list[tuple[str, excel.Grid]]:
    """Return sheets from one table whose first column names a sheet and whose other columns are its cells."""
    grids: dict[str, list[tuple[int, list[str]]]] = {}
    name = ""
    for number, cells in rows:
        name = (cells[0] if cells else "") or name
        if name and len(grids.setdefault(name, [])) <= ROWS_MAX + 1 and any(cells[1:]):
            grids[name].append((number, cells[1 : COLUMNS_MAX + 1]))
    return list(grids.items())

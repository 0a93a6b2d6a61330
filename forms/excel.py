"""Excel files to grids of text: xlsx through openpyxl, xls through xlrd, both kept from harm.

A workbook comes from outside: it can be a zip bomb, carry macros, or be sealed with a password. Checked before a
library opens it, by reading every part once in small pieces: what a zip's directory says is not believed.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any

from forms.errors import Fault, FormError

ROWS_MAX = 20_000
COLUMNS_MAX = 500
UNZIPPED_BYTES_MAX = 100_000_000
"""openpyxl holds all texts of a book in memory, at about five times their size in the file."""
RATIO_MAX = 200
RATIO_FREE_BYTES = 10_000_000
"""Sheets shrink 10 to 100 times. Small files may do better: blank styled rows."""
PARTS_MAX = 5_000
PIECE_BYTES = 65_536
BLANK_ROWS_MAX = 1_000
"""So many blank rows end a sheet; a format on a whole column makes a million of them."""

UNCALCULATED = "#not calculated!"

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SEALED = "EncryptedPackage".encode("utf-16-le")
XLS_MACROS = "_VBA_PROJECT_CUR".encode("utf-16-le")
XLS_WORKBOOK = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
RESAVE = Fault(
    "The file is damaged or no Excel workbook.", "Open it in Excel or LibreOffice and save it as .xlsx."
)
MACROS = Fault("The workbook carries macros, which are not accepted.", "Save it as .xlsx without macros.")
PASSWORD = Fault("The workbook is protected with a password.", "Remove the password and save it again.")


Grid = list[tuple[int, list[str]]]
"""Rows from the top: number as Excel counts, and the text of every cell."""


def grids(data: bytes, suffix: str) -> list[tuple[str, Grid]] | None:
    """Return the name and rows of every sheet, None when the bytes are no Excel file at all.

    Raises FormError for a file that is damaged, sealed, too large, or carries macros.
    """
    if suffix in {"xlsm", "xltm", "xlam"}:
        raise FormError(MACROS)
    if data.startswith(b"PK"):
        _check_archive(data)
        return _guarded(_xlsx(data))
    if data.startswith(OLE):
        _check_container(data)
        return _guarded(_xls(data))
    return None


def _guarded(sheets: Iterator[tuple[str, Grid]]) -> list[tuple[str, Grid]]:
    """Return all sheets; whatever a library stumbles over is the file's fault."""
    try:
        return list(sheets)
    except MemoryError:
        raise FormError(Fault("The workbook is too large.", "Attach long lists as CSV files.")) from None
    except Exception as error:  # noqa: BLE001 (openpyxl and xlrd raise a dozen types for damaged input)
        raise FormError(PASSWORD if "encrypted" in str(error).lower() else RESAVE) from None


def _check_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_parts(archive, len(data))
            for part in archive.infolist():
                _check_part(archive, part)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError):
        raise FormError(RESAVE) from None
    except RuntimeError:  # zipfile's word for an encrypted part
        raise FormError(PASSWORD) from None


def _check_parts(archive: zipfile.ZipFile, size_bytes: int) -> None:
    names = {name.lower() for name in archive.namelist()}
    unzipped = sum(part.file_size for part in archive.infolist())
    if any(name.endswith("vbaproject.bin") for name in names):
        raise FormError(MACROS)
    if (
        len(names) > PARTS_MAX
        or unzipped > UNZIPPED_BYTES_MAX
        or unzipped > RATIO_FREE_BYTES + RATIO_MAX * size_bytes
    ):
        what = f"The workbook unpacks to {unzipped // 1_000_000} MB in {len(names)} parts, more than any form needs."
        raise FormError(Fault(what, "Copy the form's sheets into a new workbook."))
    if "xl/workbook.xml" not in names:
        raise FormError(
            Fault("The file is no .xlsx workbook.", "Open it in Excel or LibreOffice and save it as .xlsx.")
        )


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Unpack a part in pieces: its size and checksum must be what the directory says, or zipfile raises."""
    with archive.open(part) as stream:
        start = piece = stream.read(PIECE_BYTES)
        while piece:
            piece = stream.read(PIECE_BYTES)
    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
        raise FormError(RESAVE)


def _check_container(data: bytes) -> None:
    if SEALED in data:
        raise FormError(PASSWORD)
    if XLS_MACROS in data:
        raise FormError(MACROS)
    if not any(name in data for name in XLS_WORKBOOK):
        raise FormError(RESAVE)


def _xlsx(data: bytes) -> Iterator[tuple[str, Grid]]:
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="openpyxl")  # of features that a form does not use
        values = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        formulas = load_workbook(io.BytesIO(data), read_only=True) if _has_formulas(data) else None
        for sheet in values.worksheets:
            sheet.reset_dimensions()  # what the file says of its own size is often wrong
            if formulas is None:
                yield sheet.title, _trimmed(sheet.iter_rows(values_only=True))
            else:
                yield sheet.title, _trimmed(_calculated(sheet, formulas[sheet.title]))


def _has_formulas(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = (archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/"))
        return any(b"<f>" in sheet or b"<f " in sheet for sheet in sheets)


def _calculated(results: Any, formulas: Any) -> Iterator[list[object]]:
    """Yield results, UNCALCULATED where a formula has none: a program wrote it and no Excel has opened it since."""
    formulas.reset_dimensions()
    for row, written in zip(results.iter_rows(), formulas.iter_rows(), strict=False):
        yield [
            UNCALCULATED
            if formula.data_type == "f" and cell.value is None and cell.data_type != "str"
            else cell.value
            for cell, formula in zip(row, written, strict=False)
        ]


def _trimmed(rows: Iterable[Sequence[object]]) -> Grid:
    """Return the rows as text, up to a long run of blank ones, and one more than a sheet may have."""
    grid: Grid = []
    for number, row in enumerate(rows, start=1):
        cells = [_text(value) for value in row[:COLUMNS_MAX]]
        if any(cells):
            grid.append((number, cells))
        if len(grid) > ROWS_MAX + 1:
            break
        if not any(cells) and number - (grid[-1][0] if grid else 0) > BLANK_ROWS_MAX:
            break
    return grid


def _xls(data: bytes) -> Iterator[tuple[str, Grid]]:
    import xlrd

    book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO())
    for sheet in book.sheets():
        rows = ([_xls_value(cell, book.datemode) for cell in row] for row in sheet.get_rows())
        yield sheet.name, _trimmed(rows)


def _xls_value(cell: Any, datemode: int) -> object:
    import xlrd

    match cell.ctype:
        case xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(cell.value, "#N/A")
        case xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        case xlrd.XL_CELL_DATE:
            return xlrd.xldate.xldate_as_datetime(cell.value, datemode)
        case _:
            return cell.value


def _text(value: object) -> str:
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

"""Excel files to tables: xlsx by `forms.xlsx`, xls by xlrd, both kept from harm.

A workbook comes from outside: it can be a zip bomb, carry macros, or be sealed with a password. Checked before it
is read, by unpacking every part once in small pieces: what a zip's directory says is not believed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from forms import xlsx
from forms.elements import PIECE_BYTES
from forms.errors import Fault, FormError
from forms.tables import Table, as_text, trimmed

UNZIPPED_BYTES_MAX = 300_000_000
"""A million rows with nothing but a format unpack to 150 MB; they are read piece by piece."""
RATIO_MAX = 200
RATIO_FREE_BYTES = 10_000_000
"""Sheets shrink 10 to 100 times. Small files may do better: blank styled rows."""
PARTS_MAX = 5_000

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SEALED = "EncryptedPackage".encode("utf-16-le")
XLS_MACROS = "_VBA_PROJECT_CUR".encode("utf-16-le")
XLS_WORKBOOK = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))
RESAVE = Fault(
    "The file is damaged or no Excel workbook.", "Open it in Excel or LibreOffice and save it as .xlsx."
)
MACROS = Fault("The workbook carries macros, which are not accepted.", "Save it as .xlsx without macros.")
PASSWORD = Fault("The workbook is protected with a password.", "Remove the password and save it again.")
TOO_LARGE = Fault("The workbook is too large.", "Attach long lists as CSV files.")
STRANGERS = (
    # a part by which it is known, what it is, what to do
    ("content.xml", "an OpenDocument file", "Open it in LibreOffice and save it as .xlsx."),
    ("index/document.iwa", "an Apple Numbers file", "In Numbers choose File, Export to, Excel."),
    ("xl/workbook.bin", "a binary workbook (.xlsb)", "Open it in Excel and save it as .xlsx."),
    ("word/document.xml", "a Word document", "Choose the workbook with the form."),
)


def tables(data: bytes, suffix: str) -> list[Table] | None:
    """Return every sheet of a workbook, None when the bytes are no Excel file at all.

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


def _guarded(sheets: Iterator[Table]) -> list[Table]:
    """Return all sheets; whatever a reader stumbles over is the file's fault."""
    try:
        return list(sheets)
    except MemoryError:
        raise FormError(TOO_LARGE) from None
    except Exception as error:  # noqa: BLE001 (damaged input raises a dozen types)
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
    sizes = {part.filename.lower(): part.file_size for part in archive.infolist()}
    unzipped = sum(part.file_size for part in archive.infolist())
    if any(name.endswith("vbaproject.bin") for name in sizes):
        raise FormError(MACROS)
    if (
        len(sizes) > PARTS_MAX
        or unzipped > UNZIPPED_BYTES_MAX
        or unzipped > RATIO_FREE_BYTES + RATIO_MAX * size_bytes
    ):
        what = f"The workbook unpacks to {unzipped // 1_000_000} MB in {len(sizes)} parts, more than any form needs."
        raise FormError(Fault(what, "Copy the form's sheets into a new workbook."))
    if "xl/workbook.xml" not in sizes:
        known = next((each for each in STRANGERS if each[0] in sizes), None)
        what, fix = known[1:] if known else ("no .xlsx workbook", RESAVE.fix)
        raise FormError(Fault(f"The file is {what}.", fix))


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Unpack a part in pieces: its size and checksum must be what the directory says, or zipfile raises."""
    with archive.open(part) as stream:
        while stream.read(PIECE_BYTES):
            pass


def _check_container(data: bytes) -> None:
    if SEALED in data:
        raise FormError(PASSWORD)
    if XLS_MACROS in data:
        raise FormError(MACROS)
    if not any(name in data for name in XLS_WORKBOOK):
        raise FormError(RESAVE)


def _xlsx(data: bytes) -> Iterator[Table]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield from xlsx.read_tables(archive)


def _xls(data: bytes) -> Iterator[Table]:
    import xlrd

    book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO())
    for sheet in book.sheets():
        rows = ([as_text(_xls_value(cell, book.datemode)) for cell in row] for row in sheet.get_rows())
        yield Table(sheet.name, trimmed(enumerate(rows, start=1)), is_hidden=sheet.visibility != 0)


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

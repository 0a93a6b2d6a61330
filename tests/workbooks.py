"""Excel files for tests: from rows, and with a part replaced by hand."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import openpyxl

FILES = Path(__file__).parent / "sheet_files"
SHEET = "xl/worksheets/sheet1.xml"


def book(**sheets: list[list[object]]) -> bytes:
    """Return an xlsx with these sheets."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.worksheets[0])
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return saved(workbook)


def saved(workbook: openpyxl.Workbook) -> bytes:
    """Return a workbook as a file."""
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


BOOK = book(survey=[["type", "name", "label"], ["text", "a", "A"]], settings=[["form_id"], ["visit"]])


def with_part(data: bytes, name: str, content: bytes) -> bytes:
    """Return a zip with one part added or replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            if part.filename != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return stream.getvalue()


def part(data: bytes, name: str = SHEET) -> bytes:
    """Return a part of a zip."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


def edited(data: bytes, old: bytes, new: bytes, name: str = SHEET) -> bytes:
    """Return a zip with the first place of some bytes in a part replaced."""
    content = part(data, name)
    assert old in content
    return with_part(data, name, content.replace(old, new, 1))


def worksheet(rows: str, more: str = "") -> bytes:
    """Return the part of a worksheet with these rows as XML."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData>{more}</worksheet>'.encode()

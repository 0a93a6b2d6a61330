"""Cells of an xlsx workbook changed in place: every other cell and part, pictures and formulas too, stays as it is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from zipfile import ZIP_DEFLATED, ZipFile

from lxml import etree

from forms import xlsx
from forms.tables import column_letters, column_number

SHEET_BYTES_MAX = 50_000_000
"""As a tree it takes ten times as much memory."""
PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
KEEP_BLANKS = "{http://www.w3.org/XML/1998/namespace}space"


class EditableSheet:
    """One worksheet. Cells are named by their row, as Excel counts, and their column from 0."""

    def __init__(self, part: bytes) -> None:
        self._tree = etree.fromstring(part, PARSER)
        self._cells: dict[tuple[int, int], etree._Element] = {}
        number = 0
        for row in self._tree.iterfind("{*}sheetData/{*}row"):
            number, column = int(row.get("r", number + 1)), -1
            for cell in row.iterfind("{*}c"):
                reference = cell.get("r")
                column = column_number(reference) if reference else column + 1
                self._cells[number, column] = cell

    def is_formula(self, row: int, column: int) -> bool:
        """Return whether a formula stands in the cell."""
        cell = self._cells.get((row, column))
        return cell is not None and cell.find("{*}f") is not None

    def write(self, row: int, column: int, text: str) -> None:
        """Put a text into a cell of a row that has one already, or empty it with ""; its format stays."""
        cell = self._cells.get((row, column))
        cell = self._added(row, column) if cell is None else cell
        for child in list(cell):
            cell.remove(child)
        cell.attrib.pop("t", "")
        if text:
            cell.set("t", "inlineStr")
            space = str(cell.tag).removesuffix("c")
            inner = etree.SubElement(
                etree.SubElement(cell, f"{space}is"), f"{space}t", {KEEP_BLANKS: "preserve"}
            )
            inner.text = text

    def xml(self) -> bytes:
        """Return the worksheet's part."""
        return etree.tostring(self._tree, encoding="UTF-8", standalone=True)

    def _added(self, row: int, column: int) -> etree._Element:
        """Add a cell to its row, where cells stand in the order of their columns."""
        beside = sorted(place for place in self._cells if place[0] == row)
        before = [place for place in beside if place[1] < column]
        neighbour = self._cells[before[-1] if before else beside[0]]
        cell = etree.Element(neighbour.tag, {"r": f"{column_letters(column)}{row}"})
        if before:
            neighbour.addnext(cell)
        else:
            neighbour.addprevious(cell)
        self._cells[row, column] = cell
        return cell


def open_sheets(data: bytes) -> dict[str, EditableSheet]:
    """Return the worksheets by the path of their part, in the order of `forms.excel.tables`, which has let them in.

    Raises MemoryError for a huge one.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        paths = [part.path for part in xlsx.read_book(archive).parts]
        if any(archive.getinfo(path).file_size > SHEET_BYTES_MAX for path in paths):
            raise MemoryError
        return {path: EditableSheet(archive.read(path)) for path in paths}


def with_parts(data: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Return the workbook with these parts in place of its own."""
    copy = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as archive, ZipFile(copy, "w", ZIP_DEFLATED) as mended:
        for part in archive.infolist():
            mended.writestr(part, parts.get(part.filename) or archive.read(part))
    return copy.getvalue()

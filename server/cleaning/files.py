"""Logs of other tools as files: CSV in whatever encoding and separator, or a workbook."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from forms import excel
from forms.tables import ROWS_MAX, Grid
from server.problems import Problem

FIELD_CHARS_MAX = 10_000_000
BYTES_MAX = 100_000_000
SEPARATORS = ",;\t"
WORKBOOK = "xlsx"
"""The encoding of what was no text."""
BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class LogFile:
    """rows: (number as a spreadsheet counts, text by column). encoding: how the bytes were read."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    encoding: str


def read_log(data: bytes, suffix: str, wanted: Collection[str]) -> LogFile:
    """Return the table of a file; of a workbook the first sheet that has one of the `wanted` columns.

    suffix: of the file's name, `xlsx`. Raises Problem 400.33 for a file without a table, FormError for a bad workbook.
    """
    if len(data) > BYTES_MAX:
        raise Problem(400.33, "The log has more than 100 MB. Cut it into parts.")
    sheets = excel.tables(data, suffix)
    if sheets is None:
        text, encoding = decode(data)
        return _table(_grid(text), encoding)
    for sheet in sheets:
        if len(sheet.grid) > ROWS_MAX:
            raise Problem(400.33, f"A sheet has more than {ROWS_MAX} rows. Save the log as CSV.")
        if sheet.grid and not set(wanted).isdisjoint(map(plain, sheet.grid[0][1])):
            return _table(sheet.grid, WORKBOOK)
    raise Problem(400.33, "No sheet of the workbook has the columns of this dialect.")


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and the encoding it was in: by its mark, else UTF-16, UTF-8 or Arabic Windows (1256).

    Any bytes are text in windows-1256: what is no UTF is taken for that, as Excel saves CSV there.
    """
    encodings = [encoding for mark, encoding in BOMS if data.startswith(mark)]
    if not encodings and len(data) % 2 == 0:
        evens, odds = data[:2000:2].count(0), data[1:2000:2].count(0)
        encodings += ["utf-16-le"] if odds > evens else ["utf-16-be"] if evens else []
    for encoding in (*encodings, "utf-8"):
        try:
            return data.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    return data.decode("windows-1256", "replace"), "windows-1256"


def is_garbled(text: str) -> bool:
    """Whether a text has lost signs on its way, or was read in an encoding that it was not written in and saved so.

    Letters beyond ASCII that are UTF-8 when they are taken for Windows-1252 or Latin-1 nobody writes.
    """
    if "\ufffd" in text:
        return True
    for encoding in ("windows-1252", "latin-1"):
        try:
            return not text.isascii() and bool(text.encode(encoding).decode())
        except UnicodeError:
            continue
    return False


def plain(column: str) -> str:
    """Return a column's name for comparing: R turns `check.id` and `_uuid` into many spellings."""
    name = "".join(sign if sign.isalnum() else "_" for sign in column.replace("\ufeff", "").strip().lower())
    for prefix in ("x_u_feff_", "x__", "x_"):
        name = name.removeprefix(prefix)
    return name.strip("_")


def write_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """Return rows as CSV: UTF-8 with a mark, so that Excel reads it too; LF."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def _grid(text: str) -> Grid:
    first = text.lstrip("\ufeff\r\n").partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator)
    usual = csv.field_size_limit(FIELD_CHARS_MAX)  # of the whole process: other readers rely on theirs
    try:
        return [(number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    except csv.Error:
        raise Problem(400.33, "The file is no CSV that can be read.") from None
    finally:
        csv.field_size_limit(usual)


def _table(grid: Grid, encoding: str) -> LogFile:
    if not grid:
        raise Problem(400.33, "The file has no rows.")
    columns = tuple(grid[0][1])
    rows = tuple((number, dict(zip(columns, map(str, cells), strict=False))) for number, cells in grid[1:])
    return LogFile(columns, rows, encoding)

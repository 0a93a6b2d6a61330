"""The sheet's own columns: `chapar::flags`, `chapar::merge`, `chapar::key` and `chapar::why`, kept from the XForm.

flags: letters on a question. merge: the policy of a question. key: on the row that begins a repeat, the name of
the question inside that names a row for ever (`row_id` or `${row_id}`). why: free text to `forms.check` and people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from forms import check_sheet, survey_rows
from forms.errors import Fault, FormError
from forms.merge_rules import wrong_policy
from forms.schema import Field, Flag, FormSchema, Node, Repeat
from forms.workbook import Row, Sheet, Workbook
from forms.xform import SheetMarks, parse_flags

PREFIX = re.compile(r"\s*chapar\s*::?\s*(.*?)\s*", re.IGNORECASE)
FLAGS, MERGE, KEY, WHY = "flags", "merge", "key", "why"


def removed(book: Workbook) -> Workbook:
    """Return the workbook without our columns.

    They must go before pyxform sees the sheet: one `::` in a header changes how it reads every other header.
    """
    return {name: _without(sheet) for name, sheet in book.items()}


def collect(book: Workbook, schema: FormSchema) -> SheetMarks:
    """Return the marks of a sheet whose schema is known. Raises FormError with the place of every wrong mark."""
    survey = book["survey"]
    rows = survey_rows.by_path(survey)
    columns = {column: kind for column in survey.headers if (kind := _kind(column)) is not None}
    faults = [
        _fault(survey, survey.header_row, column, f"“{column}” is no column of ours.", _COLUMN_FIX)
        for column, kind in columns.items()
        if kind not in {FLAGS, MERGE, KEY, WHY}
    ]
    found: dict[str, dict[str, str]] = {FLAGS: {}, MERGE: {}, KEY: {}}
    placed = {row.number: path for path, row in rows.items()}
    for row in survey.rows:
        for column, kind in columns.items():
            text = row.cells.get(column, "")
            if not text or kind not in found:
                continue
            path = placed.get(row.number, "")
            wrong = _wrong(kind, text, schema.by_path.get(path), schema)
            faults += [_fault(survey, row.number, column, message, fix) for message, fix in wrong]
            found[kind][path] = _clean(kind, text)
    if faults:
        raise FormError(*faults)
    return SheetMarks(found[FLAGS], found[MERGE], found[KEY], check_sheet.collect(book, schema))


_COLUMN_FIX = "Use chapar::flags, chapar::merge, chapar::key or chapar::why."


def _kind(column: str) -> str | None:
    match = PREFIX.fullmatch(column)
    return match[1].lower() if match else None


def _without(sheet: Sheet) -> Sheet:
    headers = tuple(column for column in sheet.headers if _kind(column) is None)
    if headers == sheet.headers:
        return sheet
    rows = (
        Row(row.number, {column: row.cells[column] for column in row.cells if column in headers})
        for row in sheet.rows
    )
    return replace(sheet, headers=headers, rows=tuple(rows))


def _clean(kind: str, text: str) -> str:
    match kind:
        case "flags":
            return re.sub(r"[\s,;]", "", text).upper()
        case "key":
            return text.removeprefix("${").removesuffix("}").strip()
        case _:
            return text.strip()


def _wrong(kind: str, text: str, node: Node | None, schema: FormSchema) -> Iterator[tuple[str, str]]:
    if kind == KEY:
        yield from _wrong_key(_clean(kind, text), node, schema)
    elif not isinstance(node, Field):
        yield (
            f"“{text}” stands in a row that is no question.",
            "Write it at the questions that it is meant for.",
        )
    elif kind == MERGE:
        if wrong := wrong_policy(_clean(kind, text), node):
            yield wrong
    elif kind == FLAGS:
        try:
            parse_flags(text)
        except ValueError:
            yield f"“{text}” holds a letter that is no flag.", f"Use the letters {' '.join(Flag)} only."


def _wrong_key(key: str, node: Node | None, schema: FormSchema) -> Iterator[tuple[str, str]]:
    if not isinstance(node, Repeat):
        yield "A key stands in a row that begins no repeat.", "Write it at begin_repeat."
    elif not isinstance(schema.by_path.get(f"{node.path}/{key}"), Field):
        names = ", ".join(child.name for child in node.children if isinstance(child, Field))
        yield f"The repeat has no question “{key}”.", f"Name one of its own questions: {names}."


def _fault(survey: Sheet, row: int, column: str, message: str, fix: str) -> Fault:
    return Fault(message, fix, survey.name, row, column)

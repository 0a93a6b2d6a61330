"""Which row of the sheets a path, a name or a text stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from forms.workbook import Row, Sheet, Workbook, canonical

BEGIN = re.compile(r"begin[ _](group|lgroup|repeat|loop|looped group)\b.*")
END = re.compile(r"end[ _](group|lgroup|repeat|loop|looped group)")
ALIASES = {
    "type": {"command"},
    "name": {"tag", "value"},
    "label": {"caption"},
    "relevant": {"relevance"},
    "calculation": {"calculate"},
    "calculate": {"calculation"},
    "constraint_message": {"constraining_message"},
    "repeat_count": {"count", "jr"},
    "readonly": {"read_only"},
    "dataset": {"list_name"},
    "list_name": {"dataset"},
    "form_id": {"id_string", "set_form_id"},
    "form_title": {"title", "set_form_title"},
}
"""Other headers for a column, from pyxform's `aliases`."""


def header(sheet: Sheet | None, column: str) -> str:
    """Return the sheet's own header for a column, "" when it has none."""
    wanted = {canonical(column)} | ALIASES.get(canonical(column), set())
    headers = sheet.headers if sheet else ()
    exact = (each for each in headers if each == column)
    return next(exact, next((each for each in headers if canonical(each) in wanted), ""))


def cell(sheet: Sheet, row: Row, column: str) -> str:
    """Return a row's text in a column, "" when blank."""
    return row.cells.get(header(sheet, column), "")


def by_path(survey: Sheet) -> Mapping[str, Row]:
    """Return the row of every question, group and repeat, by its path in the schema."""
    return dict(_placed(survey))


def by_name(sheet: Sheet, name: str) -> Row | None:
    """Return the first row that is named so."""
    return next((row for row in sheet.rows if cell(sheet, row, "name") == name), None)


def holding(book: Workbook, text: str) -> Iterator[tuple[Sheet, Row, str]]:
    """Yield sheet, row and column of cells that are this text, then of those that refer to it as `${text}`."""
    for matches in (text.__eq__, lambda each: f"${{{text}}}" in each):
        for sheet in book.values():
            for row in sheet.rows:
                yield from (
                    (sheet, row, column) for column, each in row.cells.items() if matches(each) is True
                )


def _placed(survey: Sheet) -> Iterator[tuple[str, Row]]:
    above: list[str] = []
    for row in survey.rows:
        kind = " ".join(cell(survey, row, "type").split())
        name = cell(survey, row, "name")
        if cell(survey, row, "disabled").lower() in {"yes", "true", "true()"}:
            continue
        if END.fullmatch(kind):
            above = above[:-1]
        elif kind == "audit":
            yield "/meta/audit", row
        elif kind:
            yield "/".join(["", *above, name]), row
            above = [*above, name] if BEGIN.fullmatch(kind) else above

"""The sheet `checks`: what of a record somebody should look at, as expressions over its questions.

Columns: `check_id`, `description`, `check` (or `check_to_perform`, as cleaningtools has it), `columns_to_clean`. A
sheet of that name without them is somebody's notes. Checks never reach the XForm: they run where records arrive.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from forms import survey_rows
from forms.errors import Fault, FormError
from forms.planting import REFERENCE, expanded
from forms.schema import Field, FormSchema, Repeat
from forms.workbook import Row, Sheet, Workbook
from forms.xpath import XPathError, compile_expression

SHEET = "checks"
ID, DESCRIPTION, COLUMNS = "check_id", "description", "columns_to_clean"
EXPRESSIONS = ("check", "check_to_perform")
NAME = re.compile(r"[\w.-]{1,60}")


def collect(book: Workbook, schema: FormSchema) -> tuple[Mapping[str, Any], ...]:
    """Return the checks of a workbook as `SheetMarks.checks`. Raises FormError with the place of everything wrong."""
    sheet = book.get(SHEET)
    wanted = (ID, DESCRIPTION, *EXPRESSIONS, COLUMNS)
    known = {name: header for name in wanted if (header := survey_rows.header(sheet, name))}
    expression = next((known[name] for name in EXPRESSIONS if name in known), "")
    if sheet is None or ID not in known or not expression:
        return ()
    times = Counter(row.cells.get(known[ID], "").strip() for row in sheet.rows)
    faults: list[Fault] = []
    found: list[Mapping[str, Any]] = []
    for row in sheet.rows:
        name = row.cells.get(known[ID], "").strip()
        if not NAME.fullmatch(name) or times[name] > 1:
            message = f"Two checks have the ID “{name}”." if times[name] > 1 else "A check needs an ID."
            faults.append(
                _fault(sheet, row, known[ID], message, "Give each check a short ID of its own: size_1.")
            )
        text = row.cells.get(expression, "").strip()
        columns = re.split(r"[\s,;]+", row.cells.get(known.get(COLUMNS, ""), "").strip())
        columns = [re.sub(r"[${}]", "", one) for one in columns if one]
        faults += (_fault(sheet, row, expression, *wrong) for wrong in _wrong(text, schema))
        for one in columns:
            if _path(schema, one) is None:
                fix = "Name questions of this form, with commas between."
                faults.append(_fault(sheet, row, known[COLUMNS], f"The form has no question “{one}”.", fix))
        description = row.cells.get(known.get(DESCRIPTION, ""), "").strip()
        found.append({"id": name, "description": description, "expression": text, "columns": columns})
    if faults:
        raise FormError(*faults)
    return tuple(found)


def _wrong(text: str, schema: FormSchema) -> list[tuple[str, str]]:
    fix = "Write what should not be, as in “relevant”: ${size} > 20."
    unknown = sorted({name for name in REFERENCE.findall(text) if _path(schema, name) is None})
    if unknown:
        return [(f"The form has no question “{unknown[0]}”.", fix)]
    try:
        compile_expression(expanded(text, schema, lambda name: _path(schema, name) or ""))
    except XPathError as error:
        return [(f"The check cannot be read. {error.faults[0].message}", fix)]
    return []


def _path(schema: FormSchema, name: str) -> str | None:
    paths = [
        node.path
        for node in schema.walk()
        if isinstance(node, Field | Repeat) and name in {node.name, node.path}
    ]
    return paths[0] if len(paths) == 1 else None


def _fault(sheet: Sheet, row: Row, column: str, message: str, fix: str) -> Fault:
    return Fault(message, fix, sheet.name, row.number, column)

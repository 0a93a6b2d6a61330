"""The cleaning log as a workbook with drop-down lists, so that what is written in Excel comes back valid.

Beside the log stands a sheet `choices`: the questions, and what may be answered to each that has choices. The lists
cover the rows below the log too. Source: ECMA-376 part 1, 18.3.1.33 (dataValidations).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from forms.schema import Field, FormSchema
from server.cleaning.dialects import Layout
from server.cleaning.files import plain
from server.disclosure import Veil
from server.exports.sinks import Output
from server.exports.writers import xlsx

LOG, REMOVED, CHOICES = "cleaning_log", "deletion_log", "choices"
ROWS_MAX = xlsx.ROWS_MAX
LISTED_MAX = 50_000

Rows = list[Sequence[str]]
Answers = Mapping[str, Sequence[str]]
"""Question, as the log names it → its choices, none for one that has none."""


def write_workbook(log: Rows, apart: Rows, layout: Layout, answers: Answers) -> bytes:
    """Return the log as a workbook, with the removed records in a sheet of their own where the tool has them apart."""
    names = list(answers)
    pairs = [(name, choice) for name in names for choice in answers[name]][:LISTED_MAX]
    height = max(len(names), len(pairs))
    columns = [
        [*names, *[""] * (height - len(names))],
        *([pair[place] for pair in pairs] + [""] * (height - len(pairs)) for place in (0, 1)),
    ]
    lists: Rows = [("all_questions", "of_question", "choice"), *zip(*columns, strict=True)]
    file = io.BytesIO()
    sheets = {LOG: log, **({REMOVED: apart} if apart else {}), CHOICES: lists}
    xlsx.write([], sheets, Output(file), {LOG: _lists(log[0], layout, len(names), len(pairs))})
    return file.getvalue()


def answers_of(
    schema: FormSchema, names: Mapping[str, str], shown: Veil, lists: Mapping[str, bytes]
) -> Answers:
    """Return the questions that may be cleaned, by name, with their choices. names: path → name. lists: attached files."""
    return {
        names[field.path]: list(_choices(field, lists))
        for field in schema.fields
        if not field.path.startswith("/meta/") and not shown.hides(field.path)
    }


def _choices(field: Field, lists: Mapping[str, bytes]) -> Iterator[str]:
    if field.choices is None:
        return
    yield from (one.name for one in field.choices.choices)
    if content := lists.get(field.choices.file):
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
        yield from (row["name"] for row in rows if row.get("name"))


def _lists(header: Sequence[str], layout: Layout, names: int, pairs: int) -> str:
    """The drop-down lists of the log's columns. An answer is offered, not forced: a number has no list."""
    titles = list(map(plain, header))
    places = {
        what: titles.index(found[0]) for what, found in layout.what.items() if found and found[0] in titles
    }
    words = ",".join(word for word in layout.kinds if word)
    found = []
    if words and "kind" in places:
        found.append(_list(places["kind"], escape(f'"{words}"', quote=False), "stop"))
    if names:
        found.append(_list(places["name"], f"{CHOICES}!$A$2:$A${names + 1}", "warning"))
    if pairs:
        question = f"${_letter(places['name'])}2"
        column = f"{CHOICES}!$B$2:$B${pairs + 1}"
        offset = f"OFFSET({CHOICES}!$C$1,MATCH({question},{column},0),0,COUNTIF({column},{question}),1)"
        found.append(_list(places["new"], offset, ""))
    return f'<dataValidations count="{len(found)}">{"".join(found)}</dataValidations>' if found else ""


def _list(place: int, formula: str, style: str) -> str:
    """style: what a cell that is not in the list gets, "" for nothing."""
    told = f'showErrorMessage="1" errorStyle="{style}"' if style else 'showErrorMessage="0"'
    letter = _letter(place)
    return (
        f'<dataValidation type="list" allowBlank="1" {told} sqref="{letter}2:{letter}{ROWS_MAX}">'
        f"<formula1>{formula}</formula1></dataValidation>"
    )


def _letter(place: int) -> str:
    assert place < 26, "no dialect has so many columns"
    return chr(ord("A") + place)

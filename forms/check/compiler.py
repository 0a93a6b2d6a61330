"""What the compiler says: pyxform, our own reading of the form, and ODK Validate where Java is."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from forms import survey_rows
from forms.check.finding import Finding, Rule, Severity, Spot
from forms.compile import compile_book
from forms.errors import Fault, FormError
from forms.workbook import Workbook

TRANSLATIONS = "is missing the "
"""pyxform's sentence for what `translation-missing` tells with rows and counts."""
CHOICES_MAX = 1_000
"""Of one list, for pyxform."""


@dataclass(frozen=True)
class Said:
    """What the compiler told of one sheet. is_validated: ODK Validate ran."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...] = ()
    is_validated: bool = True


def compile_faults(book: Workbook, stem: str, *, validate: bool) -> Said:
    """Compile, and return what there is to say instead of raising it."""
    book = _shortened(book)
    has_java = validate and shutil.which("java") is not None
    try:
        compiled = compile_book(book, stem, validate=has_java)
    except FormError as error:
        return Said(error.faults)
    return Said((), compiled.warnings, has_java or not validate)


def _shortened(book: Workbook) -> Workbook:
    """Return the workbook with long choice lists cut: `forms.check.choices` looks at every choice, and quicker.

    pyxform takes five seconds and more for 20,000 choices and says of one only what is checked there.
    """
    choices = book.get("choices")
    if choices is None or len(choices.rows) <= CHOICES_MAX:
        return book
    counted: Counter[str] = Counter()
    rows = []
    column = survey_rows.header(choices, "list_name")
    for row in choices.rows:
        counted[name := row.cells.get(column, "")] += 1
        if counted[name] <= CHOICES_MAX:
            rows.append(row)
    return {**book, "choices": replace(choices, rows=tuple(rows))}


def findings(said: Said, book: Workbook) -> Iterator[Finding]:
    """Yield the compiler's findings."""
    for fault in said.errors:
        yield REFUSED.finding(spot_of(fault, book))
    for fault in said.warnings:
        if TRANSLATIONS not in fault.message:
            yield WARNED.finding(spot_of(fault, book))
    if not said.is_validated:
        yield UNVALIDATED.finding(Spot("ODK Validate did not look at the form.", "Install Java."))


def spot_of(fault: Fault, book: Workbook) -> Spot:
    """Return the place of a fault with the text that stands there."""
    sheet = next((each for each in book.values() if each.name == fault.sheet), None)
    row = next((each for each in sheet.rows if each.number == fault.row), None) if sheet else None
    text = row.cells.get(survey_rows.header(sheet, fault.column), "") if row and fault.column else ""
    return Spot(fault.message, fault.fix, fault.sheet, fault.row, fault.column, text)


def _nothing(_: object) -> Iterator[Spot]:
    """The compiler is asked once for its three rules, by `forms.check.check`."""
    return iter(())


REFUSED = Rule("compile-error", Severity.ERROR, "The sheet becomes a form that tablets can open.", _nothing)
WARNED = Rule(
    "compile-warning", Severity.WARNING, "The compiler and ODK Validate have nothing to remark.", _nothing
)
UNVALIDATED = Rule("not-validated", Severity.HINT, "ODK Validate has looked at the form.", _nothing)
RULES = (REFUSED, WARNED, UNVALIDATED)

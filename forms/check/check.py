"""The form designer's check: what a sheet gets wrong, and what it could do better, each at its row.

One module a family of rules; every rule is documented in docs/checks.md. Pure: the same sheet gives the same findings
in the same order. Only `forms.check.compiler` compiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from forms import workbook
from forms.check import (
    answers,
    choices,
    compiler,
    design,
    duration,
    languages,
    layout,
    logic,
    names,
    privacy,
    repeats,
    script,
    tablet,
)
from forms.check.finding import Finding, Rule, Severity
from forms.errors import FormError

RULES: tuple[Rule, ...] = (
    *compiler.RULES,
    *logic.RULES,
    *choices.RULES,
    *names.RULES,
    *repeats.RULES,
    *answers.RULES,
    *privacy.RULES,
    *languages.RULES,
    *script.RULES,
    *layout.RULES,
    *tablet.RULES,
    *duration.RULES,
)
SEVERITIES = tuple(Severity)


def check_form(data: bytes, file_name: str, *, validate: bool = False) -> tuple[Finding, ...]:
    """Return everything there is to say about a sheet (.xlsx, .xls, .csv, .md), in the order of its rows.

    A file that is no sheet gives a finding, too: nothing is raised.
    validate: also ask ODK Validate, which needs Java and a second or two.
    """
    try:
        book = workbook.read(data, file_name)
    except FormError as error:
        return tuple(compiler.REFUSED.finding(compiler.spot_of(fault, {})) for fault in error.faults)
    own = list(_own(design.read(book)))
    said = compiler.compile_faults(book, PurePath(file_name).stem, validate=validate)
    told = {(each.sheet, each.row, each.column) for each in own if each.severity is Severity.ERROR}
    compiled = (
        each for each in compiler.findings(said, book) if (each.sheet, each.row, each.column) not in told
    )
    return tuple(_in_order([*compiled, *own], [sheet.name for sheet in book.values()]))


def _own(form: design.Design) -> Iterator[Finding]:
    for rule in RULES:
        yield from map(rule.finding, rule.check(form))


def _in_order(findings: Iterable[Finding], sheets: list[str]) -> list[Finding]:
    """Sort by sheet, row and severity; what concerns the whole file comes last."""

    def key(finding: Finding) -> tuple[int, int, int]:
        place = sheets.index(finding.sheet) if finding.sheet in sheets else len(sheets)
        return place, finding.row or 0, SEVERITIES.index(finding.severity)

    return sorted(dict.fromkeys(findings), key=key)

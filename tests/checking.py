"""Forms to check: a survey's rows to a Markdown sheet, and what a rule says of it."""

from __future__ import annotations

from forms.check.check import check_form
from forms.check.finding import Finding

YN = "| choices |\n| | list_name | name | label |\n| | yn | yes | Yes |\n| | yn | no | No |\n"
SETTINGS = "| settings |\n| | form_title | form_id | version |\n| | Visit | visit | 7 |\n"


def survey(columns: str, *rows: str, more: str = "") -> str:
    """Return a sheet with these columns and rows, cells parted by `|`."""
    return "\n".join(["| survey |", f"| | {columns} |", *(f"| | {row} |" for row in rows), more])


def found(sheet: str, rule: str) -> list[Finding]:
    """Return what a rule says of a sheet."""
    return [finding for finding in check_form(sheet.encode(), "visit.md") if finding.rule == rule]


def rows(sheet: str, rule: str) -> list[int | None]:
    """Return the rows that a rule speaks of."""
    return [finding.row for finding in found(sheet, rule)]

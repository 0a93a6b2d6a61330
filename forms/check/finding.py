"""What a check says about a sheet, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forms.check.design import Design

TEXT_CHARS_MAX = 80


class Severity(StrEnum):
    """How much a finding weighs: the form fails, it misleads or leaks, it could be better."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Spot:
    """A place that breaks a rule.

    sheet: as the file names it, "" for the whole file. row: as the spreadsheet program counts, None for none.
    column: the header's text. text: what stands there. fix: what to do, as an instruction.
    """

    message: str
    fix: str
    sheet: str = ""
    row: int | None = None
    column: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule broken, and where. The other fields are those of `Spot`; text is cut at 80 characters."""

    rule: str
    severity: Severity
    sheet: str
    row: int | None
    column: str
    text: str
    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is checked. name: kebab-case, for ever. sentence: what a sheet must be like."""

    name: str
    severity: Severity
    sentence: str
    check: Callable[[Design], Iterator[Spot]]

    def finding(self, spot: Spot) -> Finding:
        """Return what this rule says of a place."""
        text = spot.text if len(spot.text) <= TEXT_CHARS_MAX else f"{spot.text[: TEXT_CHARS_MAX - 1]}…"
        return Finding(
            self.name, self.severity, spot.sheet, spot.row, spot.column, text, spot.message, spot.fix
        )

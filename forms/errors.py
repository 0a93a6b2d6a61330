"""What a sheet, an XForm or an instance can be refused for.

    FormError                one or more faults; each names its place and what to do
     └─ InstanceError        the XML of one submission cannot be read (reason, never its values)

A `Fault` is what a form designer reads. Faults of one sheet are collected and raised together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a sheet, where it stands and how to mend it.

    sheet: "survey", "choices", "settings", …, or "" for the whole file.
    row: row in that sheet as the spreadsheet program numbers it (1 = header), or None.
    column: the header's text, or "".
    message: what is wrong, with the text at fault. fix: what to do, as an instruction.
    """

    message: str
    fix: str
    sheet: str = ""
    row: int | None = None
    column: str = ""

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                f"sheet “{self.sheet}”" if self.sheet else "",
                f"row {self.row}" if self.row else "",
                f"column “{self.column}”" if self.column else "",
            )
            if part
        )
        return f"{where + ': ' if where else ''}{self.message} {self.fix}".strip()


class FormError(Exception):
    """A form cannot be made from what was given; `faults` says why, at least one, in sheet order."""

    def __init__(self, *faults: Fault) -> None:
        assert faults, "a FormError names at least one fault"
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class InstanceError(FormError):
    """The XML of a submission cannot be read. The message never holds a value from it."""

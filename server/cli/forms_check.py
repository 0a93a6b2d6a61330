"""`chapar forms check`: what is wrong with a sheet, at its row. Needs no data directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.common import Json, UnusedData, tell

if TYPE_CHECKING:
    from forms.check.finding import Finding
    from forms.check.mend import Change

ERRORS_FOUND, WARNINGS_FOUND = 1, 2


def check(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Sheets (xlsx, xls, csv, md).")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 when there are warnings.")] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0, for editors.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write NAME.fixed.xlsx with what has one right answer mended.")
    ] = False,
    data: UnusedData = None,  # noqa: ARG001
    as_json: Json = False,
) -> None:
    """Check each FILE and tell of every mistake at its row. Exits with 1 when there are errors."""
    from dataclasses import asdict
    from importlib.metadata import version

    from forms.check.check import RULES, check_form
    from forms.check.sarif import report

    found = {str(path): check_form(path.read_bytes(), path.name, validate=True) for path in files}
    changes = {str(path): _mend(path) if fix else () for path in files}
    if sarif:
        tell(report(RULES, found, version("chapar-server")), "", as_json=True)
    else:
        told = [
            {
                "file": name,
                "findings": [asdict(each) for each in findings],
                "changes": [asdict(each) for each in changes[name]],
            }
            for name, findings in found.items()
        ]
        tell(
            {"files": told},
            "\n\n".join(_page(*each, changes[each[0]]) for each in found.items()),
            as_json=as_json,
        )
    severities = {finding.severity for findings in found.values() for finding in findings}
    if "error" in severities:
        raise typer.Exit(ERRORS_FOUND)
    if strict and "warning" in severities:
        raise typer.Exit(WARNINGS_FOUND)


def _mend(path: Path) -> tuple[Change, ...]:
    """Write the corrected copy when there is something to correct. Raises OSError when the copy is there already."""
    from forms.check.mend import mend

    mended, changes = mend(path.read_bytes(), path.name)
    if changes:
        with path.with_suffix(".fixed.xlsx").open("xb") as copy:
            copy.write(mended)
    return changes


def _page(name: str, findings: Sequence[Finding], changes: Sequence[Change]) -> str:
    """Return what people read of one file: its rows in order, and the sum at the end."""
    lines = [name]
    for (sheet, row), here in groupby(findings, key=lambda each: (each.sheet, each.row)):
        lines.append(f"\n{_place(sheet, row)}")
        for finding in here:
            lines += _lines(finding)
    if changes:
        lines.append(f"\nChanged in {Path(name).with_suffix('.fixed.xlsx')}:")
    for each in changes:
        where = f"{_place(each.sheet, each.row)}, {each.column}"
        lines.append(f"  {where}: “{each.before}” → “{each.after}” ({each.reason})")
    return "\n".join([*lines, "", _sum(findings)])


def _place(sheet: str, row: int | None) -> str:
    return ", ".join(filter(None, (f"sheet “{sheet}”" if sheet else "the form", f"row {row}" if row else "")))


def _lines(finding: Finding) -> Iterator[str]:
    column = f"{finding.column}: " if finding.column else ""
    text = f"“{finding.text}” " if finding.text and finding.text not in finding.message else ""
    yield f"  {finding.severity:<7}  {column}{text}{finding.message}  [{finding.rule}]"
    yield f"           {finding.fix}"


def _sum(findings: Sequence[Finding]) -> str:
    counts: Mapping[str, int] = {
        kind: sum(each.severity == kind for each in findings) for kind in ("error", "warning", "hint")
    }
    return ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())

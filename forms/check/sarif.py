"""Findings as SARIF 2.1.0, which code hosts and editors show.

A sheet has no lines: `startLine` is the row in its sheet, and the logical location names sheet, row and column.
Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from forms.check.finding import Finding, Rule, Severity

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "note"}


def report(rules: Iterable[Rule], findings: Mapping[str, Iterable[Finding]], version: str) -> dict[str, Any]:
    """Return one run over some files. findings: by the file's path. version: of the checker."""
    driver = {"name": "chapar forms check", "version": version, "rules": [_rule(rule) for rule in rules]}
    results = [_result(path, finding) for path, each in findings.items() for finding in each]
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.sentence},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _result(path: str, finding: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(path.replace("\\", "/"))}}
    if finding.row:
        place["region"] = {"startLine": finding.row}
    location: dict[str, Any] = {"physicalLocation": place}
    if where := _where(finding):
        location["logicalLocations"] = [{"fullyQualifiedName": where}]
    quoted = f"“{finding.text}”: " if finding.text else ""
    return {
        "ruleId": finding.rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{quoted}{finding.message} {finding.fix}"},
        "locations": [location],
    }


def _where(finding: Finding) -> str:
    row = f"row {finding.row}" if finding.row else ""
    return "/".join(filter(None, (finding.sheet, row, finding.column)))

"""What an export says of itself: the manifest, and the codebook that explains each column. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from forms.schema import Flag
from server.exports.disclosure import RISK_MAX, Risk
from server.exports.frames import Frame
from server.exports.gathering import Gathered
from server.exports.options import Format
from server.exports.rows import Row
from server.exports.sinks import Written
from server.exports.variables import Variable


def manifest(found: Gathered, files: Sequence[Written] = ()) -> dict[str, Any]:
    """Return what the files hold and where it comes from; the same for the same state and options.

    cleaning: of the clean view, how many entries its log has and their SHA-256. days: when they are closed, and by day
    how much came after that. excluded: for each reason how many records, and the KEYs of the first thousand. quarantined: arrivals of this form that
    nobody could read, so that no export can have them. unanswered: columns of a table that are left out as empty.
    """
    scope = found.scope
    return {
        "project": scope.project_id,
        "form": scope.form_id,
        "formVersions": [{"version": name, "sha256": sha256} for name, sha256 in scope.versions],
        "options": scope.options.as_json(),
        **({"cleaning": found.cleaning} if found.cleaning else {}),
        **({"days": found.days} if found.days else {}),
        "cutOff": {"position": scope.cut_off, "time": found.time, "chain": found.chain},
        "records": {
            "exported": found.frames[0].rows,
            "excluded": [
                {"why": why, "count": one.count, "keys": [] if scope.key else one.keys}
                for why, one in sorted(found.left.items())
            ],
            "quarantined": found.quarantined,
        },
        **({"risk": _told(found.risks)} if found.risks else {}),
        "tables": [
            {
                "name": one.name,
                "rows": one.rows,
                "columns": len(one.variables),
                "unanswered": list(one.unanswered),
            }
            for one in found.frames
            if scope.options.format is not Format.MEDIA
        ],
        "files": [{"name": one.name, "bytes": one.size, "sha256": one.sha256} for one in files],
    }


def _told(risks: Sequence[Risk]) -> dict[str, Any]:
    """The risk with all keys, and below it what it falls to when one after the other is dropped."""
    steps = [
        {
            "keys": list(one.keys),
            "unique": round(one.unique, 6),
            "fewerThanFive": round(one.few, 6),
            "globalRisk": round(one.risk, 6),
        }
        for one in risks
    ]
    return {"limit": RISK_MAX, "isBelowLimit": risks[0].is_low, "steps": steps}


def manifest_rows(told: dict[str, Any]) -> Iterator[Row]:
    """Yield the manifest as a table of names and values, for formats whose tables hold texts."""
    yield ["name", "value"]
    for path, value in _leaves(told, ""):
        yield [path, str(value)]


def _leaves(node: object, path: str) -> Iterator[tuple[str, object]]:
    match node:
        case dict():
            for name, child in node.items():
                yield from _leaves(child, f"{path}.{name}" if path else name)
        case list():
            for number, child in enumerate(node, 1):
                yield from _leaves(child, f"{path}[{number}]")
        case _:
            yield path, node


def codebook(found: Gathered, languages: Sequence[str]) -> Iterator[Row]:
    """Yield a header and one row for each column, and below it one for each of its choices.

    languages: whose labels are told.
    """
    yield [
        "table",
        "column",
        "type",
        "question",
        "flags",
        "choice",
        *(f"label::{name}" for name in languages),
    ]
    for one in found.frames:
        for variable in one.variables:
            yield from _explained(one, variable, languages)


def _explained(one: Frame, variable: Variable, languages: Sequence[str]) -> Iterator[Row]:
    field = variable.field
    flags = variable.column.asked if variable.column else ()
    letters = sorted({flag for asked in flags for flag in asked.flags}, key=list(Flag).index)
    known = [one.name, variable.title, variable.kind.value, field.path if field else ""]
    if variable.part and variable.part in variable.choices:
        label = variable.choices[variable.part].label
    else:
        label = variable.label
    labels = [label.get(name, "") for name in languages] if field else [variable.meaning for _ in languages]
    yield [*known, " ".join(letters), variable.part, *labels]
    if not variable.part:
        for choice in variable.choices.values():
            yield [*known, "", choice.name, *(choice.label.get(name, "") for name in languages)]

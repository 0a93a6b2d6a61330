"""`chapar cleaning checks`, `quality`, `days`, `plan` and `slots`: what somebody should look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

Form = Annotated[str, typer.Argument(help="The form's ID.")]
Personal = Annotated[
    bool, typer.Option("--personal", help="Also personal, sensitive and restricted answers.")
]
SHARES = frozenset({"missing", "dont-know"})
UNITS = {
    "short": "min",
    "long": "min",
    "active-short": "min",
    "active-long": "min",
    "times-reversed": "min",
    "clock-ahead": "min",
    "straight-line": "alike",
    "far-away": "km",
}
"""Of what stands out; an outlier has that of its question."""


def checks(
    form: Form,
    check: Annotated[str, typer.Option(help="Only what this check found.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Tell what the checks of the form's sheet found, and what somebody has decided about."""
    from server.api.findings_json import describe_findings

    with opened(data) as node:
        node.catch_up()
        found = describe_findings(
            node, (project, form), after=None, limit=limit, check_id=check, personal=personal
        )
    lines = [f"{one['checkId']}: {one['count']}  {one['description']}" for one in found["checks"]]
    lines += [
        f"{one['state']:<7}  {one['checkId']}  {one['instanceId']}  "
        + ", ".join(f"{cell}={'(hidden)' if text is None else text}" for cell, text in one["answers"].items())
        for one in found["findings"]
    ]
    tell(found, "\n".join(lines) or "The form's sheet has no checks.", as_json=as_json)


def quality(
    form: Form,
    audits: Annotated[
        bool, typer.Option("--audits", help="Read the audit logs too: a file for each record.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Tell what stands out among the records: durations, gaps, don't-knows, amounts, places, clocks; and who did what."""
    from server.api.quality_json import describe_quality

    with opened(data) as node:
        node.catch_up()
        found = describe_quality(node, (project, form), limit=limit, personal=personal, audits=audits)
    lines = [f"{found['records']} records"]
    lines += [
        f"{one['state']:<7}  {one['checkId']:<14}  {one['instanceId']}  {one['cell']}  "
        f"{_figure(one['checkId'], one['figure'])} (usual {_figure(one['checkId'], one['usual'])})"
        for one in found["standouts"]
    ]
    lines += [
        f"{one['who']}: {one['records']} records, {one['minutes'] or '?'} min{_active(one)}, {one['missing']:.0%} missing, "
        f"{one['unknown']:.0%} don't know, {one['refusals']} refusals  {', '.join(one['drifts'])}".rstrip()
        for one in found["enumerators"]
    ]
    lines += _slot_lines(found["slots"])
    tell(found, "\n".join(lines), as_json=as_json)


def _figure(check_id: str, number: float) -> str:
    if check_id in SHARES:
        return f"{number:.0%}"
    return f"{number:,g} {UNITS.get(check_id, '')}".rstrip()


def days(
    form: Form,
    day: Annotated[str, typer.Option(help="Only of this day, 2026-11-22.")] = "",
    closes_at: Annotated[
        str | None, typer.Option(help="Close the days to come at this time, 21:00; '' never.")
    ] = None,
    offset: Annotated[str, typer.Option(help="What the clock there is ahead of UTC.")] = "+00:00",
    question: Annotated[str, typer.Option(help="The date that tells a record's day; else its start.")] = "",
    reopen: Annotated[str, typer.Option(help="Open this day again.")] = "",
    close: Annotated[str, typer.Option(help="Close this day again.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many late things at most.")] = 100,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List the days of the records, and what came of each after it was closed; close days at a time, open one again."""
    from datetime import date

    from server import days as closing
    from server.api.days_json import describe_days
    from server.permissions import OPERATOR

    try:
        only, *turned = (date.fromisoformat(text) if text else None for text in (day, reopen, close))
    except ValueError:
        raise typer.BadParameter("Give a day as 2026-11-22.") from None
    with opened(data) as node:
        node.catch_up()
        key = (project, form)
        if closes_at is not None:
            closing.give_rule(node, OPERATOR, key, closes_at, offset, question)
        for one, is_open in zip(turned, (True, False), strict=True):
            if one:
                closing.turn(node, OPERATOR, key, one, is_open=is_open, reason=reason)
        found = describe_days(node, key, day=only, limit=limit)
    rule = found["rule"]
    lines = [f"closed at {rule['closesAt']}, UTC{rule['offset']}" if rule else "no day is closed"]
    lines += [
        f"{one['day']}  {one['state']:<6}  {one['records']} records  "
        + ", ".join(f"{count} {what} late" for what, count in one["late"].items())
        for one in found["days"]
    ]
    lines += [
        f"  {one['day']}  {one['at'][:16]}  {one['what']:<9}  {one['instanceId']}  {one['who']}".rstrip()
        for one in found["late"]
    ]
    tell(found, "\n".join(map(str.rstrip, lines)), as_json=as_json)


def plan(
    form: Form,
    file: Annotated[
        Path, typer.Argument(help="CSV or XLSX: a date, and what names a slot.", exists=True, dir_okay=False)
    ],
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Plan the slots of a form, in place of the plan before: columns are questions, the place first, and one is a date."""
    from server import slots as planning
    from server.permissions import OPERATOR

    with opened(data) as node:
        node.catch_up()
        rows = planning.keep_plan(node, OPERATOR, (project, form), file.read_bytes(), file.suffix[1:].lower())
    tell({"rows": rows}, f"{rows} rows; see: chapar cleaning slots {form}", as_json=as_json)


def slots(
    form: Form,
    until: Annotated[str, typer.Option(help="The last day, 2026-11-22; else the last that has passed.")] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List the planned slots that no record is of, by day and place. A gap is not zero."""
    from datetime import date

    from server.api.slots_json import describe_slots

    try:
        last = date.fromisoformat(until) if until else None
    except ValueError:
        raise typer.BadParameter("Give a day as 2026-11-22.", param_hint="--until") from None
    with opened(data) as node:
        node.catch_up()
        found = describe_slots(node, (project, form), until=last)
    lines = _slot_lines(found) or ["Nobody planned slots of this form."]
    tell(found or {}, "\n".join(lines), as_json=as_json)


def _active(one: dict[str, Any]) -> str:
    return "" if one["active_min"] is None else f" ({one['active_min']} active)"


def _slot_lines(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    lines = [
        f"{found['planned']} slots planned, {found['gaps']} without a record, {found['unplanned']} not planned"
    ]
    return lines + [
        f"{one['day']}  {one['place']}: {one['counted']} of {one['planned']}; missing "
        + ", ".join(" ".join(slot) for slot in one["gaps"])
        for one in found["days"]
        if one["gaps"]
    ]

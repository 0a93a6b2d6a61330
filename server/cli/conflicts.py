"""`chapar conflicts`: what people disagree about, and deciding it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

if TYPE_CHECKING:
    from server.store.conflicts import Wanted
    from sync.choosing import Choice

app = typer.Typer(help="What people disagree about: list, show, resolve, undo.", no_args_is_help=True)

Form = Annotated[str, typer.Option("--form", help="Only of this form.")]
Kind = Annotated[str, typer.Option("--kind", help="value, unit, row, deleted or constraint.")]
Path = Annotated[str, typer.Option("--path", help="Only of this field, as /member/age.")]
Device = Annotated[str, typer.Option("--device", help="Only where this device said something.")]
Post = Annotated[str, typer.Option("--post", help="Only where something came in at this post.")]
Personal = Annotated[
    bool, typer.Option("--personal", help="Show personal, sensitive and restricted answers.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


class State(StrEnum):
    """Which conflicts to list."""

    OPEN = "open"
    SETTLED = "settled"
    RESOLVED = "resolved"
    ALL = "all"


class Rule(StrEnum):
    """The rules that settle a conflict."""

    LATER = "later"
    FIRST = "first"
    LARGER = "larger"
    SMALLER = "smaller"


@app.command("list")
def list_conflicts(
    form: Form = "",
    state: Annotated[State, typer.Option(help="Which ones.")] = State.OPEN,
    kind: Kind = "",
    path: Path = "",
    device: Device = "",
    post: Post = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    counts: Annotated[bool, typer.Option("--counts", help="Count by form, field, post and device.")] = False,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List conflicts, what waits longest first."""
    from server.api.conflict_json import describe, describe_counts
    from server.store import conflicts
    from server.store.engine import reading

    wanted = _wanted(form, state, kind, path, device, post)
    with opened(data) as node:
        if counts:
            with reading(node.engine) as connection:
                counted = describe_counts(conflicts.count_conflicts(connection, project, wanted))
            lines = [
                f"{one['count']:>6}  {' '.join(str(text) for name, text in one.items() if name != 'count') or '-'}"
                for some in counted.values()
                for one in some
            ]
            tell(counted, "\n".join(lines) or "Nothing to count.", as_json=as_json)
            return
        with reading(node.engine) as connection:
            page = conflicts.list_conflicts(connection, project, wanted, None, limit)
        found = describe(node, page, personal=personal)
    lines = [
        f"{one['id']}  {one['since'][:16]}  {one['state']:<8}  {one['kind']:<10}  {one['xmlFormId']}  "
        f"{one['instanceId']}  {one['path'] or '(the record)'}  {_sides(one)}"
        for one in found
    ]
    tell({"conflicts": found}, "\n".join(lines) or "No conflicts.", as_json=as_json)


@app.command("show")
def show(
    conflict: str,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Show one conflict: what each side says, who said it, when and where."""
    from server import resolving
    from server.api.conflict_json import describe_one

    with opened(data) as node:
        one = describe_one(node, resolving.get_conflict(node, project, conflict), personal=personal)
    tell(one, "\n".join(_page(one)), as_json=as_json)


@app.command("resolve")
def resolve(
    conflict: Annotated[str, typer.Argument(help="The conflict's ID; none: all that fit, by --policy.")] = "",
    choose: Annotated[int | None, typer.Option("--choose", help="Take this side, counted from 0.")] = None,
    revision: Annotated[str | None, typer.Option("--revision", help="Take what this revision says.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Give this answer.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", help="CELL=ANSWER, of several questions.")
    ] = None,
    keep: Annotated[bool | None, typer.Option("--keep/--delete", help="A row or record.")] = None,
    policy: Annotated[Rule | None, typer.Option("--policy", help="Take the side that a rule names.")] = None,
    seen: Annotated[
        str, typer.Option("--seen", help="What `show` gave: refuse when something came in since.")
    ] = "",
    form: Form = "",
    kind: Kind = "",
    path: Path = "",
    device: Device = "",
    post: Post = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only show what the rule would do.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Reason = "",
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Settle one conflict, or by a rule all that fit, after a preview."""
    from server import resolving
    from server.api.conflict_json import describe_left, describe_one, describe_plan
    from server.permissions import OPERATOR

    if conflict:
        choice = _choice(choose, revision, value, values, keep, policy)
        with opened(data) as node:
            upon = seen or resolving.get_conflict(node, project, conflict).seen
            done = resolving.resolve(node, OPERATOR, project, conflict, choice, upon, reason)
            one = describe_one(node, done, personal=personal)
        tell(one, "\n".join(_page(one)), as_json=as_json)
        return
    if policy is None:
        raise typer.BadParameter("Name a conflict, or give a --policy for all that fit.")
    if as_json and not (preview or yes):
        raise typer.BadParameter("With --json say --preview or --yes.")
    from forms.merge_rules import Policy

    with opened(data) as node:
        wanted = _wanted(form, State.OPEN, kind, path, device, post)
        plan = resolving.preview(node, project, wanted, Policy(policy))
        if not yes or preview:
            planned = describe_plan(node, plan, personal=personal)
            tell(planned, "\n".join(_plan(planned)), as_json=as_json)
            if preview or not plan.planned or not typer.confirm(f"Resolve these {len(plan.planned)}?"):
                return
        applied = resolving.apply(node, OPERATOR, project, plan.token, reason)
    left = {one.id: why for one, why in plan.left} | dict(applied.left)
    tell(
        {"batch": applied.batch, "resolved": applied.resolved, "left": describe_left(left)},
        f"resolved {len(applied.resolved)}, left {len(left)}; undo with: "
        f"chapar conflicts undo --batch {applied.batch}",
        as_json=as_json,
    )


@app.command("undo")
def undo(
    conflict: Annotated[str, typer.Argument(help="The conflict's ID.")] = "",
    batch: Annotated[str, typer.Option("--batch", help="Undo what was resolved in bulk, as a whole.")] = "",
    reason: Reason = "",
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Withdraw the newest decision about a conflict, or a whole batch."""
    from server import resolving
    from server.api.conflict_json import describe_one
    from server.permissions import OPERATOR

    if bool(conflict) == bool(batch):
        raise typer.BadParameter("Name a conflict or a --batch.")
    with opened(data) as node:
        if batch:
            undone = resolving.undo_batch(node, OPERATOR, project, batch, reason)
            tell({"undone": undone}, f"undone: {undone}", as_json=as_json)
            return
        found = resolving.undo(node, OPERATOR, project, conflict, reason)
        one = describe_one(node, found, personal=personal) if found else {}
    tell(one, "\n".join(_page(one)) if one else "It is undone, and nothing is contested.", as_json=as_json)


def _wanted(form: str, state: State, kind: str, path: str, device: str, post: str) -> Wanted:
    from server.store.conflicts import Wanted

    return Wanted(form, "", "" if state is State.ALL else state, kind, path, device, post)


def _choice(
    choose: int | None,
    revision: str | None,
    value: str | None,
    values: list[str] | None,
    keep: bool | None,
    policy: Rule | None,
) -> Choice:
    from forms.merge_rules import Policy
    from sync.choosing import ByRule, Kept, Side, Typed

    pairs = [text.partition("=") for text in values or ()]
    if not all(equals for _, equals, _ in pairs):
        raise typer.BadParameter("Write --set as CELL=ANSWER.")
    given: list[Choice] = []
    given += [Side(name) for name in (choose, revision) if name is not None]
    given += [Typed({"": value})] if value is not None else []
    given += [Typed({cell: text for cell, _, text in pairs})] if pairs else []
    given += [Kept(keep)] if keep is not None else []
    given += [ByRule(Policy(policy))] if policy is not None else []
    if len(given) != 1:
        raise typer.BadParameter(
            "Give exactly one of --choose, --revision, --value, --set, --keep/--delete, --policy."
        )
    return given[0]


def _said(answers: dict[str, str | None]) -> str:
    return ", ".join(
        "(hidden)" if text is None else text or "(blank)" if len(answers) == 1 else f"{name}={text}"
        for name, text in answers.items()
    )


def _sides(one: dict[str, Any]) -> str:
    return " | ".join(_said(side["answers"]) for side in one["candidates"])


def _page(one: dict[str, Any]) -> list[str]:
    lines = [
        f"{one['id']}  {one['state']}  {one['kind']}  {one['xmlFormId']}  {one['instanceId']}  {one['path']}",
        f"seen: {one['seen']}",
    ]
    for number, side in enumerate(one["candidates"]):
        lines.append(f"[{number}] {_said(side['answers'])}")
        lines += [f"      {_who(revision)}" for revision in side["revisions"]]
    if row := one.get("row"):
        lines.append(f"row: {_said(row)}")
    if decision := one["decision"]:
        lines.append(f"decided: {_who(decision)}  {decision['reason']}".rstrip())
    return lines


def _who(revision: dict[str, Any]) -> str:
    if "createdAt" not in revision:
        return f"revision {revision['sha256'][:16]}, not here yet"
    version = f"  form version {revision['version']}" if revision["version"] else ""
    return (
        f"{revision['createdAt'][:16]}  {revision['submitter']['displayName']}  "
        f"{revision['deviceId'] or '-'}{version}  {revision['sha256'][:16]}"
    )


def _plan(plan: dict[str, Any]) -> list[str]:
    lines = [
        f"{one['id']}  {one['xmlFormId']}  {one['instanceId']}  {one['path']}: "
        f"{_said(one['before'])} → {_said(one['after'])}"
        for one in plan["resolves"]
    ]
    lines += [f"{one['id']}  left: {one['reason']}" for one in plan["left"]]
    more = " (there are more: run it again)" if plan["more"] else ""
    return [*lines, f"{plan['count']} to resolve, {len(plan['left'])} left{more}"]

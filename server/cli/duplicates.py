"""`chapar duplicates`: records that share a duplicate key, and deciding what they are."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

app = typer.Typer(
    help="Records with one key: list, show, keep, distinct, correct, undo.", no_args_is_help=True
)

Form = Annotated[str, typer.Argument(help="The form's ID.")]
Key = Annotated[str, typer.Argument(help="The ID that `list` gives.")]
Seen = Annotated[str, typer.Option("--seen", help="What `show` gave: refuse when something came in since.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]
Personal = Annotated[
    bool, typer.Option("--personal", help="Show personal, sensitive and restricted answers.")
]


class State(StrEnum):
    """Which ones to list."""

    OPEN = "open"
    DECIDED = "decided"


@app.command("list")
def list_duplicates(
    form: Form,
    state: Annotated[State, typer.Option(help="Which ones.")] = State.OPEN,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List keys that two records or more share, what waits longest first."""
    from server.api.key_conflict_json import describe
    from server.store.engine import reading
    from server.store.key_conflicts import list_key_conflicts

    with opened(data) as node, reading(node.engine) as connection:
        page = list_key_conflicts(connection, project, form, state, (0, ""), limit)
    found = [describe(one) for one in page]
    lines = [
        f"{one['id']}  {one['since'][:16]}  {one['kind']:<5}  {one['count']} records: "
        f"{', '.join(one['instanceIds'])}"
        for one in found
    ]
    tell({"duplicates": found}, "\n".join(lines) or "No records share a key.", as_json=as_json)


@app.command("show")
def show(
    form: Form,
    key: Key,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Show the records with one key: who sent them, when, and what was decided."""
    from server import key_conflicts
    from server.api.key_conflict_json import describe_whole

    with opened(data) as node:
        one = describe_whole(node, key_conflicts.get(node, project, form, key), personal=personal)
    tell(one, "\n".join(_page(one)), as_json=as_json)


@app.command("keep")
def keep(
    form: Form,
    key: Key,
    instance_id: Annotated[str, typer.Argument(help="The record that stays.")],
    seen: Seen = "",
    reason: Reason = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Keep one record and delete the others with its key."""
    from server import key_conflicts
    from server.permissions import OPERATOR

    with opened(data) as node:
        one = key_conflicts.get(node, project, form, key)
        made = key_conflicts.keep(node, OPERATOR, one, instance_id, seen or one.seen, reason)
    _told(form, key, made, as_json=as_json)


@app.command("distinct")
def distinct(
    form: Form, key: Key, seen: Seen = "", data: Data = None, project: Project = 1, as_json: Json = False
) -> None:
    """Say that the records are different ones; another with their key asks again."""
    from server import key_conflicts
    from server.permissions import OPERATOR

    with opened(data) as node:
        one = key_conflicts.get(node, project, form, key)
        made = key_conflicts.tell_apart(node, OPERATOR, one, seen or one.seen)
    _told(form, key, made, as_json=as_json)


@app.command("correct")
def correct(
    form: Form,
    key: Key,
    instance_id: Annotated[str, typer.Argument(help="The record whose key is a mistake.")],
    answers: Annotated[list[str], typer.Option("--set", help="PATH=ANSWER, as /slot/direction=in.")],
    seen: Seen = "",
    reason: Reason = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Give other answers to questions of the key in one record."""
    from server import key_conflicts
    from server.permissions import OPERATOR

    pairs = [text.partition("=") for text in answers]
    if not all(equals for _, equals, _ in pairs):
        raise typer.BadParameter("Write --set as PATH=ANSWER.")
    given = {path: text for path, _, text in pairs}
    with opened(data) as node:
        one = key_conflicts.get(node, project, form, key)
        made = key_conflicts.correct(node, OPERATOR, one, instance_id, given, seen or one.seen, reason)
    _told(form, key, made, as_json=as_json)


@app.command("undo")
def undo(
    form: Form,
    key: Key,
    decision: Annotated[str, typer.Argument(help="The name that the decision was given.")],
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Take back a decision."""
    from server import key_conflicts
    from server.permissions import OPERATOR

    with opened(data) as node:
        key_conflicts.undo(node, OPERATOR, project, form, key, decision)
    tell({"undone": decision}, "undone", as_json=as_json)


def _told(form: str, key: str, made: str, *, as_json: bool) -> None:
    undoing = f'chapar duplicates undo {form} {key} "{made}"'
    tell({"decision": made}, f"decided; undo with: {undoing}", as_json=as_json)


def _page(one: dict[str, Any]) -> list[str]:
    lines = [f"{one['id']}  {one['state']}  {one['kind']}  {one['count']} records", f"seen: {one['seen']}"]
    for record in one["submissions"]:
        deleted = "  deleted" if record["deleted"] else ""
        said = ", ".join(
            f"{path}={'(hidden)' if text is None else text}" for path, text in record["answers"].items()
        )
        who = f"{record['submitter']['displayName']}  {record['deviceId']}".rstrip()
        lines.append(f"{record['instanceId']}  {record['createdAt'][:16]}  {who}{deleted}  {said}")
    for done in one["decisions"]:
        who = f"{done['actor']['displayName']}  {done['createdAt'][:16]}"
        lines.append(f"decided: {done['kind']}  {', '.join(done['instanceIds'])}  {who}  {done['id']}")
    return lines

"""`chapar forms`: publishing sheets, opening and closing forms, listing them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell
from server.cli.forms_check import check
from server.cli.forms_diff import Accept, Rename, diff, read_consent, refusals_shown
from server.cli.forms_draft import discard, draft
from server.cli.forms_try import try_form

if TYPE_CHECKING:
    from server.publishing import Publication
    from server.store.form_states import FormState

app = typer.Typer(help="Draft, publish, close and list forms.", no_args_is_help=True)
app.command("check")(check)
app.command("diff")(diff)
app.command("draft")(draft)
app.command("discard")(discard)
app.command("try")(try_form)

Form = Annotated[str, typer.Argument(help="The form's ID.")]


@app.command("publish")
def publish(
    files: Annotated[
        list[str], typer.Argument(help="Sheets (xlsx, xls, csv, md) or XForms (xml); with --draft form IDs.")
    ],
    from_draft: Annotated[bool, typer.Option("--draft", help="Publish the drafts of these forms.")] = False,
    version: Annotated[
        str | None, typer.Option("--version", help="Publish the draft under this version.")
    ] = None,
    accept: Accept = None,
    rename: Rename = None,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Publish each FILE with the lists and images it reads, taken from beside it or from its `media` folder."""
    from server import drafts
    from server.publishing import publish_file

    consent = read_consent(files, accept, rename)
    if version is not None and not from_draft:
        raise typer.BadParameter("--version goes with --draft: a sheet says its version in its settings.")
    with opened(data, begins=True) as node, refusals_shown(as_json=as_json):
        done = [
            drafts.publish(node, project, name, version, consent)
            if from_draft
            else publish_file(node, project, _file(name), consent)
            for name in files
        ]
    tell(
        {"forms": [_as_json(one) for one in done]},
        "\n".join(line for one in done for line in _lines(one)),
        as_json=as_json,
    )


@app.command("close")
def close(
    form: Form,
    closing: Annotated[
        bool,
        typer.Option(
            "--closing", help="Still take what tablets have; only give the form to no more of them."
        ),
    ] = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Close a form: tablets drop it from their lists, and what they still send waits until it is opened."""
    from server.store.form_states import FormState

    _set_state(form, FormState.CLOSING if closing else FormState.CLOSED, data, project, as_json=as_json)


@app.command("open")
def open_(form: Form, data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """Open a form that was closed, and take up what waited."""
    from server.store.form_states import FormState

    _set_state(form, FormState.OPEN, data, project, as_json=as_json)


@app.command("list")
def list_forms(data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """List the forms of the project in their newest versions, whether they are open, and their drafts."""
    from server.store import drafts, form_states, forms
    from server.store.engine import reading

    with opened(data) as node, reading(node.engine) as connection:
        found = {one.form_id: one for one in forms.list_current(connection, project)}
        drafted = {one.form_id: one for one in drafts.list_drafts(connection, project)}
        states = form_states.list_states(connection, project)
    rows = [
        {
            "form_id": form_id,
            "version": found[form_id].version if form_id in found else None,
            "name": (found.get(form_id) or drafted[form_id]).name,
            "state": states.get(form_id, form_states.FormState.OPEN) if form_id in found else None,
            "draft": drafted[form_id].version if form_id in drafted else None,
        }
        for form_id in sorted(found.keys() | drafted.keys())
    ]
    tell({"forms": rows}, "\n".join(map(_row, rows)) or "No form is published yet.", as_json=as_json)


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise typer.BadParameter(f"There is no file {name}.")
    return path


def _set_state(form: str, state: FormState, data: Path | None, project: int, *, as_json: bool) -> None:
    from server.problems import Problem
    from server.publishing import set_state
    from server.store import forms
    from server.store.engine import reading

    with opened(data) as node:
        with reading(node.engine) as connection:
            if not forms.is_published(connection, project, form):
                raise Problem(404.1, f"There is no form {form} in project {project}.")
        released = set_state(node, project, form, state)
    taken = f"\n  taken up from quarantine: {released}" if released else ""
    result = {"form_id": form, "state": state, "released": released}
    tell(result, f"{form}: {state}{taken}", as_json=as_json)


def _row(row: dict[str, Any]) -> str:
    published = f"{row['version']}  {row['name']}" if row["state"] else row["name"]
    state = "" if row["state"] in {None, "open"} else f"  ({row['state']})"
    draft = "" if row["draft"] is None else f"  draft: {row['draft']}"
    return f"{row['form_id']}  {published}{state}{draft}"


def _as_json(one: Publication) -> dict[str, Any]:
    from server.api.form_json import fault_json
    from server.evolution import change_json

    return {
        "form_id": one.form_id,
        "version": one.version,
        "is_new": one.is_new,
        "warnings": [fault_json(warning) for warning in one.warnings],
        "missing": list(one.missing),
        "released": one.released,
        "changes": [change_json(change) for change in one.changes],
    }


def _lines(one: Publication) -> list[str]:
    lines = [
        f"{one.form_id} version {one.version}: {'published' if one.is_new else 'already published'}",
        *(f"  warning: {warning}" for warning in one.warnings),
        *(f"  missing: {name} (tablets get the form without it)" for name in one.missing),
    ]
    return [*lines, f"  taken up from quarantine: {one.released}"] if one.released else lines

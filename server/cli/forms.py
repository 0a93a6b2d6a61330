"""`chapar forms`: publishing sheets and listing what is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.common import Data, Json, Project, opened, tell
from server.cli.forms_check import check
from server.cli.forms_diff import Accept, Rename, diff, read_consent, refusals_shown
from server.cli.forms_try import try_form

app = typer.Typer(help="Publish forms and list them.", no_args_is_help=True)
app.command("check")(check)
app.command("diff")(diff)
app.command("try")(try_form)


@app.command("publish")
def publish(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="Sheets (xlsx, xls, csv, md) or XForms (xml)."),
    ],
    accept: Accept = None,
    rename: Rename = None,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Publish each FILE with the lists and images it reads, taken from beside it or from its `media` folder."""
    from server.api.forms import fault_json
    from server.evolution import change_json
    from server.publishing import publish_file

    consent = read_consent(files, accept, rename)
    with opened(data) as node, refusals_shown(as_json=as_json):
        done = [publish_file(node, project, path, consent) for path in files]
    lines = []
    for one in done:
        state = "published" if one.is_new else "already published"
        lines.append(f"{one.form_id} version {one.version}: {state}")
        lines += [f"  warning: {warning}" for warning in one.warnings]
        lines += [f"  missing: {name} (tablets get the form without it)" for name in one.missing]
        if one.released:
            lines.append(f"  taken up from quarantine: {one.released}")
    result = [
        {
            "form_id": one.form_id,
            "version": one.version,
            "is_new": one.is_new,
            "warnings": [fault_json(warning) for warning in one.warnings],
            "missing": list(one.missing),
            "released": one.released,
            "changes": [change_json(change) for change in one.changes],
        }
        for one in done
    ]
    tell({"forms": result}, "\n".join(lines), as_json=as_json)


@app.command("list")
def list_forms(data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """List the forms of the project in their newest versions."""
    from server.store import forms
    from server.store.engine import reading

    with opened(data) as node, reading(node.engine) as connection:
        found = forms.list_current(connection, project)
    rows = [{"form_id": one.form_id, "version": one.version, "name": one.name} for one in found]
    text = "\n".join(f"{row['form_id']}  {row['version']}  {row['name']}" for row in rows)
    tell({"forms": rows}, text or "No form is published yet.", as_json=as_json)

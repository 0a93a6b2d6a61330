"""`chapar forms draft`: a form to test on tablets before it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.common import Data, Json, Png, Project, Url, base_url, opened, settings, show_code, tell
from server.cli.forms_diff import table


def draft(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A sheet (xlsx, xls, csv, md) or an XForm (xml)."),
    ],
    url: Url = "",
    png: Png = None,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Make FILE the draft of its form, in place of the one before, and show how to test it with ODK Collect.

    Tells what it would change in the published version. What is sent to test it is never mixed with real records, and
    goes when the draft is replaced, published or discarded.
    """
    from server import drafts, enrolment, publishing
    from server.api.form_json import fault_json
    from server.beside import find_media
    from server.exports.names import safe_name

    with opened(data, begins=True) as node:
        edition = publishing.read_edition(node, file.read_bytes(), file.name)
        media = publishing.keep_read(node, edition.form, find_media(file))
        made = drafts.make(node, project, edition, media)
        comparison = drafts.compare_published(node, project, edition.form)
    server_url = enrolment.test_url(url or base_url(data), made.draft)
    path = png or settings(data).data / "enrolment" / f"draft-{safe_name(made.draft.form_id)}.png"
    content = enrolment.collect_settings(server_url, "", enrolment.test_project(made.draft))
    show_code(content, path, as_json=as_json)
    changes = comparison.as_json() if comparison else None
    result = {
        "form_id": made.draft.form_id,
        "version": made.draft.version,
        "warnings": [fault_json(warning) for warning in edition.form.warnings],
        "missing": list(made.missing),
        "comparison": changes,
        "server_url": server_url,
        "png": str(path),
    }
    lines = [
        f"{made.draft.form_id} version {made.draft.version}: a draft, for tests only",
        *(f"  warning: {warning}" for warning in edition.form.warnings),
        *(f"  missing: {name} (tablets get the form without it)" for name in made.missing),
        f"Changes in the published version “{changes['old']}”:\n{table(changes)}"
        if changes
        else "A new form.",
        f"To test it in ODK Collect: Add project, Scan QR code (above, or {path}).",
        f"Or by hand: {server_url}",
        f"Then: chapar forms publish --draft {made.draft.form_id}",
    ]
    tell(result, "\n".join(lines), as_json=as_json)


def discard(
    form: Annotated[str, typer.Argument(help="The form's ID.")],
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Discard the draft of a form, and what was sent to test it."""
    from server import drafts

    with opened(data) as node:
        drafts.drop(node, project, form)
    tell({"form_id": form, "discarded": True}, f"{form}: draft discarded", as_json=as_json)

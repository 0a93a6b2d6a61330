"""`chapar forms diff`, and how a new version's changes are shown, accepted and told as renames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from forms.compile import CompiledForm
    from server.evolution import Consent

Accept = Annotated[
    list[str] | None, typer.Option("--accept", help="A breaking change, as RULE:PATH. Repeatable.")
]
Rename = Annotated[
    list[str] | None, typer.Option("--rename", help="A question's old and new name, as OLD=NEW. Repeatable.")
]
Side = Annotated[str, typer.Argument(help="A sheet, an XForm, or FORM@VERSION of the store.")]


def diff(
    old: Side,
    new: Side,
    rename: Rename = None,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Tell what changed from OLD to NEW, and how many stored records and devices each change concerns."""
    from server.evolution import compare_versions
    from server.store.engine import reading

    with opened(data) as node:
        node.catch_up()
        with reading(node.engine) as connection:
            before, after = _read(connection, project, old), _read(connection, project, new)
            found = compare_versions(connection, node, project, before.schema, after, rename or ())
    result = found.as_json()
    tell(result, table(result), as_json=as_json)


def read_consent(files: Sequence[str], accept: list[str] | None, rename: list[str] | None) -> Consent:
    """Return what the options say. Raises a usage error when they could belong to several files."""
    from server.evolution import Consent

    if len(files) > 1 and (accept or rename):
        raise typer.BadParameter("--accept and --rename go with one FILE.")
    return Consent(frozenset(accept or ()), tuple(rename or ()))


@contextmanager
def refusals_shown(*, as_json: bool) -> Iterator[None]:
    """Print all changes of a version that is refused, before the sentence that says why."""
    from server.problems import Problem

    try:
        yield
    except Problem as problem:
        if "changes" in problem.extra:
            tell(problem.extra, table(problem.extra), as_json=as_json)
        raise


def table(comparison: Mapping[str, Any]) -> str:
    """Return the changes for people: the breaking ones first."""
    lines = []
    for effect in ("breaking", "lossy", "safe"):
        for change in comparison["changes"]:
            if change["effect"] == effect:
                records = "" if change["records"] is None else f"  [{change['records']} records]"
                lines.append(f"{effect:<9} {change['accept']}{records}")
                lines.append(f"          {change['message']} {change['fix']}")
    if comparison["devices"] is not None:
        lines.append(
            f"{comparison['devices']} devices last sent version “{comparison['old']}” or an older one."
        )
    return "\n".join(lines) or "Nothing changed."


def _read(connection: Connection, project: int, text: str) -> CompiledForm:
    from server.evolution import read_stored
    from server.publishing import read_form

    path = Path(text)
    if path.is_file():
        return read_form(path.read_bytes(), path.name)
    form_id, _, version = text.rpartition("@")
    return read_stored(connection, project, form_id, version)

"""`chapar erase`: one record for good."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.common import Data, Json, Project, opened, tell
from sync.erasure import Reason


def erase(
    form: Annotated[str, typer.Argument(help="The form's ID.")],
    instance_id: Annotated[str, typer.Argument(help="An instanceID of the record, as uuid:….")],
    reason: Annotated[Reason, typer.Option(help="Why.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Erase a record for good: answers, edits, files, comments, at every server that learns of it."""
    from server import erasing
    from server.permissions import OPERATOR
    from server.problems import Problem
    from server.store import submissions
    from server.store.engine import reading

    with opened(data) as node:
        node.catch_up()
        with reading(node.engine) as connection:
            found = submissions.find_submission(connection, project, form, instance_id)
        if found is None:
            raise Problem(404.1, "There is no such record of this form.")
        if not yes:
            typer.confirm(f"Erase {found.instance_id} for good? Nothing brings it back.", abort=True)
        finished = erasing.erase(node, OPERATOR, found, reason)
    later = "" if finished else " Somebody reads an older state; the server drops the last bytes after that."
    result = {"form_id": form, "instance_id": found.instance_id, "finished": finished}
    tell(result, f"{found.instance_id}: erased.{later}", as_json=as_json)

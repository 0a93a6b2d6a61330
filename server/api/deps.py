"""What every endpoint asks for: the node and who is calling."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator, Field

from server.node import Node
from server.openrosa.parts import ZERO_WIDTH_NON_JOINER
from server.permissions import Action, Actor, require
from server.problems import Problem
from server.store import forms, submissions
from server.store.engine import reading
from server.store.forms import PublishedForm
from server.store.submissions import StoredSubmission


def _one_line(text: str) -> str:
    if not text.replace(ZERO_WIDTH_NON_JOINER, "").isprintable():
        raise ValueError("It holds characters that cannot be shown.")
    return text


def get_node(request: Request) -> Node:
    """Return the node that serves this request."""
    node: Node = request.app.state.node
    return node


NodeDep = Annotated[Node, Depends(get_node)]


def get_actor(request: Request, node: NodeDep) -> Actor:
    """Return who is calling. Raises Problem 401.2."""
    header = request.headers.get("authorization", "")
    try:
        return node.authenticator.by_authorization(header)
    except Problem as problem:
        challenge = (("WWW-Authenticate", 'Basic realm="Chapar"'),)
        raise Problem(problem.code, problem.detail, headers=challenge) from None


Line = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
"""A name in one line: no control characters, none that turn the direction of what follows."""

ActorDep = Annotated[Actor, Depends(get_actor)]


def admit(node: Node, actor: Actor, action: Action, project_id: int) -> None:
    """Raise Problem 403.1 unless the actor may, 404.1 when there is no such project."""
    require(actor, action, project_id)
    with reading(node.engine) as connection:
        if not forms.project_exists(connection, project_id):
            raise Problem(404.1, f"There is no project {project_id} here.")


def get_form(node: Node, project_id: int, form_id: str) -> PublishedForm:
    """Return the form in its newest version. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        found = forms.find_current(connection, project_id, form_id)
    if found is None:
        raise Problem(404.1, "There is no such form in this project.")
    return found


def admit_submission(
    node: Node,
    actor: Actor,
    project_id: int,
    form_id: str,
    instance_id: str,
    action: Action = Action.READ_SUBMISSIONS,
    *,
    deleted: bool = False,
) -> StoredSubmission:
    """Return the submission that has this instanceID, the first or a later one.

    deleted: also one that is. Raises Problem 404.1, 403.1.
    """
    admit(node, actor, action, project_id)
    with reading(node.engine) as connection:
        found = submissions.find_submission(connection, project_id, form_id, instance_id)
    if found is None or (found.is_deleted and not deleted):
        raise Problem(404.1, "There is no such submission of this form.")
    return found

"""Deleting submissions, bringing them back, and erasing them for good."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from server import erasing
from server.api.deps import ActorDep, NodeDep, admit_submission
from server.api.submission_json import describe
from server.deciding import decide
from server.permissions import Action
from server.problems import Problem
from sync.erasure import Reason
from sync.revision import RevisionKind

router = APIRouter(
    prefix="/projects/{project_id}/forms/{form_id}/submissions/{instance_id}", tags=["submissions"]
)


class Erasure(BaseModel):
    """What to erase and why. confirm: the instanceID once more, so that nobody erases by a slip."""

    reason: Reason
    confirm: str


@router.delete("")
def delete_submission(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> dict[str, bool]:
    """Take a submission out of lists, counts and exports; a change made apart brings it back as a conflict."""
    found = admit_submission(
        node, actor, project_id, form_id, instance_id, Action.DELETE_SUBMISSIONS, deleted=True
    )
    if not found.is_deleted:
        decide(node, actor, found, RevisionKind.TOMBSTONE)
    return {"success": True}


@router.post("/restore")
def restore_submission(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> dict[str, Any]:
    """Bring a deleted submission back."""
    found = admit_submission(
        node, actor, project_id, form_id, instance_id, Action.DELETE_SUBMISSIONS, deleted=True
    )
    if found.is_deleted:
        decide(node, actor, found, RevisionKind.RESTORE)
    return describe(admit_submission(node, actor, project_id, form_id, instance_id))


@router.post("/erase")
def erase_submission(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str, wanted: Erasure
) -> dict[str, bool]:
    """Erase a submission for good, here and wherever the journal goes; nothing brings it back.

    finished: false while a long reader still holds old pages; the server goes on by itself.
    """
    found = admit_submission(node, actor, project_id, form_id, instance_id, Action.ERASE, deleted=True)
    if wanted.confirm != instance_id:
        raise Problem(400.1, "To erase for good, give the instanceID once more as “confirm”.")
    return {"success": True, "finished": erasing.erase(node, actor, found, wanted.reason)}

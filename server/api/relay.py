"""REST: how the relay stands. Posts and their centre speak at the same address, through `server.relay.door`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.api.deps import ActorDep, NodeDep, admit_submission
from server.permissions import Action, require
from server.relay import places
from server.relay.status import describe
from server.store.engine import reading

router = APIRouter(tags=["relay"])


@router.get("/relay")
def relay_status(node: NodeDep, actor: ActorDep) -> dict[str, Any]:
    """Say of each node that this one relays with when it was met, what waits, and what is wrong."""
    require(actor, Action.MANAGE_POSTS)
    with reading(node.engine) as connection:
        return describe(connection)


@router.get("/projects/{project_id}/forms/{form_id}/submissions/{instance_id}/places")
def list_places(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> list[dict[str, Any]]:
    """Say who received the record from a tablet, when, and since when it is at the centre."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    with reading(node.engine) as connection:
        return places.describe(connection, (project_id, form_id), found.instance_id)

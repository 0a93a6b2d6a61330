"""REST: what changed between two published versions of a form, and how many stored records each change concerns."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.evolution import compare_versions, read_stored
from server.permissions import Action
from server.store.engine import reading

BLANK = "___"
"""Central's word in addresses for the version that is the empty text."""

router = APIRouter(prefix="/projects", tags=["forms"])


@router.get("/{project_id}/forms/{form_id}/versions/{old}/diff/{new}")
def diff_versions(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, old: str, new: str
) -> dict[str, Any]:
    """Compare two published versions."""
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    names = ["" if name == BLANK else name for name in (old, new)]
    with reading(node.engine) as connection:
        before, after = (read_stored(connection, project_id, form_id, name) for name in names)
        return compare_versions(connection, node, project_id, before.schema, after).as_json()

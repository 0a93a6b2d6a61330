"""App users: the tablets' accounts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from server import enrolment
from server.api.deps import ActorDep, Line, NodeDep, admit
from server.openrosa.urls import absolute_url
from server.permissions import Action
from server.problems import Problem
from server.store import accounts
from server.store.engine import reading
from server.store.forms import iso

router = APIRouter(prefix="/projects/{project_id}/app-users", tags=["app users"])


class NewAppUser(BaseModel):
    """A tablet to be enrolled."""

    displayName: Line = Field(max_length=64)  # noqa: N815  (Central's name)
    post: Line = Field("", max_length=64)


@router.get("")
def list_app_users(node: NodeDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List the app users; their tokens are not kept, so they cannot be shown again."""
    admit(node, actor, Action.MANAGE_APP_USERS, project_id)
    with reading(node.engine) as connection:
        found = accounts.list_app_users(connection, project_id)
    return [
        {
            "id": one.id,
            "projectId": project_id,
            "displayName": one.name,
            "createdAt": iso(one.created_stamp),
            "token": None,
            "revoked": one.revoked,
        }
        for one in found
    ]


@router.post("")
def create_app_user(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, new: NewAppUser
) -> dict[str, Any]:
    """Enrol a tablet; the answer is the only place where its secrets stand."""
    admit(node, actor, Action.MANAGE_APP_USERS, project_id)
    made = enrolment.create_app_user(node, project_id, new.displayName, new.post)
    base_url = absolute_url(request.scope, node.settings.public_url, "")
    url = enrolment.server_url(base_url, project_id, made.token)
    return {
        "id": made.id,
        "projectId": project_id,
        "displayName": made.name,
        "token": made.token,
        "serverUrl": url,
        "username": made.username,
        "password": made.password,
        "collectSettings": enrolment.collect_settings(url, made.name).decode(),
    }


@router.delete("/{app_user_id}")
def revoke_app_user(node: NodeDep, actor: ActorDep, project_id: int, app_user_id: int) -> dict[str, bool]:
    """Withdraw a tablet's access."""
    admit(node, actor, Action.MANAGE_APP_USERS, project_id)
    with reading(node.engine) as connection:
        known = {one.id for one in accounts.list_app_users(connection, project_id)}
    if app_user_id not in known:
        raise Problem(404.1, "There is no such app user in this project.")
    enrolment.revoke_app_user(node, project_id, app_user_id)
    return {"success": True}

"""Signing in and out, and the users of this node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError

from server.api.deps import ActorDep, Line, NodeDep
from server.auth import hash_password, sha256_hex
from server.permissions import Action, Role, require
from server.problems import Problem
from server.store import accounts
from server.store.engine import reading, writing

router = APIRouter(tags=["accounts"])


class Credentials(BaseModel):
    """Name and password of a user."""

    email: str
    password: str


class NewPassword(BaseModel):
    """A change of one's own password."""

    old: str
    new: str


class NewUser(BaseModel):
    """A user to be added."""

    email: Line
    password: str
    role: Role


@router.post("/sessions")
def sign_in(node: NodeDep, credentials: Credentials) -> dict[str, Any]:
    """Open a session of a day; its token goes into `Authorization: Bearer …`."""
    user = node.authenticator.check_password(credentials.email, credentials.password)
    session = node.authenticator.open_session(user)
    return {
        "token": session.token,
        "createdAt": _iso(session.created_s),
        "expiresAt": _iso(session.expires_s),
        "passwordChangeRequired": user.one_time,
    }


@router.delete("/sessions/current")
def sign_out(node: NodeDep, request: Request, actor: ActorDep) -> dict[str, bool]:  # noqa: ARG001
    """End the session of this request."""
    token = request.headers["authorization"].partition(" ")[2].strip()
    with writing(node.engine) as connection:
        accounts.end_session(connection, sha256_hex(token))
    node.authenticator.forget()
    return {"success": True}


@router.get("/users/current")
def current_user(actor: ActorDep) -> dict[str, Any]:
    """Tell who is signed in."""
    return {"id": actor.id, "email": actor.name, "role": actor.role}


@router.put("/users/current/password")
def change_password(node: NodeDep, actor: ActorDep, change: NewPassword) -> dict[str, bool]:
    """Replace one's own password; ends all of one's sessions."""
    node.authenticator.check_password(actor.name, change.old)
    hashed = hash_password(change.new)
    with writing(node.engine) as connection:
        accounts.set_password(connection, actor.id, hashed)
    node.authenticator.forget()
    return {"success": True}


@router.get("/users")
def list_users(node: NodeDep, actor: ActorDep) -> list[dict[str, Any]]:
    """List the users of this node."""
    require(actor, Action.MANAGE_USERS)
    with reading(node.engine) as connection:
        return [
            {"id": user.id, "email": user.email, "role": user.role}
            for user in accounts.list_users(connection)
        ]


@router.post("/users")
def add_user(node: NodeDep, actor: ActorDep, user: NewUser) -> dict[str, Any]:
    """Add a user."""
    require(actor, Action.MANAGE_USERS)
    hashed = hash_password(user.password)
    try:
        with writing(node.engine) as connection:
            user_id = accounts.add_user(connection, user.email, hashed, user.role, one_time=False)
    except IntegrityError:
        raise Problem(409.3, "There is a user with this address already.") from None
    return {"id": user_id, "email": user.email.casefold(), "role": user.role}


def _iso(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, tz=UTC).isoformat().replace("+00:00", "Z")

"""Who may do what: the one place that every read and write asks.

Rules by row and field will live here too; callers already say on what they act.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.problems import Problem


class Role(StrEnum):
    """What a user is."""

    ADMINISTRATOR = "administrator"
    COORDINATOR = "coordinator"


class Action(StrEnum):
    """What can be asked for."""

    READ_FORMS = "read forms"
    SUBMIT = "submit"
    PUBLISH_FORMS = "publish forms"
    READ_SUBMISSIONS = "read submissions"
    EXPORT = "export submissions"
    EXPORT_PERSONAL = "export personal data"
    READ_QUARANTINE = "read the quarantine"
    MANAGE_APP_USERS = "manage app users"
    MANAGE_USERS = "manage users"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a user with a role, or an app user of one project.

    id: of the user or app user. name: what people call it. project_id: of an app user, None for a user.
    """

    id: int
    name: str
    role: Role | None
    project_id: int | None = None
    one_time: bool = False


TABLETS = frozenset({Action.READ_FORMS, Action.SUBMIT})
COORDINATORS = TABLETS | {Action.READ_SUBMISSIONS, Action.EXPORT, Action.READ_QUARANTINE}


def may(actor: Actor, action: Action, project_id: int | None = None) -> bool:
    """Return whether the actor may do this (in this project)."""
    if actor.one_time:
        return False
    if actor.project_id is not None:
        return action in TABLETS and actor.project_id == project_id
    return actor.role is Role.ADMINISTRATOR or (actor.role is Role.COORDINATOR and action in COORDINATORS)


def require(actor: Actor, action: Action, project_id: int | None = None) -> None:
    """Raise the 403 problem unless the actor may do this."""
    if actor.one_time:
        raise Problem(403.2, "Change the one-time password first (PUT /v1/users/current/password).")
    if not may(actor, action, project_id):
        raise Problem(403.1, f"This account may not {action}.")

"""Who may do what: the one place that every read and write asks.

Rules by row and field will live here too; callers already say on what they act.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from forms.schema import Flag
from server.problems import Problem

PROTECTED = frozenset({Flag.PERSONAL, Flag.SENSITIVE, Flag.GBV})
"""Answers to such questions are for those who may export personal data."""


class Role(StrEnum):
    """What a user is."""

    ADMINISTRATOR = "administrator"
    COORDINATOR = "coordinator"


class Action(StrEnum):
    """What can be asked for."""

    READ_FORMS = "read forms"
    SUBMIT = "submit"
    TEST_DRAFT = "test a draft"
    PUBLISH_FORMS = "publish forms"
    READ_SUBMISSIONS = "read submissions"
    EXPORT = "export submissions"
    EXPORT_PERSONAL = "export personal data"
    READ_CONFLICTS = "read conflicts"
    RESOLVE_CONFLICTS = "resolve conflicts"
    EDIT_SUBMISSIONS = "edit submissions"
    READ_ENTITIES = "read entities"
    WRITE_ENTITIES = "change entities"
    REVIEW = "review submissions"
    CLEAN = "clean answers"
    CLOSE_DAYS = "close and open days"
    DELETE_SUBMISSIONS = "delete submissions"
    ERASE = "erase submissions"
    READ_QUARANTINE = "read the quarantine"
    MANAGE_APP_USERS = "manage app users"
    MANAGE_POSTS = "manage posts"
    MANAGE_USERS = "manage users"
    READ_METRICS = "read the metrics"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a user with a role, an app user of one project, or whoever has the token of one draft.

    id: of the user or app user. name: what people call it. project_id: None for a user. draft_of: the form whose
    draft the token opens.
    """

    id: int
    name: str
    role: Role | None
    project_id: int | None = None
    one_time: bool = False
    draft_of: str | None = None


TABLETS = frozenset({Action.READ_FORMS, Action.SUBMIT})
COORDINATORS = TABLETS | {
    Action.READ_SUBMISSIONS,
    Action.EXPORT,
    Action.READ_CONFLICTS,
    Action.RESOLVE_CONFLICTS,
    Action.EDIT_SUBMISSIONS,
    Action.REVIEW,
    Action.CLEAN,
    Action.DELETE_SUBMISSIONS,
    Action.READ_QUARANTINE,
    Action.READ_ENTITIES,
    Action.WRITE_ENTITIES,
}


OPERATOR = Actor(0, "operator", Role.ADMINISTRATOR)
"""Who works at the server's own command line."""


def may(actor: Actor, action: Action, project_id: int | None = None, form_id: str | None = None) -> bool:
    """Return whether the actor may do this (in this project, with this form)."""
    if actor.one_time:
        return False
    if actor.draft_of is not None:
        opened = (actor.project_id, actor.draft_of)
        return action is Action.TEST_DRAFT and opened == (project_id, form_id)
    if actor.project_id is not None:
        return action in TABLETS and actor.project_id == project_id
    return actor.role is Role.ADMINISTRATOR or (actor.role is Role.COORDINATOR and action in COORDINATORS)


def require(actor: Actor, action: Action, project_id: int | None = None, form_id: str | None = None) -> None:
    """Raise the 403 problem unless the actor may do this."""
    if actor.one_time:
        raise Problem(403.2, "Change the one-time password first (PUT /v1/users/current/password).")
    if not may(actor, action, project_id, form_id):
        raise Problem(403.1, f"This account may not {action}.")

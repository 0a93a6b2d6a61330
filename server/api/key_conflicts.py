"""Records that share a duplicate key: listing them, and deciding what they are. In the style of Central's API.

Answers flagged personal, sensitive or restricted are null for who may not export them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator

from server import key_conflicts
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.api.key_conflict_json import describe, describe_whole
from server.permissions import Action, may
from server.store import key_conflicts as stored
from server.store.engine import reading

PAGE = 100
PAGE_MAX = 1000

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/key-conflicts", tags=["conflicts"])

After = Annotated[str, Query(pattern=r"^(\d{1,18}\.(soft:)?[0-9a-f]{64})?$")]


class Correction(BaseModel):
    """Which record, and its answers by path."""

    instanceId: str  # noqa: N815  (Central's name)
    answers: dict[str, str] = Field(min_length=1)


class KeyDecision(BaseModel):
    """A decision: exactly one of keep, distinct and correct. seen: the conflict's `seen` that it was made upon.

    keep: the instanceID of the one record that stays. distinct: they are different records.
    """

    seen: str
    keep: str | None = None
    distinct: Literal[True] | None = None
    correct: Correction | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _is_one(self) -> KeyDecision:
        if sum(one is not None for one in (self.keep, self.distinct, self.correct)) != 1:
            raise ValueError("Give exactly one of keep, distinct, correct.")
        return self


class Undoing(BaseModel):
    """decision: the name that a decision was given."""

    decision: str


@router.get("")
def list_key_conflicts(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    state: Literal["open", "decided"] = "open",
    after: After = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
) -> list[dict[str, Any]]:
    """List one page, what waits longest first. after: the `position` of the last one seen."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    get_form(node, project_id, form_id)
    stamp, _, key = after.partition(".")
    with reading(node.engine) as connection:
        page = stored.list_key_conflicts(
            connection, project_id, form_id, state, (int(stamp or 0), key), limit
        )
    return [describe(one) for one in page]


@router.get("/{key}")
def get_key_conflict(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, key: str
) -> dict[str, Any]:
    """Tell about the records with one key, and what was decided."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    personal = may(actor, Action.EXPORT_PERSONAL, project_id)
    return describe_whole(node, key_conflicts.get(node, project_id, form_id, key), personal=personal)


@router.post("/{key}/decide")
def decide_key_conflict(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, key: str, wanted: KeyDecision
) -> dict[str, str]:
    """Keep one record, say that they are different, or correct the key of one. Gives the decision's name."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    one = key_conflicts.get(node, project_id, form_id, key)
    if wanted.keep is not None:
        made = key_conflicts.keep(node, actor, one, wanted.keep, wanted.seen, wanted.reason)
    elif wanted.correct is not None:
        about, answers = wanted.correct.instanceId, wanted.correct.answers
        made = key_conflicts.correct(node, actor, one, about, answers, wanted.seen, wanted.reason)
    else:
        made = key_conflicts.tell_apart(node, actor, one, wanted.seen)
    return {"decision": made}


@router.post("/{key}/undo")
def undo_key_decision(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, key: str, wanted: Undoing
) -> dict[str, bool]:
    """Take back a decision, also when its records share no key any more."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    key_conflicts.undo(node, actor, project_id, form_id, key, wanted.decision)
    return {"success": True}

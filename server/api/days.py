"""The days of a form: when they are closed, opening one again, and what came after one was closed."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from server import days
from server.api.cleaning import PAGE, PAGE_MAX, Reason
from server.api.days_json import describe_days
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.permissions import Action

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/cleaning/days", tags=["cleaning"])


class Rule(BaseModel):
    """closesAt: `21:00`, "" to close no more. offset: what the clock there is ahead of UTC. question: tells the day."""

    model_config = ConfigDict(extra="forbid")
    closesAt: str  # noqa: N815
    offset: str = "+00:00"
    question: str = Field("", max_length=1000)


class Turn(BaseModel):
    """open: whether the day takes corrections that are not late. reason: why."""

    model_config = ConfigDict(extra="forbid")
    open: bool
    reason: Reason = ""


@router.get("")
def list_days(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    day: date | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
) -> dict[str, Any]:
    """List the days of a form's records, and what came of each after it was closed. Reads all records."""
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    return describe_days(node, (project_id, form_id), day=day, limit=limit)


@router.put("")
def give_rule(node: NodeDep, actor: ActorDep, project_id: int, form_id: str, rule: Rule) -> dict[str, bool]:
    """Close the days to come at a time of the clock there."""
    admit(node, actor, Action.CLOSE_DAYS, project_id)
    get_form(node, project_id, form_id)
    days.give_rule(node, actor, (project_id, form_id), rule.closesAt, rule.offset, rule.question)
    return {"success": True}


@router.put("/{day}")
def turn_day(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, day: date, turn: Turn
) -> dict[str, bool]:
    """Open a closed day again, or close it again."""
    admit(node, actor, Action.CLOSE_DAYS, project_id)
    get_form(node, project_id, form_id)
    days.turn(node, actor, (project_id, form_id), day, is_open=turn.open, reason=turn.reason)
    return {"success": True}

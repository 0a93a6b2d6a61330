"""The planned slots of a form, and which of them nobody has counted."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from server import slots
from server.api.bodies import read_body
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.api.slots_json import describe_slots
from server.permissions import Action
from server.problems import Problem

PLAN_BYTES_MAX = 10_000_000

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/cleaning/slots", tags=["cleaning"])


@router.get("")
def list_slots(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, until: date | None = None
) -> dict[str, Any]:
    """List each planned day, place by place, with the slots that no record is of. Reads all records."""
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    found = describe_slots(node, (project_id, form_id), until=until)
    if found is None:
        raise Problem(404.1, "Nobody planned slots of this form.")
    return found


@router.put("")
async def keep_plan(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str
) -> dict[str, int]:
    """Plan the slots by the CSV or workbook in the body, in place of the plan before."""
    await run_in_threadpool(admit, node, actor, Action.CLEAN, project_id)
    await run_in_threadpool(get_form, node, project_id, form_id)
    data = await read_body(request, PLAN_BYTES_MAX)
    rows = await run_in_threadpool(slots.keep_plan, node, actor, (project_id, form_id), data, "")
    return {"rows": rows}

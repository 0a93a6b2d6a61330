"""What the checks of a form found, and what stands out among its records."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query

from server.api.cleaning import PAGE, PAGE_MAX, sees_all
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.api.findings_json import describe_findings
from server.api.quality_json import describe_quality
from server.permissions import Action
from server.problems import Problem

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/cleaning", tags=["cleaning"])


@router.get("/checks")
def list_findings(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    checkId: str = "",  # noqa: N803
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
) -> dict[str, Any]:
    """List the checks of the form's sheet and a page of what they found, what was received first first.

    after: the `position` of the last seen. To decide a finding, enter lines with its `checkId`.
    """
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    return describe_findings(
        node,
        (project_id, form_id),
        after=_place(after),
        limit=limit,
        check_id=checkId,
        personal=sees_all(actor, project_id),
    )


@router.get("/quality")
def list_standouts(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
    audits: bool = False,
) -> dict[str, Any]:
    """List what stands out among the records of the clean view, and the work of each account. Reads all records.

    audits: read their audit logs too.
    """
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    personal = sees_all(actor, project_id)
    return describe_quality(node, (project_id, form_id), limit=limit, personal=personal, audits=audits)


def _place(text: str) -> tuple[int, str, str, str] | None:
    if not text:
        return None
    try:
        stamp, *names = orjson.loads(text)
        instance_id, check_id, cell = map(str, names)
        return int(stamp), instance_id, check_id, cell
    except (ValueError, TypeError):
        raise Problem(400.1, "“after” is the `position` of a finding.") from None

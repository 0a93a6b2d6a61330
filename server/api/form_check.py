"""REST: checking a sheet before it is published. Nothing is stored."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from server.api.bodies import read_body
from server.api.deps import ActorDep, NodeDep, admit
from server.api.forms import KINDS, SHEET_BYTES_MAX
from server.compiling import check_apart
from server.openrosa.parts import clean_name
from server.permissions import Action
from server.problems import Problem

SHEETS = {content_type: kind for content_type, kind in KINDS.items() if kind != "xml"}

router = APIRouter(prefix="/projects", tags=["forms"])


@router.post("/{project_id}/forms/check")
async def check_form(request: Request, node: NodeDep, actor: ActorDep, project_id: int) -> dict[str, Any]:
    """Check the sheet in the body and answer what was found, as `chapar forms check --json` does.

    Its kind is told by Content-Type; `X-XlsForm-FormId-Fallback` names the file, as when it is published.
    """
    await run_in_threadpool(admit, node, actor, Action.PUBLISH_FORMS, project_id)
    kind = SHEETS.get(request.headers.get("content-type", "").partition(";")[0].strip().casefold())
    if kind is None:
        raise Problem(400.1, f"Send the sheet with one of these content types: {', '.join(SHEETS)}.")
    name = clean_name(unquote(request.headers.get("x-xlsform-formid-fallback", "form")))
    data = await read_body(request, SHEET_BYTES_MAX)
    found = await run_in_threadpool(check_apart, data, f"{name}.{kind}")
    return {"file": f"{name}.{kind}", "findings": [asdict(finding) for finding in found]}

"""Projects and forms: listing, publishing, versions, the files that forms read."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from forms.errors import FormError
from server import publishing
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.evolution import Consent, change_json
from server.node import Node
from server.openrosa.parts import clean_name
from server.permissions import Action
from server.problems import Problem
from server.store import forms, submissions
from server.store.engine import reading
from server.store.forms import PublishedForm, iso

SHEET_BYTES_MAX = 20_000_000
MEDIA_BYTES_MAX = 100_000_000
KINDS = {
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel": "xls",
    "text/csv": "csv",
    "text/markdown": "md",
    "application/xml": "xml",
    "text/xml": "xml",
}

router = APIRouter(prefix="/projects", tags=["forms"])


@router.get("")
def list_projects(node: NodeDep, actor: ActorDep) -> list[dict[str, Any]]:
    """List the projects."""
    with reading(node.engine) as connection:
        found = forms.list_projects(connection)
    for project_id, _ in found:
        admit(node, actor, Action.READ_FORMS, project_id)
    return [{"id": project_id, "name": name} for project_id, name in found]


@router.get("/{project_id}/forms")
def list_forms(node: NodeDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List the forms in their newest version."""
    admit(node, actor, Action.READ_FORMS, project_id)
    with reading(node.engine) as connection:
        found = forms.list_current(connection, project_id)
    return [_describe(node, one) for one in found]


@router.post("/{project_id}/forms")
async def publish_form(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    accept: Annotated[list[str], Query(default_factory=list)],
    rename: Annotated[list[str], Query(default_factory=list)],
) -> dict[str, Any]:
    """Publish a form from the sheet or XForm in the body; its kind is told by Content-Type.

    `X-XlsForm-FormId-Fallback` names the file, as with Central. A version that breaks what is collected is refused
    (409.31) unless each such change is accepted (`RULE:PATH`) or told as a rename (`OLD=NEW`).
    """
    await run_in_threadpool(admit, node, actor, Action.PUBLISH_FORMS, project_id)
    kind = KINDS.get(request.headers.get("content-type", "").partition(";")[0].strip().casefold())
    if kind is None:
        raise Problem(400.1, f"Send the sheet with one of these content types: {', '.join(KINDS)}.")
    name = clean_name(unquote(request.headers.get("x-xlsform-formid-fallback", "form")))
    data = await read_body(request, SHEET_BYTES_MAX)
    try:
        consent = Consent(frozenset(accept), tuple(rename))
        done = await run_in_threadpool(
            publishing.publish, node, project_id, data, f"{name}.{kind}", {}, consent
        )
    except FormError as error:
        faults = [fault_json(fault) for fault in error.faults]
        raise Problem(400.8, str(error), extra={"faults": faults}) from None
    published = await run_in_threadpool(get_form, node, project_id, done.form_id)
    warnings = [fault_json(fault) for fault in done.warnings]
    return await run_in_threadpool(_describe, node, published) | {
        "warnings": warnings,
        "missing": done.missing,
        "changes": [change_json(change) for change in done.changes],
    }


@router.get("/{project_id}/forms/{form_id}")
def get_one_form(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> dict[str, Any]:
    """Tell about a form: its newest version and how many submissions it has."""
    admit(node, actor, Action.READ_FORMS, project_id)
    return _describe(node, get_form(node, project_id, form_id))


@router.get("/{project_id}/forms/{form_id}/versions")
def list_versions(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the published versions, newest first."""
    admit(node, actor, Action.READ_FORMS, project_id)
    get_form(node, project_id, form_id)
    with reading(node.engine) as connection:
        found = forms.list_versions(connection, project_id, form_id)
    return [_describe_version(one) for one in found]


@router.get("/{project_id}/forms/{form_id}/attachments")
def list_media(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the files that the form's newest version reads, given or not."""
    admit(node, actor, Action.READ_FORMS, project_id)
    published = get_form(node, project_id, form_id)
    with reading(node.engine) as connection:
        schema = forms.read_schema(connection, published)
        given = {file.name: file for file in forms.list_media(connection, project_id, form_id)}
    return [
        {"name": name, "exists": name in given, "hash": given[name].md5 if name in given else None}
        for name in schema.media
    ]


@router.post("/{project_id}/forms/{form_id}/attachments/{name}")
async def set_media(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: str
) -> dict[str, bool]:
    """Give the form one of the files it reads; tablets fetch it at their next check, without a new version."""
    await run_in_threadpool(admit, node, actor, Action.PUBLISH_FORMS, project_id)
    published = await run_in_threadpool(get_form, node, project_id, form_id)
    content = await read_body(request, MEDIA_BYTES_MAX)
    await run_in_threadpool(_set_media, node, published, name, content)
    return {"success": True}


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return the body. Raises Problem 413.1 before it grows too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise Problem(413.1, f"At most {bytes_max} bytes are taken here.")
    return bytes(body)


def _set_media(node: Node, published: PublishedForm, name: str, content: bytes) -> None:
    with reading(node.engine) as connection:
        schema = forms.read_schema(connection, published)
    if name not in schema.media:
        raise Problem(404.1, "The form reads no file of this name.")
    publishing.set_media(node, published.project_id, published.form_id, name, content)


def fault_json(fault: Any) -> dict[str, Any]:
    """A fault of a sheet, for machines."""
    return {name: getattr(fault, name) for name in ("sheet", "row", "column", "message", "fix")}


def _describe(node: Node, one: PublishedForm) -> dict[str, Any]:
    with reading(node.engine) as connection:
        tally = submissions.tally(connection, one.project_id, one.form_id)
    return _describe_version(one) | {
        "submissions": tally.submissions,
        "revisions": tally.revisions,
        "edits": tally.edits,
        "openConflicts": tally.open_conflicts,
    }


def _describe_version(one: PublishedForm) -> dict[str, Any]:
    return {
        "projectId": one.project_id,
        "xmlFormId": one.form_id,
        "name": one.name,
        "version": one.version,
        "hash": one.md5,
        "sha256": one.sha256,
        "state": "open",
        "publishedAt": iso(one.stamp),
    }

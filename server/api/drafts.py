"""REST: the draft of a form, its files, publishing it. In the shape of ODK Central's `…/forms/ID/draft`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from server import drafts, enrolment, publishing
from server.api.bodies import read_body
from server.api.deps import ActorDep, NodeDep, admit
from server.api.form_json import draft_json, fault_json, file_json, media_json
from server.api.forms import MEDIA_BYTES_MAX, Accept, IgnoreWarnings, read_sheet
from server.evolution import Consent, change_json
from server.node import Node
from server.openrosa.downloads import give_file
from server.openrosa.urls import absolute_url
from server.permissions import Action, Actor
from server.problems import Problem
from server.publishing import Edition
from server.store import drafts as stored
from server.store import form_states, forms
from server.store.drafts import FormDraft
from server.store.engine import reading

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}", tags=["drafts"])


@router.post("/draft")
async def make_draft(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    ignore_warnings: IgnoreWarnings = False,
) -> dict[str, Any]:
    """Make or replace the draft from the sheet or XForm in the body, or without a body from the published version.

    Tests of the draft before go; its address for tests stays.
    """
    await run_in_threadpool(admit, node, actor, Action.PUBLISH_FORMS, project_id)
    await run_in_threadpool(_require_known, node, project_id, form_id)
    if _has_body(request):
        edition = await read_sheet(request, node, ignore_warnings=ignore_warnings)
    else:
        edition = await run_in_threadpool(drafts.copy_published, node, project_id, form_id)
    if edition.form.schema.form_id != form_id:
        raise Problem(400.8, f"The sheet makes the form {edition.form.schema.form_id}, another than this.")
    return await run_in_threadpool(_make, node, project_id, edition)


@router.get("/draft")
def get_draft(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str
) -> dict[str, Any]:
    """Tell about the draft and how to test it with Collect."""
    draft = find(node, actor, project_id, form_id)
    base_url = absolute_url(request.scope, node.settings.public_url, "")
    url = enrolment.test_url(base_url, draft)
    with reading(node.engine) as connection:
        tests = stored.count_tests(connection, draft)
        state = form_states.find_state(connection, project_id, form_id)
    settings = enrolment.collect_settings(url, "", enrolment.test_project(draft)).decode()
    return draft_json(draft, state) | {"submissions": tests, "serverUrl": url, "collectSettings": settings}


@router.delete("/draft")
def drop_draft(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> dict[str, bool]:
    """Drop the draft and its tests. Unlike Central's, also the draft of a form that was never published."""
    admit(node, actor, Action.PUBLISH_FORMS, project_id)
    drafts.drop(node, project_id, form_id)
    return {"success": True}


@router.post("/draft/publish")
def publish_draft(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    accept: Accept,
    rename: Accept,
    version: str | None = None,
) -> dict[str, Any]:
    """Publish the draft, under another version if one is named. accept, rename: as when a form is published at once."""
    admit(node, actor, Action.PUBLISH_FORMS, project_id)
    consent = Consent(frozenset(accept), tuple(rename))
    done = drafts.publish(node, project_id, form_id, version, consent)
    return {
        "success": True,
        "version": done.version,
        "missing": done.missing,
        "released": done.released,
        "changes": [change_json(change) for change in done.changes],
    }


@router.get("/draft.xml")
def get_xform(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> Response:
    """Give the draft's XForm."""
    return Response(find(node, actor, project_id, form_id).xform, media_type="application/xml")


@router.get("/draft/attachments")
def list_media(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the files that the draft reads, given or not."""
    draft = find(node, actor, project_id, form_id)
    return media_json(drafts.read_schema(draft), drafts.list_media(node, draft))


@router.get("/draft/attachments/{name}")
def get_media(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: str
) -> Response:
    """Give a file that the draft reads."""
    draft = find(node, actor, project_id, form_id)
    return give_file(request, node, drafts.list_media(node, draft), name)


@router.post("/draft/attachments/{name}")
async def set_media(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: str
) -> dict[str, Any]:
    """Give the draft one of the files it reads; the form gets it when the draft is published."""
    draft = await run_in_threadpool(find, node, actor, project_id, form_id)
    content = await read_body(request, MEDIA_BYTES_MAX)
    given = await run_in_threadpool(drafts.set_media, node, draft, name, content)
    return file_json(given)


@router.delete("/draft/attachments/{name}")
def take_media(node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: str) -> dict[str, bool]:
    """Take a file from the draft; the form loses it when the draft is published."""
    draft = find(node, actor, project_id, form_id)
    drafts.set_media(node, draft, name, None)
    return {"success": True}


def find(node: Node, actor: Actor, project_id: int, form_id: str) -> FormDraft:
    """Return the draft for whoever may publish it. Raises Problem 403.1, 404.1."""
    admit(node, actor, Action.PUBLISH_FORMS, project_id)
    return drafts.get(node, project_id, form_id)


def _make(node: Node, project_id: int, edition: Edition) -> dict[str, Any]:
    made = drafts.make(node, project_id, edition, publishing.keep_read(node, edition.form, {}))
    return {
        "success": True,
        "version": made.draft.version,
        "warnings": [fault_json(fault) for fault in edition.form.warnings],
        "missing": made.missing,
        "changes": [change_json(change) for change in made.changes],
    }


def _require_known(node: Node, project_id: int, form_id: str) -> None:
    with reading(node.engine) as connection:
        if forms.is_published(connection, project_id, form_id):
            return
        if stored.find_draft(connection, project_id, form_id) is None:
            raise Problem(404.1, "There is no such form in this project.")


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"

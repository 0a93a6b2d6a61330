"""Projects and forms: listing, publishing, opening and closing, versions, the files that forms read."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from server import drafts as drafting
from server import publishing
from server.api.bodies import read_body
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.api.form_json import draft_json, fault_json, form_json, media_json
from server.evolution import Consent, change_json
from server.node import Node
from server.openrosa.parts import clean_name
from server.permissions import Action, Actor, may
from server.problems import Problem
from server.publishing import Edition
from server.store import drafts, form_states, forms, tallies
from server.store.engine import reading
from server.store.form_states import FormState
from server.store.forms import PublishedForm

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

Accept = Annotated[list[str], Query(default_factory=list)]
IgnoreWarnings = Annotated[bool, Query(alias="ignoreWarnings")]


class FormPatch(BaseModel):
    """What of a form can be changed."""

    state: FormState


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
    """List the forms in their newest version and, to whoever may publish, those that are drafts yet."""
    admit(node, actor, Action.READ_FORMS, project_id)
    with reading(node.engine) as connection:
        found = forms.list_current(connection, project_id)
        unpublished = drafts.list_drafts(connection, project_id)
    listed = {one.form_id: _describe(node, one) for one in found}
    if may(actor, Action.PUBLISH_FORMS, project_id):
        listed = {one.form_id: draft_json(one) for one in unpublished} | listed
    return [listed[form_id] for form_id in sorted(listed)]


@router.post("/{project_id}/forms")
async def create_form(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    accept: Accept,
    rename: Accept,
    publish: bool = False,
    ignore_warnings: IgnoreWarnings = False,
) -> dict[str, Any]:
    """Make a form from the sheet or XForm in the body, as a draft or, with `publish=true`, for tablets at once.

    Its kind is told by Content-Type; `X-XlsForm-FormId-Fallback` names the file, as with Central. Unlike there,
    `publish=true` also takes a new version of a form. One that breaks what is collected is refused (409.31) unless
    each such change is accepted (`RULE:PATH`) or told as a rename (`OLD=NEW`).
    """
    await run_in_threadpool(admit, node, actor, Action.PUBLISH_FORMS, project_id)
    edition = await read_sheet(request, node, ignore_warnings=ignore_warnings)
    consent = Consent(frozenset(accept), tuple(rename)) if publish else None
    return await run_in_threadpool(_create, node, project_id, edition, consent)


@router.get("/{project_id}/forms/{form_id}")
def get_one_form(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> dict[str, Any]:
    """Tell about a form: its newest version and how many submissions it has."""
    admit(node, actor, Action.READ_FORMS, project_id)
    return _describe_one(node, actor, project_id, form_id)


@router.patch("/{project_id}/forms/{form_id}")
def change_form(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, patch: FormPatch
) -> dict[str, Any]:
    """Open or close a form. What comes in for a closed one waits, and is taken up when it is opened."""
    admit(node, actor, Action.PUBLISH_FORMS, project_id)
    published = get_form(node, project_id, form_id)
    publishing.set_state(node, project_id, published.form_id, patch.state)
    return _describe_one(node, actor, project_id, form_id)


@router.get("/{project_id}/forms/{form_id}/versions")
def list_versions(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the published versions, newest first."""
    admit(node, actor, Action.READ_FORMS, project_id)
    get_form(node, project_id, form_id)
    with reading(node.engine) as connection:
        found = forms.list_versions(connection, project_id, form_id)
        state = form_states.find_state(connection, project_id, form_id)
    return [form_json(one, state, found[-1].stamp) for one in found]


@router.get("/{project_id}/forms/{form_id}/attachments")
def list_media(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the files that the form's newest version reads, given or not."""
    admit(node, actor, Action.READ_FORMS, project_id)
    published = get_form(node, project_id, form_id)
    with reading(node.engine) as connection:
        schema = forms.read_schema(connection, published)
        given = forms.list_media(connection, project_id, form_id)
    return media_json(schema, given)


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


async def read_sheet(request: Request, node: Node, *, ignore_warnings: bool) -> Edition:
    """Compile the sheet or XForm in the body.

    Raises FormError, and Problem 400.16 when the sheet has warnings that the caller does not ignore.
    """
    kind = KINDS.get(request.headers.get("content-type", "").partition(";")[0].strip().casefold())
    if kind is None:
        raise Problem(400.1, f"Send the sheet with one of these content types: {', '.join(KINDS)}.")
    name = clean_name(unquote(request.headers.get("x-xlsform-formid-fallback", "form")))
    data = await read_body(request, SHEET_BYTES_MAX)
    edition = await run_in_threadpool(publishing.read_edition, node, data, f"{name}.{kind}")
    if (warnings := edition.form.warnings) and not ignore_warnings:
        raise Problem(
            400.16,
            "The form works, but has warnings. Mend the sheet, or send it again with ignoreWarnings=true.",
            extra={
                "warnings": {"xlsFormWarnings": [str(fault) for fault in warnings]},
                "faults": [fault_json(fault) for fault in warnings],
            },
        )
    return edition


def _create(node: Node, project_id: int, edition: Edition, consent: Consent | None) -> dict[str, Any]:
    """Publish a form with this consent, or without one make the draft of a new form."""
    media = publishing.keep_read(node, edition.form, {})
    warnings = [fault_json(fault) for fault in edition.form.warnings]
    form_id = edition.form.schema.form_id
    if consent is None:
        with reading(node.engine) as connection:
            is_known = forms.is_published(connection, project_id, form_id)
            is_known = is_known or drafts.find_draft(connection, project_id, form_id) is not None
        if is_known:
            raise Problem(409.3, f"There is a form {form_id} already. Send the sheet to its draft.")
        made = drafting.make(node, project_id, edition, media)
        return draft_json(made.draft) | {"warnings": warnings, "missing": made.missing, "changes": []}
    done = publishing.publish_edition(node, project_id, edition, media, consent)
    return _describe(node, get_form(node, project_id, form_id)) | {
        "warnings": warnings,
        "missing": done.missing,
        "changes": [change_json(change) for change in done.changes],
    }


def _set_media(node: Node, published: PublishedForm, name: str, content: bytes) -> None:
    with reading(node.engine) as connection:
        schema = forms.read_schema(connection, published)
    if name not in schema.media:
        raise Problem(404.1, "The form reads no file of this name.")
    publishing.set_media(node, published.project_id, published.form_id, name, content)


def _describe_one(node: Node, actor: Actor, project_id: int, form_id: str) -> dict[str, Any]:
    """A form, or its draft when there is no more and the actor may see it. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        draft = drafts.find_draft(connection, project_id, form_id)
        is_published = forms.is_published(connection, project_id, form_id)
    if draft and not is_published and may(actor, Action.PUBLISH_FORMS, project_id):
        return draft_json(draft)
    return _describe(node, get_form(node, project_id, form_id))


def _describe(node: Node, one: PublishedForm) -> dict[str, Any]:
    with reading(node.engine) as connection:
        created_stamp = forms.created_stamp(connection, one.project_id, one.form_id)
        state = form_states.find_state(connection, one.project_id, one.form_id)
        tally = tallies.tally(connection, (one.project_id, one.form_id))
    return form_json(one, state, created_stamp) | {
        "submissions": tally.submissions,
        "revisions": tally.revisions,
        "edits": tally.edits,
        "openConflicts": tally.open_conflicts,
    }

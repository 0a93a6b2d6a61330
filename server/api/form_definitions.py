"""REST: what a form was made from and what it asks: sheets and fields, of published versions and of drafts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from server import drafts
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.api.drafts import find
from server.api.form_json import fields_json, form_json
from server.api.forms import KINDS
from server.node import Node
from server.openrosa.downloads import NO_VERSION
from server.permissions import Action, Actor
from server.problems import Problem
from server.store import form_states, forms
from server.store.drafts import FormDraft
from server.store.engine import reading
from server.store.forms import PublishedForm
from server.streamed import Streamed

CONTENT_TYPES = {kind: content_type for content_type, kind in KINDS.items()}

router = APIRouter(prefix="/projects/{project_id}/forms", tags=["forms"])
Version = Annotated[str, "a published version, `___` for the blank one"]


@router.get("/{form_id}/draft.xlsx")
@router.get("/{form_id}/draft.xls", include_in_schema=False)
def get_draft_sheet(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str
) -> Response:
    """Give the sheet that the draft was made from, under the ending that it came with."""
    return _sheet(request, node, find(node, actor, project_id, form_id))


@router.get("/{form_id}/versions/{version}.xlsx")
@router.get("/{form_id}/versions/{version}.xls", include_in_schema=False)
def get_version_sheet(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, version: Version
) -> Response:
    """Give the sheet that a version was made from, under the ending that it came with."""
    return _sheet(request, node, _find_version(node, actor, project_id, form_id, version))


@router.get("/{form_id}.xlsx")
@router.get("/{form_id}.xls", include_in_schema=False)
def get_sheet(request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> Response:
    """Give the sheet that the newest version was made from, under the ending that it came with."""
    admit(node, actor, Action.READ_FORMS, project_id)
    return _sheet(request, node, get_form(node, project_id, form_id))


@router.get("/{form_id}/fields")
def list_fields(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, odata: bool = False
) -> list[dict[str, Any]]:
    """List what the newest version asks."""
    admit(node, actor, Action.READ_FORMS, project_id)
    return _fields(node, get_form(node, project_id, form_id), odata=odata)


@router.get("/{form_id}/draft/fields")
def list_draft_fields(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, odata: bool = False
) -> list[dict[str, Any]]:
    """List what the draft asks."""
    return fields_json(drafts.read_schema(find(node, actor, project_id, form_id)), odata=odata)


@router.get("/{form_id}/versions/{version}/fields")
def list_version_fields(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, version: Version, odata: bool = False
) -> list[dict[str, Any]]:
    """List what a version asks."""
    return _fields(node, _find_version(node, actor, project_id, form_id, version), odata=odata)


@router.get("/{form_id}/versions/{version}")
def get_version(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, version: Version
) -> dict[str, Any]:
    """Tell about a published version."""
    found = _find_version(node, actor, project_id, form_id, version)
    with reading(node.engine) as connection:
        created_stamp = forms.created_stamp(connection, project_id, form_id)
        return form_json(found, form_states.find_state(connection, project_id, form_id), created_stamp)


def _find_version(node: Node, actor: Actor, project_id: int, form_id: str, version: str) -> PublishedForm:
    admit(node, actor, Action.READ_FORMS, project_id)
    with reading(node.engine) as connection:
        found = forms.find_version(connection, project_id, form_id, "" if version == NO_VERSION else version)
    if found is None:
        raise Problem(404.1, "There is no such version of this form.")
    return found


def _fields(node: Node, one: PublishedForm, *, odata: bool) -> list[dict[str, Any]]:
    with reading(node.engine) as connection:
        return fields_json(forms.read_schema(connection, one), odata=odata)


def _sheet(request: Request, node: Node, one: PublishedForm | FormDraft) -> Response:
    kind = request.url.path.rpartition(".")[2]
    if not one.sheet_name.casefold().endswith(f".{kind}"):
        raise Problem(404.1, f"The form was made from another kind of file: {one.sheet_name}.")
    chunks = node.blobs.stream(one.sheet_sha256)
    return Streamed(chunks, chunks.close, CONTENT_TYPES[kind])

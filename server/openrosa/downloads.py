"""Form list, manifest, XForms and media, as Collect asks for them at every check.

Sources: OpenRosa form list and manifest APIs; Collect's OpenRosaClient and ServerFormUseCases. Hashes are of the
exact bytes served, or Collect would fetch a form again for ever; every answer has an ETag, the cheapest speed-up on
a slow link.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote
from xml.sax.saxutils import escape

from fastapi import APIRouter, Query, Request, Response

from forms.entities import canonical_uuid
from server import drafts, entity_lists
from server.etags import known_etags
from server.node import Node
from server.openrosa.tablet import identify, identify_tester
from server.openrosa.urls import absolute_url
from server.permissions import Action, require
from server.problems import OPENROSA_HEADERS, Problem
from server.store import datasets, entities, form_states, forms
from server.store.datasets import StoredDataset
from server.store.drafts import FormDraft
from server.store.engine import reading
from server.store.form_states import FormState
from server.store.forms import Media, PublishedForm
from server.streamed import Streamed

NO_VERSION = "___"
"""Stands for the blank version in a path, as in ODK Central."""

DOORS = {"token": "key", "test_token": "test"}

router = APIRouter()
tests = APIRouter()
"""Of drafts: mounted under a draft's token only."""


@router.get("/projects/{project_id}/formList")
def form_list(request: Request, project_id: int) -> Response:
    """List the current version of each form that this account may fill, once the files that it reads are here."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        if not forms.project_exists(connection, project_id):
            raise Problem(404.1, "There is no such project here.")
        states = form_states.list_states(connection, project_id)
        listed = []
        for one in forms.list_current(connection, project_id):
            media = forms.list_media(connection, project_id, one.form_id)
            if states.get(one.form_id, FormState.OPEN) is FormState.OPEN and node.has_files(media):
                has_media = bool(media) or bool(entity_lists.list_read(connection, node.schemas, one))
                listed.append((one, has_media))
    return _list(request, (_form_entry(request, one, has_media) for one, has_media in listed))


@tests.get("/projects/{project_id}/forms/{form_id}/draft/formList")
def draft_list(request: Request, project_id: int, form_id: str) -> Response:
    """List the draft alone."""
    node, draft = _admit_tester(request, project_id, form_id)
    has_media = any(file.sha256 for file in drafts.list_media(node, draft))
    return _list(request, [_form_entry(request, draft, has_media)])


@router.get("/projects/{project_id}/forms/{form_id}/manifest")
def manifest(request: Request, project_id: int, form_id: str) -> Response:
    """List the files that a form reads and that have been given."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        form = forms.find_current(connection, project_id, form_id)
        if form is None:
            raise Problem(404.1, "There is no such form here.")
        media = forms.list_media(connection, project_id, form_id)
        lists = entity_lists.list_read(connection, node.schemas, form)
    entries = "".join(_list_entry(request, form_id, one) for one in lists)
    return _manifest(request, project_id, f"forms/{quote(form_id, safe='')}", media, entries)


@tests.get("/projects/{project_id}/forms/{form_id}/draft/manifest")
def draft_manifest(request: Request, project_id: int, form_id: str) -> Response:
    """List the files that the draft reads and that have been given."""
    node, draft = _admit_tester(request, project_id, form_id)
    media = [file for file in drafts.list_media(node, draft) if file.sha256]
    return _manifest(request, project_id, _draft_path(draft), media)


@router.get("/projects/{project_id}/forms/{form_id}/versions/{version}.xml")
def xform(request: Request, project_id: int, form_id: str, version: str) -> Response:
    """Give one published version; all of them stay available for ever."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        found = forms.find_version(connection, project_id, form_id, "" if version == NO_VERSION else version)
        if found is None:
            raise Problem(404.1, "There is no such version of this form here.")
        content = forms.read_xform(connection, found)
    return _cached(request, content, "text/xml; charset=utf-8", found.md5)


@router.get("/projects/{project_id}/forms/{form_id}.xml")
def current_xform(request: Request, project_id: int, form_id: str) -> Response:
    """Give the newest version."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        found = forms.find_current(connection, project_id, form_id)
    if found is None:
        raise Problem(404.1, "There is no such form here.")
    return xform(request, project_id, form_id, found.version or NO_VERSION)


@tests.get("/projects/{project_id}/forms/{form_id}/draft.xml")
def draft_xform(request: Request, project_id: int, form_id: str) -> Response:
    """Give the draft."""
    _, draft = _admit_tester(request, project_id, form_id)
    return _cached(request, draft.xform, "text/xml; charset=utf-8", draft.md5)


@router.get("/projects/{project_id}/forms/{form_id}/attachments/{name}")
def media_file(request: Request, project_id: int, form_id: str, name: str) -> Response:
    """Give a file that a form reads."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        media = forms.list_media(connection, project_id, form_id)
        form = forms.find_current(connection, project_id, form_id)
        lists = entity_lists.list_read(connection, node.schemas, form) if form else []
    for one in lists:
        if entity_lists.file_name(one) == name:
            return _entity_list(request, node, one)
    return give_file(request, node, media, name)


@tests.get("/projects/{project_id}/forms/{form_id}/draft/attachments/{name}")
def draft_file(request: Request, project_id: int, form_id: str, name: str) -> Response:
    """Give a file that the draft reads."""
    node, draft = _admit_tester(request, project_id, form_id)
    return give_file(request, node, drafts.list_media(node, draft), name)


def give_file(request: Request, node: Node, media: Iterable[Media], name: str) -> Response:
    """Return the file of this name. Raises Problem 404.1 when it is not among them, or was never given."""
    file = {file.name: file for file in media}.get(name)
    if file is None or file.sha256 is None:
        raise Problem(404.1, "There is no such file for this form.")
    headers = {"ETag": f'"{file.md5}"', **dict(OPENROSA_HEADERS)}
    if headers["ETag"] in known_etags(request):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(file.size)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    chunks = node.blobs.stream(file.sha256)
    return Streamed(chunks, chunks.close, kind, headers)


@router.get("/projects/{project_id}/datasets/{name}/integrity")
def integrity(
    request: Request, project_id: int, name: str, ids: Annotated[str, Query(alias="id")] = ""
) -> Response:
    """Tell which entities that a tablet made and does not find in the list are deleted. id: UUIDs, with commas.

    One that is not known (yet) is left out, and one that waits for its creation stands: the tablet keeps both.
    """
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        if datasets.find_dataset(connection, project_id, name) is None:
            raise Problem(404.1, "There is no such dataset here.")
        wanted = {canonical_uuid(one) for one in ids.split(",")}
        known = entities.find_entities(connection, project_id, name, wanted)
    entries = "".join(
        f'<entity id="{one.uuid}"><deleted>{str(one.deleted_stamp is not None).lower()}</deleted></entity>'
        for one in known
    )
    return _xml(request, f"<data><entities>{entries}</entities></data>")


def _admit(request: Request, project_id: int) -> Node:
    node: Node = request.app.state.node
    actor = identify(node, request.scope, project_id, request.path_params.get("token"))
    require(actor, Action.READ_FORMS, project_id)
    return node


def _admit_tester(request: Request, project_id: int, form_id: str) -> tuple[Node, FormDraft]:
    node: Node = request.app.state.node
    return node, identify_tester(node, project_id, form_id, request.path_params["test_token"])


def _list(request: Request, entries: Iterable[str]) -> Response:
    text = "".join(entries)
    return _xml(request, f'<xforms xmlns="http://openrosa.org/xforms/xformsList">{text}</xforms>')


def _form_entry(request: Request, one: PublishedForm | FormDraft, has_media: bool) -> str:
    if isinstance(one, FormDraft):
        path = _draft_path(one)
        xml_path = f"{path}.xml"
    else:
        path = f"forms/{quote(one.form_id, safe='')}"
        xml_path = f"{path}/versions/{quote(one.version or NO_VERSION, safe='')}.xml"
    manifest_url = f"<manifestUrl>{_url(request, one.project_id, f'{path}/manifest')}</manifestUrl>"
    return (
        f"<xform><formID>{escape(one.form_id)}</formID><name>{escape(one.name)}</name>"
        f"<version>{escape(one.version)}</version><hash>md5:{one.md5}</hash>"
        f"<downloadUrl>{_url(request, one.project_id, xml_path)}</downloadUrl>"
        f"{manifest_url if has_media else ''}</xform>"
    )


def _draft_path(draft: FormDraft) -> str:
    return f"forms/{quote(draft.form_id, safe='')}/draft"


def _manifest(
    request: Request, project_id: int, path: str, media: Iterable[Media], lists: str = ""
) -> Response:
    """The manifest of the form or draft at this path. lists: the entries of its entity lists."""
    entries = lists + "".join(_media_entry(request, project_id, path, file) for file in media)
    return _xml(request, f'<manifest xmlns="http://openrosa.org/xforms/xformsManifest">{entries}</manifest>')


def _media_entry(request: Request, project_id: int, path: str, file: Media) -> str:
    url = _url(request, project_id, f"{path}/attachments/{quote(file.name, safe='')}")
    return (
        f"<mediaFile><filename>{escape(file.name)}</filename><hash>md5:{file.md5}</hash>"
        f"<downloadUrl>{url}</downloadUrl></mediaFile>"
    )


def _list_entry(request: Request, form_id: str, one: StoredDataset) -> str:
    name = entity_lists.file_name(one)
    path = f"forms/{quote(form_id, safe='')}/attachments/{quote(name, safe='')}"
    asked = f"datasets/{quote(one.name, safe='')}/integrity"
    return (
        f'<mediaFile type="entityList"><filename>{escape(name)}</filename><hash>md5:{one.md5}</hash>'
        f"<downloadUrl>{_url(request, one.project_id, path)}</downloadUrl>"
        f"<integrityUrl>{_url(request, one.project_id, asked)}</integrityUrl></mediaFile>"
    )


def _entity_list(request: Request, node: Node, one: StoredDataset) -> Response:
    headers = {"ETag": f'"{one.md5}"', **dict(OPENROSA_HEADERS)}
    if headers["ETag"] in known_etags(request):
        return Response(status_code=304, headers=headers)
    chunks = entity_lists.for_tablets(node.engine, one)
    return Streamed(chunks, chunks.close, "text/csv; charset=utf-8", headers)


def _url(request: Request, project_id: int, path: str) -> str:
    """The URL for the same credentials: under the token, when the request came with one."""
    given = request.path_params
    door = "".join(f"{door}/{given[key]}/" for key, door in DOORS.items() if key in given)
    root = f"/v1/{door}projects/{project_id}/"
    public_url: str = request.app.state.node.settings.public_url
    return escape(absolute_url(request.scope, public_url, root) + path)


def _xml(request: Request, text: str) -> Response:
    content = f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return _cached(request, content, "text/xml; charset=utf-8", digest)


def _cached(request: Request, content: bytes, kind: str, digest: str) -> Response:
    etag = f'"{digest}"'
    headers = {"ETag": etag, **dict(OPENROSA_HEADERS)}
    if etag in known_etags(request):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)

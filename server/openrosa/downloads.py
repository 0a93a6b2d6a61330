"""Form list, manifest, XForms and media, as Collect asks for them at every check.

Sources: OpenRosa form list and manifest APIs; Collect's OpenRosaClient and ServerFormUseCases. Hashes are of the
exact bytes served, or Collect would fetch a form again for ever; every answer has an ETag, the cheapest speed-up on
a slow link.
"""

from __future__ import annotations

import hashlib
import mimetypes
from urllib.parse import quote
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from server.node import Node
from server.openrosa.tablet import identify
from server.openrosa.urls import absolute_url
from server.permissions import Action, require
from server.problems import OPENROSA_HEADERS, Problem
from server.store import forms
from server.store.engine import reading
from server.store.forms import Media, PublishedForm

NO_VERSION = "___"
"""Stands for the blank version in a path, as in ODK Central."""

router = APIRouter()


@router.get("/projects/{project_id}/formList")
def form_list(request: Request, project_id: int) -> Response:
    """List the current version of each form that this account may fill."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        if not forms.project_exists(connection, project_id):
            raise Problem(404.1, "There is no such project here.")
        listed = [
            (one, [file for file in forms.list_media(connection, project_id, one.form_id) if file.sha256])
            for one in forms.list_current(connection, project_id)
        ]
    entries = "".join(_form_entry(request, one, bool(media)) for one, media in listed)
    return _xml(request, f'<xforms xmlns="http://openrosa.org/xforms/xformsList">{entries}</xforms>')


@router.get("/projects/{project_id}/forms/{form_id}/manifest")
def manifest(request: Request, project_id: int, form_id: str) -> Response:
    """List the files that a form reads and that have been given."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        if not forms.is_published(connection, project_id, form_id):
            raise Problem(404.1, "There is no such form here.")
        media = forms.list_media(connection, project_id, form_id)
    entries = "".join(_media_entry(request, project_id, form_id, file) for file in media)
    return _xml(request, f'<manifest xmlns="http://openrosa.org/xforms/xformsManifest">{entries}</manifest>')


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


@router.get("/projects/{project_id}/forms/{form_id}/attachments/{name}")
def media_file(request: Request, project_id: int, form_id: str, name: str) -> Response:
    """Give a file that a form reads."""
    node = _admit(request, project_id)
    with reading(node.engine) as connection:
        media = {file.name: file for file in forms.list_media(connection, project_id, form_id)}
    file = media.get(name)
    if file is None or file.sha256 is None:
        raise Problem(404.1, "There is no such file for this form.")
    headers = {"ETag": f'"{file.md5}"', **dict(OPENROSA_HEADERS)}
    if _has(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(file.size)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StreamingResponse(node.blobs.stream(file.sha256), media_type=kind, headers=headers)


def _admit(request: Request, project_id: int) -> Node:
    node: Node = request.app.state.node
    actor = identify(node, request.scope, project_id, request.path_params.get("token"))
    require(actor, Action.READ_FORMS, project_id)
    return node


def _form_entry(request: Request, one: PublishedForm, has_media: bool) -> str:
    path = f"forms/{quote(one.form_id, safe='')}"
    version = quote(one.version or NO_VERSION, safe="")
    manifest_url = f"<manifestUrl>{_url(request, one.project_id, f'{path}/manifest')}</manifestUrl>"
    return (
        f"<xform><formID>{escape(one.form_id)}</formID><name>{escape(one.name)}</name>"
        f"<version>{escape(one.version)}</version><hash>md5:{one.md5}</hash>"
        f"<downloadUrl>{_url(request, one.project_id, f'{path}/versions/{version}.xml')}</downloadUrl>"
        f"{manifest_url if has_media else ''}</xform>"
    )


def _media_entry(request: Request, project_id: int, form_id: str, file: Media) -> str:
    path = f"forms/{quote(form_id, safe='')}/attachments/{quote(file.name, safe='')}"
    return (
        f"<mediaFile><filename>{escape(file.name)}</filename><hash>md5:{file.md5}</hash>"
        f"<downloadUrl>{_url(request, project_id, path)}</downloadUrl></mediaFile>"
    )


def _url(request: Request, project_id: int, path: str) -> str:
    """The URL for the same credentials: under the token, when the request came with one."""
    token = request.path_params.get("token")
    root = f"/v1/key/{token}/projects/{project_id}/" if token else f"/v1/projects/{project_id}/"
    public_url: str = request.app.state.node.settings.public_url
    return escape(absolute_url(request.scope, public_url, root) + path)


def _xml(request: Request, text: str) -> Response:
    content = f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return _cached(request, content, "text/xml; charset=utf-8", digest)


def _cached(request: Request, content: bytes, kind: str, digest: str) -> Response:
    etag = f'"{digest}"'
    headers = {"ETag": etag, **dict(OPENROSA_HEADERS)}
    if _has(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)


def _has(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return etag in {one.strip().removeprefix("W/") for one in known.split(",")}

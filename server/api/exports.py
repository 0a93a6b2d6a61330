"""Exports of a form's submissions in ODK Central's CSV layout."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from server.api.deps import ActorDep, NodeDep, admit
from server.etags import known_etags
from server.exports.archive import Download, download_table, download_zip
from server.exports.names import safe_name
from server.node import Node
from server.permissions import Action, Actor

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}", tags=["exports"])


@router.get("/submissions.csv.zip")
def export_zip(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    attachments: bool = True,
    personal: bool = False,
) -> Response:
    """Export every table as CSV and the attachments, in one zip; only administrators get personal fields."""
    _admit(node, actor, project_id, personal=personal)
    download = download_zip(
        node, project_id, form_id, personal=personal, media=attachments, known=known_etags(request)
    )
    return _answer(
        download, f"{safe_name(form_id)}{'.zip' if attachments else '.csv.zip'}", "application/zip"
    )


@router.get("/submissions.csv")
def export_table(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, personal: bool = False
) -> Response:
    """Export the form's own table as CSV, without its repeats; only administrators get personal fields."""
    _admit(node, actor, project_id, personal=personal)
    download = download_table(node, project_id, form_id, personal=personal, known=known_etags(request))
    return _answer(download, f"{safe_name(form_id)}.csv", "text/csv; charset=utf-8")


def _admit(node: Node, actor: Actor, project_id: int, *, personal: bool) -> None:
    admit(node, actor, Action.EXPORT, project_id)
    if personal:
        admit(node, actor, Action.EXPORT_PERSONAL, project_id)


def _answer(download: Download, file_name: str, media_type: str) -> Response:
    headers = {"ETag": download.etag, "Cache-Control": "private, no-cache"}
    if download.chunks is None:
        return Response(status_code=304, headers=headers)
    plain = file_name.encode("ascii", "replace").decode().replace("?", "_")
    headers["Content-Disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name)}"
    return StreamingResponse(download.chunks, media_type=media_type, headers=headers)

"""Exports of a form's submissions in ODK Central's CSV layout."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from server.api.deps import ActorDep, NodeDep, admit
from server.etags import known_etags
from server.exports.archive import Download, download_table, download_zip
from server.exports.names import safe_name
from server.exports.options import Options
from server.node import Node
from server.permissions import Action, Actor

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}", tags=["exports"])


def read_options(
    personal: bool = False,
    text: Annotated[str, Query(alias="$filter")] = "",
    split: Annotated[bool, Query(alias="splitSelectMultiples")] = False,
    group_paths: Annotated[bool, Query(alias="groupPaths")] = True,
    deleted_fields: Annotated[bool, Query(alias="deletedFields")] = True,
    empty_columns: Annotated[bool, Query(alias="emptyColumns")] = True,
) -> Options:
    """Return what the query asks for, in ODK Central's words where it has them."""
    return Options(
        personal=personal,
        filter=text,
        split=split,
        group_paths=group_paths,
        deleted_fields=deleted_fields,
        empty_columns=empty_columns,
    )


OptionsDep = Annotated[Options, Depends(read_options)]


@router.get("/submissions.csv.zip")
def export_zip(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: OptionsDep,
    attachments: bool = True,
    manifest: bool = False,
) -> Response:
    """Export every table as CSV and the attachments, in one zip; only administrators get personal fields.

    manifest: with `manifest.json` and `codebook.csv`.
    """
    _admit(node, actor, project_id, options)
    known = known_etags(request)
    download = download_zip(
        node, project_id, form_id, options, media=attachments, documents=manifest, known=known
    )
    name = f"{safe_name(form_id)}{'.zip' if attachments else '.csv.zip'}"
    return _answer(download, name, "application/zip")


@router.get("/submissions.csv")
def export_table(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, options: OptionsDep
) -> Response:
    """Export the form's own table as CSV, without its repeats; only administrators get personal fields."""
    _admit(node, actor, project_id, options)
    download = download_table(node, project_id, form_id, options, known=known_etags(request))
    return _answer(download, f"{safe_name(form_id)}.csv", "text/csv; charset=utf-8")


def _admit(node: Node, actor: Actor, project_id: int, options: Options) -> None:
    admit(node, actor, Action.EXPORT, project_id)
    if options.personal:
        admit(node, actor, Action.EXPORT_PERSONAL, project_id)


def _answer(download: Download, file_name: str, media_type: str) -> Response:
    headers = {"ETag": download.etag, "Cache-Control": "private, no-cache"}
    if download.chunks is None:
        return Response(status_code=304, headers=headers)
    plain = file_name.encode("ascii", "replace").decode().replace("?", "_")
    headers["Content-Disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name)}"
    return StreamingResponse(download.chunks, media_type=media_type, headers=headers)

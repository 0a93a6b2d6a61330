"""Exports of a form's submissions in ODK Central's CSV layout."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import AfterValidator

from server.api.deps import ActorDep, NodeDep, admit
from server.etags import known_etags
from server.exports import jobs
from server.exports.archive import Download, download_table, download_zip
from server.exports.flows import public_flows
from server.exports.names import safe_name
from server.exports.options import Format, Options, Profile, View
from server.exports.prepared import Job
from server.node import Node
from server.permissions import Action, Actor
from server.problems import Problem
from server.streamed import Streamed

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}", tags=["exports"])


def _with_plus(moment: str) -> str:
    """Undo what an address makes of `+04:30`, which who writes it by hand forgets to encode: a space."""
    return moment.replace(" ", "+") if "T" in moment else moment


AsOf = Annotated[str, Query(alias="asOf", max_length=64), AfterValidator(_with_plus)]
Filter = Annotated[str, Query(alias="$filter")]
EmptyColumns = Annotated[bool | None, Query(alias="emptyColumns")]
ExportId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
ENDINGS = {
    wanted.value if wanted.is_one_file else f"{wanted.value}.zip": wanted
    for wanted in Format
    if wanted is not Format.CSV
}
WAIT_S = 5
MEDIA_TYPES = {
    "zip": "application/zip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "sqlite": "application/vnd.sqlite3",
}


def read_options(
    view: View = View.MERGED,
    as_of: AsOf = "",
    personal: bool = False,
    text: Filter = "",
    split: Annotated[bool, Query(alias="splitSelectMultiples")] = False,
    group_paths: Annotated[bool, Query(alias="groupPaths")] = True,
    deleted_fields: Annotated[bool, Query(alias="deletedFields")] = True,
    empty_columns: EmptyColumns = None,
    labels: Annotated[str, Query(max_length=255)] = "",
    profile: Profile = Profile.ODK,
    hxl: bool = False,
    solar: bool = False,
    recipient: Annotated[str, Query(max_length=255)] = "",
    bands: Annotated[str, Query(max_length=2000)] = "",
    keys: Annotated[str, Query(max_length=2000)] = "",
) -> Options:
    """Return what the query asks for, in ODK Central's words where it has them."""
    return Options(
        view=view,
        as_of=as_of,
        personal=personal,
        filter=text,
        split=split,
        group_paths=group_paths,
        deleted_fields=deleted_fields,
        empty_columns=bool(empty_columns),
        labels=labels,
        profile=profile,
        hxl=hxl,
        solar=solar,
        recipient=recipient,
        bands=bands,
        keys=keys,
    )


OptionsDep = Annotated[Options, Depends(read_options)]


def central_options(options: OptionsDep, empty_columns: EmptyColumns = None) -> Options:
    """Return what the query asks for at an address of ODK Central's, which leaves no question out by itself."""
    return replace(options, empty_columns=empty_columns is not False)


CentralOptionsDep = Annotated[Options, Depends(central_options)]


@router.get("/submissions.csv.zip")
def export_zip(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: CentralOptionsDep,
    attachments: bool = True,
    manifest: bool = False,
) -> Response:
    """Export every table as CSV and the attachments, in one zip; only administrators get personal fields.

    manifest: with `manifest.json` and `codebook.csv`.
    """
    _admit(node, actor, project_id, personal=options.personal)
    known = known_etags(request)
    download = download_zip(
        node, project_id, form_id, options, media=attachments, documents=manifest, known=known
    )
    name = f"{safe_name(form_id)}{'.zip' if attachments else '.csv.zip'}"
    return _answer(download, name, "application/zip")


@router.get("/submissions.csv")
def export_table(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: CentralOptionsDep,
) -> Response:
    """Export the form's own table as CSV, without its repeats; only administrators get personal fields."""
    _admit(node, actor, project_id, personal=options.personal)
    download = download_table(node, project_id, form_id, options, known=known_etags(request))
    return _answer(download, f"{safe_name(form_id)}.csv", "text/csv; charset=utf-8")


@router.get("/flows.csv")
def export_flows(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    view: View = View.CLEAN,
    text: Filter = "",
    as_of: AsOf = "",
) -> Response:
    """Give the public table of flows: people by day, crossing and direction, small counts blank."""
    _admit(node, actor, project_id, personal=False)
    content = public_flows(node, project_id, form_id, Options(view=view, filter=text, as_of=as_of))
    return Response(content, media_type="text/csv; charset=utf-8")


@router.get(
    "/submissions.{ending}", responses={202: {"description": "It takes longer: see `POST …/exports`."}}
)
def export_file(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    ending: str,
    options: OptionsDep,
    attachments: bool = False,
) -> Response:
    """Export as one file: `xlsx`, `sqlite`, `parquet.zip`, `sav.zip`, `dta.zip`, `geojson.zip`, `media.zip`.

    What takes longer than a few seconds is made as a job: 202 with its description, and where it is in `Location`.
    """
    wanted = ENDINGS.get(ending)
    if wanted is None:
        raise Problem(404.1, f"There is no such export. There are: csv, csv.zip, {', '.join(ENDINGS)}.")
    _admit(node, actor, project_id, personal=options.personal)
    job = jobs.start(node, project_id, form_id, replace(options, format=wanted), media=attachments)
    job = jobs.wait(node, job, WAIT_S)
    if job.state == "failed":
        raise Problem(job.code, job.detail)
    if job.state == "finished":
        return _file(request, node, job)
    path = request.url.path.removesuffix(f"submissions.{ending}")
    return JSONResponse(
        _describe(job), 202, {"Location": f"{path}exports/{job.id}", "Retry-After": str(WAIT_S)}
    )


@router.post("/exports", status_code=202)
def start_export(
    response: Response,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: OptionsDep,
    wanted: Annotated[Format, Query(alias="format")] = Format.CSV,
    attachments: bool = False,
) -> dict[str, Any]:
    """Have an export made as one file, as of now; 200 when the same is there already."""
    _admit(node, actor, project_id, personal=options.personal)
    options = replace(options, format=wanted)
    job = jobs.start(node, project_id, form_id, options, media=attachments)
    if job.state == "finished":
        response.status_code = 200
    return _describe(job)


@router.get("/exports/{export_id}")
def get_export(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, export_id: ExportId
) -> dict[str, Any]:
    """Tell how far an export is: running, finished or failed."""
    return _describe(_find(node, actor, project_id, form_id, export_id))


@router.get("/exports/{export_id}/file")
def get_export_file(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, export_id: ExportId
) -> Response:
    """Give a finished export; a download that was cut goes on with `Range` and `If-Range`."""
    job = _find(node, actor, project_id, form_id, export_id)
    if job.state != "finished":
        raise Problem(404.1, "This export is not finished.")
    return _file(request, node, job)


def _file(request: Request, node: Node, job: Job) -> Response:
    headers = {"ETag": f'"{job.id}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in known_etags(request):
        return Response(status_code=304, headers=headers)
    found = jobs.prepared(node).file(job.id)
    return FileResponse(found, headers=headers, media_type=_media_type(job.name), filename=job.name)


def _find(node: Node, actor: Actor, project_id: int, form_id: str, export_id: str) -> Job:
    admit(node, actor, Action.EXPORT, project_id)
    job = jobs.prepared(node).find(export_id)
    if job is None or (job.project_id, job.form_id) != (project_id, form_id):
        raise Problem(404.1, "There is no such export here. Ask for it again.")
    _admit(node, actor, project_id, personal=job.personal)
    return job


def _describe(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "name": job.name,
        "doing": job.doing,
        "done": job.done,
        "total": job.total,
        "size": job.size,
        "detail": job.detail,
    }


def _media_type(name: str) -> str:
    return MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


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
    return Streamed(download.chunks, download.close, media_type, headers)

"""Submissions: reading them, their revisions and files, and the quarantine; taking one in as raw XML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from forms import instance
from forms.errors import InstanceError
from forms.header import Header, read_header
from server import intake, receiving
from server.api.bodies import read_body
from server.api.deps import ActorDep, NodeDep, admit, admit_submission, get_form
from server.api.submission_json import describe
from server.disclosure import hides_any, open_files, veil
from server.intake import Outcome
from server.merging import FormLine
from server.node import Node
from server.openrosa.parts import clean_name
from server.permissions import Action, Actor, may
from server.problems import Problem
from server.receiving import Sender
from server.store import journal, quarantine, submissions
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import StoredRevision, StoredSubmission
from server.streamed import Streamed
from sync.review import ReviewState

PAGE = 250
PAGE_MAX = 1000

router = APIRouter(prefix="/projects/{project_id}", tags=["submissions"])
InstanceId = Annotated[str, "an instanceID of the submission, the first or a later one"]


@router.get("/forms/{form_id}/submissions")
def list_submissions(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
    deleted: bool = False,
    states: Annotated[list[ReviewState | Literal["received"]] | None, Query(alias="reviewState")] = None,
) -> list[dict[str, Any]]:
    """List one page in order of first receipt. after: the `position` of the last one seen.

    deleted: those that are, instead of those that are not. reviewState: only those in one of these.
    """
    wanted = [None if state == "received" else state for state in states] if states else None
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    with reading(node.engine) as connection:
        page = submissions.list_submissions(
            connection, project_id, form_id, after, limit, deleted=deleted, review_states=wanted
        )
    return [describe(one) for one in page]


@router.post("/forms/{form_id}/submissions")
async def add_submission(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str
) -> Any:
    """Take in one instance as XML; sent twice it is stored once. What it cannot read it keeps in quarantine (202)."""
    await run_in_threadpool(admit, node, actor, Action.SUBMIT, project_id)
    await run_in_threadpool(get_form, node, project_id, form_id)
    xml = await read_body(request, node.settings.xml_bytes_max)
    return await run_in_threadpool(_take, node, actor, project_id, form_id, xml, _device(request))


@router.get("/forms/{form_id}/submissions/{instance_id}.xml")
def get_xml(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId
) -> Response:
    """Give the exact bytes of the revision that is shown; of joined answers an instance that holds them.

    It bears the instanceID of the newest edit, so that it can be edited and sent with that as deprecatedID.
    """
    found = _admit_bytes(node, actor, project_id, form_id, instance_id)
    (shown,) = [one for one in _revisions(node, found) if one.digest == found.current_digest]
    return _joined_xml(node, found, shown) if found.is_merged else _xml(node, shown)


@router.get("/forms/{form_id}/submissions/{instance_id}")
def get_submission(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId
) -> dict[str, Any]:
    """Tell about one submission, without its answers."""
    return describe(admit_submission(node, actor, project_id, form_id, instance_id))


@router.put("/forms/{form_id}/submissions/{instance_id}")
async def edit_submission(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId
) -> Any:
    """Take in an edit as XML: with an instanceID of its own, and as deprecatedID any revision of the submission."""
    found = await run_in_threadpool(
        admit_submission, node, actor, project_id, form_id, instance_id, Action.EDIT_SUBMISSIONS
    )
    xml = await read_body(request, node.settings.xml_bytes_max)
    await run_in_threadpool(_require_edit, node, found, xml)
    return await run_in_threadpool(_take, node, actor, project_id, form_id, xml, _device(request))


@router.get("/forms/{form_id}/submissions/{instance_id}/versions")
def list_revisions(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId
) -> list[dict[str, Any]]:
    """List every revision of a submission, newest first."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    return [_describe_revision(one, found) for one in reversed(_revisions(node, found))]


@router.get("/forms/{form_id}/submissions/{instance_id}/versions/{digest}.xml")
def get_revision_xml(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId, digest: str
) -> Response:
    """Give the exact bytes of one revision, named by its SHA-256 or, as with Central, its instanceID."""
    found = _admit_bytes(node, actor, project_id, form_id, instance_id)
    for one in _revisions(node, found):
        if digest in {one.digest, one.instance_id}:
            return _xml(node, one)
    raise Problem(404.1, "There is no such version of this submission.")


@router.get("/forms/{form_id}/submissions/{instance_id}/attachments")
def list_attachments(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId
) -> list[dict[str, Any]]:
    """List the files that came with any revision of a submission; to who may not see all answers, those shown."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    return [
        {"name": file.name, "exists": True, "hash": file.sha256, "size": file.size}
        for file in _files(node, actor, found)
    ]


@router.get("/forms/{form_id}/submissions/{instance_id}/attachments/{name}")
def get_attachment(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: InstanceId, name: str
) -> Streamed:
    """Give a file: of two with that name the one whose answer is shown, else the newest."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    shown = orjson.loads(found.files).get(name)
    files = [file for file in _files(node, actor, found) if file.name == name]
    files.sort(key=lambda file: file.sha256 == shown)
    if not files:
        raise Problem(404.1, "There is no such file with this submission.")
    headers = {
        "Content-Length": str(files[-1].size),
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    kind = "application/octet-stream"
    chunks = node.blobs.stream(files[-1].sha256)
    return Streamed(chunks, chunks.close, kind, headers)


@router.get("/quarantine")
def list_quarantine(node: NodeDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List what came in and could not be read, oldest first."""
    admit(node, actor, Action.READ_QUARANTINE, project_id)
    with reading(node.engine) as connection:
        waiting = quarantine.list_quarantined(connection, project_id)
    return [
        {
            "id": one.position,
            "reason": one.reason,
            "xmlFormId": one.form_id,
            "version": one.version,
            "instanceId": one.instance_id,
            "size": one.size,
            "receivedAt": iso(one.stamp),
        }
        for one in waiting
    ]


def _require_edit(node: Node, found: StoredSubmission, xml: bytes) -> None:
    """Raise a problem unless these bytes edit that submission."""
    try:
        header = read_header(xml)
    except InstanceError as error:
        raise Problem(400.1, str(error)) from None
    if header.form_id != found.form_id:
        raise Problem(400.1, "The XML is of another form than the address.")
    if not header.deprecated_id or header.instance_id in {None, header.deprecated_id}:
        raise Problem(400.19, "Give the edit an instanceID of its own, and what it edits as deprecatedID.")
    if header.deprecated_id not in {one.instance_id for one in _revisions(node, found)}:
        raise Problem(404.5, "The deprecatedID is no revision of this submission.")


def _joined_xml(node: Node, found: StoredSubmission, shown: StoredRevision) -> Response:
    """The answers of several people as one instance."""
    answers = orjson.loads(found.answers)
    identity = {"instanceID": shown.instance_id} | (
        {"deprecatedID": shown.deprecated_id} if shown.deprecated_id else {}
    )
    own = {name: text for name, text in answers.get("meta", {}).items() if name != "deprecatedID"}
    answers["meta"] = own | identity
    with reading(node.engine) as connection:
        schema = node.schemas.find(connection, found.project_id, found.form_id, found.version)
    assert schema is not None, "answers are joined in a published version"
    header = Header(found.form_id, found.version, shown.instance_id, shown.deprecated_id)
    body = instance.write(header, instance.from_json(answers, schema), schema)
    return _xml_response(body)


def _take(node: Node, actor: Actor, project_id: int, form_id: str, xml: bytes, device_id: str) -> Any:
    sender = Sender(actor.id, actor.name, device_id, "rest")
    arrival = receiving.examine(project_id, xml, (), sender, node.known_forms.ask, form_id)
    (outcome,) = intake.record(node.engine, [arrival])
    node.catch_up()
    if outcome is Outcome.QUARANTINED:
        return Response(status_code=202, content=b"{}", media_type="application/json")
    with reading(node.engine) as connection:
        stored = submissions.find_submission(
            connection, project_id, form_id, arrival.header.instance_id or ""
        )
    assert stored is not None, "what was just projected is there"
    return describe(stored)


def _device(request: Request) -> str:
    given = request.query_params.get("deviceID")
    return clean_name(given) if given else ""


def _revisions(node: Node, found: StoredSubmission) -> list[StoredRevision]:
    with reading(node.engine) as connection:
        return submissions.list_revisions(connection, found.project_id, found.form_id, found.instance_id)


def _admit_bytes(
    node: Node, actor: Actor, project_id: int, form_id: str, instance_id: str
) -> StoredSubmission:
    """Return the submission to somebody who may have its exact bytes. Raises Problem 404.1, 403.1."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    if not may(actor, Action.EXPORT_PERSONAL, project_id) and hides_any(_line(node, found)):
        raise Problem(403.1, "Some answers of this form are not for this account: export it without them.")
    return found


def _files(node: Node, actor: Actor, found: StoredSubmission) -> list[submissions.StoredAttachment]:
    """The files of all revisions or, to who may not see all answers, those that an open answer shows."""
    instance_ids = {one.instance_id for one in _revisions(node, found)}
    with reading(node.engine) as connection:
        files = submissions.list_attachments(connection, found.project_id, found.form_id, instance_ids)
    if may(actor, Action.EXPORT_PERSONAL, found.project_id):
        return files
    named = open_files(veil(_line(node, found), personal=False), orjson.loads(found.answers))
    shown = orjson.loads(found.files)
    return [file for file in files if file.name in named and file.sha256 == shown.get(file.name)]


def _line(node: Node, found: StoredSubmission) -> FormLine:
    with reading(node.engine) as connection:
        return node.schemas.line(connection, found.project_id, found.form_id)


def _xml(node: Node, one: StoredRevision) -> Response:
    with reading(node.engine) as connection:
        body = journal.read_entry(connection, one.position).body
    return _xml_response(body)


def _xml_response(body: bytes) -> Response:
    return Response(body, media_type="application/xml", headers={"X-Content-Type-Options": "nosniff"})


def _describe_revision(one: StoredRevision, found: StoredSubmission) -> dict[str, Any]:
    return {
        "instanceId": one.instance_id,
        "deprecatedId": one.deprecated_id,
        "sha256": one.digest,
        "kind": one.kind,
        "version": one.version,
        "submitterId": one.submitter_id,
        "deviceId": one.device_id,
        "createdAt": iso(one.stamp),
        "current": one.digest == found.current_digest,
    }

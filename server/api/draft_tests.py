"""REST: what was sent to test a draft, as the submissions and the export that it would make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from server.api import exports, submissions
from server.api.deps import ActorDep, NodeDep
from server.api.drafts import find
from server.api.exports import OptionsDep
from server.node import Node
from server.rehearsal import rehearsed

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/draft", tags=["drafts"])


def get_rehearsal(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> Iterator[Node]:
    """Give a node where the draft is published and its tests are submissions. Raises Problem 403.1, 404.1."""
    with rehearsed(node, find(node, actor, project_id, form_id)) as apart:
        yield apart


RehearsalDep = Annotated[Node, Depends(get_rehearsal)]


@router.get("/submissions.csv.zip")
def export_zip(
    request: Request,
    apart: RehearsalDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: OptionsDep,
    attachments: bool = True,
    manifest: bool = False,
) -> Response:
    """Export the tests as the form's data would be."""
    return exports.export_zip(request, apart, actor, project_id, form_id, options, attachments, manifest)


@router.get("/submissions.csv")
def export_table(
    request: Request,
    apart: RehearsalDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    options: OptionsDep,
) -> Response:
    """Export the tests' own table."""
    return exports.export_table(request, apart, actor, project_id, form_id, options)


@router.get("/submissions")
def list_submissions(
    apart: RehearsalDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=submissions.PAGE_MAX)] = submissions.PAGE,
) -> list[dict[str, Any]]:
    """List one page of the tests."""
    return submissions.list_submissions(apart, actor, project_id, form_id, after, limit)


@router.get("/submissions/{instance_id}.xml")
def get_xml(
    apart: RehearsalDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> Response:
    """Give the exact bytes of a test."""
    return submissions.get_xml(apart, actor, project_id, form_id, instance_id)


@router.get("/submissions/{instance_id}")
def get_submission(
    apart: RehearsalDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> dict[str, Any]:
    """Tell about one test."""
    return submissions.get_submission(apart, actor, project_id, form_id, instance_id)


@router.get("/submissions/{instance_id}/attachments")
def list_attachments(
    apart: RehearsalDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> list[dict[str, Any]]:
    """List the files of a test."""
    return submissions.list_attachments(apart, actor, project_id, form_id, instance_id)


@router.get("/submissions/{instance_id}/attachments/{name}")
def get_attachment(
    apart: RehearsalDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str, name: str
) -> Response:
    """Give a file of a test."""
    return submissions.get_attachment(apart, actor, project_id, form_id, instance_id, name)


@router.get("/quarantine")
def list_quarantine(apart: RehearsalDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List the tests that could not be read."""
    return submissions.list_quarantine(apart, actor, project_id)

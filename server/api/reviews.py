"""Reviewing submissions: their state, comments on them, and what happened to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from server import reviewing
from server.api.deps import ActorDep, NodeDep, admit_submission
from server.api.submission_json import describe
from server.permissions import Action
from server.store import reviews, submissions
from server.store.engine import reading
from server.store.forms import iso
from server.store.reviews import StoredComment
from server.store.submissions import StoredRevision
from sync.review import ReviewState
from sync.revision import RevisionKind

COMMENT_CHARS_MAX = 10_000

router = APIRouter(
    prefix="/projects/{project_id}/forms/{form_id}/submissions/{instance_id}", tags=["submissions"]
)


class NewReview(BaseModel):
    """What a reviewer says; null sets a submission back to received."""

    model_config = ConfigDict(extra="forbid")
    reviewState: ReviewState | None  # noqa: N815  (Central's name)


class NewComment(BaseModel):
    """A comment."""

    body: Annotated[str, StringConstraints(strip_whitespace=True)] = Field(
        min_length=1, max_length=COMMENT_CHARS_MAX
    )


@router.patch("")
def review_submission(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str, new: NewReview
) -> dict[str, Any]:
    """Set the review state. An edit, or another change of the answers, makes it `edited`."""
    found = admit_submission(node, actor, project_id, form_id, instance_id, Action.REVIEW)
    reviewing.review(node, actor, found, new.reviewState)
    return describe(admit_submission(node, actor, project_id, form_id, instance_id))


@router.get("/comments")
def list_comments(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> list[dict[str, Any]]:
    """List the comments, newest first."""
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    form = (project_id, form_id)
    with reading(node.engine) as connection:
        names = submissions.list_names(connection, form, found.instance_id)
        listed = reviews.list_comments(connection, form, names)
    return [_describe_comment(one) for one in reversed(listed)]


@router.post("/comments")
def add_comment(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str, new: NewComment
) -> dict[str, Any]:
    """Add a comment; the same words twice in a row are one."""
    found = admit_submission(node, actor, project_id, form_id, instance_id, Action.REVIEW)
    return _describe_comment(reviewing.comment(node, actor, found, new.body))


@router.get("/audits")
def list_audits(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> list[dict[str, Any]]:
    """List what happened to a submission, deleted or not, newest first."""
    found = admit_submission(node, actor, project_id, form_id, instance_id, deleted=True)
    form = (project_id, form_id)
    with reading(node.engine) as connection:
        revisions = submissions.list_revisions(connection, *form, found.instance_id)
        names = submissions.list_names(connection, form, found.instance_id)
        given = reviews.list_reviews(connection, form, names)
    happened: list[tuple[int, int | None, str, str, dict[str, Any]]] = [
        (one.stamp, one.submitter_id, one.submitter_name, _action(one), {"instanceId": one.instance_id})
        for one in revisions
    ]
    happened += [
        (one.stamp, one.actor_id, one.actor_name, "submission.update", {"reviewState": one.state})
        for one in given
    ]
    return [
        {
            "actorId": actor_id,
            "actor": {"id": actor_id, "displayName": name},
            "action": action,
            "details": details,
            "loggedAt": iso(stamp),
        }
        for stamp, actor_id, name, action, details in sorted(happened, key=lambda one: one[0], reverse=True)
    ]


def _action(one: StoredRevision) -> str:
    """The name of what a revision did; Central's, where Central has one."""
    match RevisionKind(one.kind):
        case RevisionKind.EDIT:
            return "submission.update.version" if one.deprecated_id else "submission.create"
        case RevisionKind.TOMBSTONE:
            return "submission.delete"
        case kind:
            return f"submission.{kind}"


def _describe_comment(one: StoredComment) -> dict[str, Any]:
    return {
        "id": one.id,
        "body": one.body,
        "actorId": one.actor_id,
        "actor": {"id": one.actor_id, "displayName": one.actor_name},
        "createdAt": iso(one.stamp),
    }

"""Posts below this node: who they are and what they may send and receive."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from server.api.deps import ActorDep, Line, NodeDep
from server.openrosa.urls import absolute_url
from server.permissions import Action, require
from server.relay import enrolling
from server.relay.enrolling import Answer
from server.store import posts
from server.store.engine import reading

router = APIRouter(prefix="/posts", tags=["relay"])

NAMES_MAX = 1000


class Limits(BaseModel):
    """What a post may send and receive; null for all."""

    forms: list[Line] | None = Field(None, max_length=NAMES_MAX)
    crossings: list[Line] | None = Field(None, max_length=NAMES_MAX)


class NewPost(Limits):
    """A post to be enrolled."""

    name: Line = Field(max_length=64)


class PostAnswer(BaseModel):
    """A post's answer to its enrolment."""

    enrolment: str = Field(max_length=64)
    origin: str = Field(pattern=r"^[0-9a-f-]{36}$")
    key: str = Field(pattern=r"^[0-9a-f]{64}$")
    proof: str = Field(pattern=r"^[0-9a-f]{64}$")


@router.get("")
def list_posts(node: NodeDep, actor: ActorDep) -> list[dict[str, Any]]:
    """List the posts by name, revoked ones included."""
    require(actor, Action.MANAGE_POSTS)
    with reading(node.engine) as connection:
        return [enrolling.describe(post) for post in posts.list_posts(connection)]


@router.post("")
def enrol_post(request: Request, node: NodeDep, actor: ActorDep, new: NewPost) -> dict[str, Any]:
    """Enrol a post: the answer is its enrolment file, and the only place where its secret stands."""
    require(actor, Action.MANAGE_POSTS)
    url = absolute_url(request.scope, node.settings.public_url, "")
    return enrolling.enrol(node, new.name, url, new.forms, new.crossings).as_dict()


@router.post("/answer")
def admit_post(node: NodeDep, answer: PostAnswer) -> dict[str, Any]:
    """Take a post's answer to its enrolment in. Nobody signs in: the answer proves that it knows the secret."""
    return enrolling.admit(node, Answer(**answer.model_dump())).as_dict()


@router.patch("/{name}")
def limit_post(node: NodeDep, actor: ActorDep, name: str, limits: Limits) -> dict[str, Any]:
    """Say what a post may send and receive from now on."""
    require(actor, Action.MANAGE_POSTS)
    return enrolling.describe(enrolling.limit(node, name, limits.forms, limits.crossings))


@router.delete("/{name}")
def revoke_post(node: NodeDep, actor: ActorDep, name: str) -> dict[str, bool]:
    """Relay no more with a post; what it sent stays."""
    require(actor, Action.MANAGE_POSTS)
    enrolling.revoke(node, name)
    return {"success": True}

"""Which account a tablet speaks for: a token in the path, HTTP Digest, a user's Basic and Bearer, a draft's token."""

from __future__ import annotations

import asyncio

from starlette.types import Scope

from server import drafts
from server.auth import actor_of_app_user
from server.node import Node
from server.openrosa import digest
from server.openrosa.messages import Message
from server.permissions import Action, Actor, require
from server.problems import Headers, Problem
from server.store import accounts
from server.store.drafts import FormDraft
from server.store.engine import reading


async def authenticate(node: Node, scope: Scope, project_id: int, token: str | None) -> Actor:
    """Return the actor of an OpenRosa request. Raises Problem 401.2 (with challenges unless by token), 403.1."""
    if token is not None:
        known = node.authenticator.recall(f"{project_id}/{token}")
        if known is not None:
            return known
    return await asyncio.to_thread(identify, node, scope, project_id, token)


def identify(node: Node, scope: Scope, project_id: int, token: str | None) -> Actor:
    """Return the actor of an OpenRosa request, as `authenticate` does, in this thread."""
    try:
        if token is not None:
            return node.authenticator.by_token(project_id, token)
        header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if header[:7].casefold() == "digest ":
            return _by_digest(node, scope, project_id, digest.parse(header[7:]))
        return node.authenticator.by_authorization(header)
    except Problem as problem:
        text = Message.WITHDRAWN if problem.status == 403 else Message.UNKNOWN_TABLET
        headers = problem.headers or (challenges(node) if problem.status == 401 and token is None else ())
        raise Problem(problem.code, text.text, headers=headers) from None


def identify_tester(node: Node, project_id: int, form_id: str, token: str) -> FormDraft:
    """Return the draft that this token may test, in this thread. Raises Problem 404.4."""
    try:
        draft, actor = drafts.admit(node, project_id, form_id, token)
    except Problem as problem:
        raise Problem(problem.code, Message.DRAFT_GONE.text) from None
    require(actor, Action.TEST_DRAFT, project_id, form_id)
    return draft


def challenges(node: Node, *, is_stale: bool = False) -> Headers:
    """Digest first: Collect takes the first scheme it knows, and answers Basic over https only."""
    return (
        ("WWW-Authenticate", digest.challenge(node.secret, is_stale=is_stale)),
        ("WWW-Authenticate", f'Basic realm="{digest.REALM}"'),
    )


def _by_digest(node: Node, scope: Scope, project_id: int, parameters: dict[str, str]) -> Actor:
    with reading(node.engine) as connection:
        found = accounts.find_app_user_by_name(connection, project_id, parameters.get("username", ""))
    query = scope["query_string"].decode("latin-1")
    uri = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    if found is None or not digest.answers(parameters, scope["method"], uri, found.ha1):
        raise Problem(401.2, Message.UNKNOWN_TABLET.text)
    if not digest.is_fresh(node.secret, parameters.get("nonce", "")):
        raise Problem(401.2, Message.UNKNOWN_TABLET.text, headers=challenges(node, is_stale=True))
    return actor_of_app_user(found)

"""What people say about a submission becomes an entry: reviews and comments. Said twice in a row it is said once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from server.node import Node
from server.permissions import Actor
from server.store import journal, reviews, submissions
from server.store.engine import reading, writing
from server.store.reviews import StoredComment
from server.store.submissions import StoredSubmission
from sync.journal import Fact, Kind
from sync.review import ReviewState


def review(node: Node, actor: Actor, about: StoredSubmission, state: ReviewState | None) -> None:
    """Set the review state of a submission, None for received, and bring the state up to it.

    It is given to the answers as they are now: what changes them makes the submission `edited`.
    """
    if about.review_state == state:
        return
    form = (about.project_id, about.form_id)
    with writing(node.engine) as connection:
        past = submissions.read_history(connection, *form, about.instance_id)
        names = submissions.list_names(connection, form, about.instance_id)
        earlier = reviews.list_reviews(connection, form, names)
        facts = {
            "state": state,
            "upon": sorted(past.order[place].digest for place in past.heads),
            "previous": earlier[-1].id if earlier else "",
        }
        _append(connection, Kind.REVIEW, actor, about, facts)
    node.catch_up()


def comment(node: Node, actor: Actor, about: StoredSubmission, body: str) -> StoredComment:
    """Comment on a submission, bring the state up to it, and return the comment."""
    form = (about.project_id, about.form_id)
    with writing(node.engine) as connection:
        names = submissions.list_names(connection, form, about.instance_id)
        earlier = reviews.list_comments(connection, form, names)
        if earlier and (earlier[-1].actor_id, earlier[-1].body) == (actor.id, body):
            return earlier[-1]
        facts = {"body": body, "previous": earlier[-1].id if earlier else ""}
        comment_id = _append(connection, Kind.COMMENT, actor, about, facts)
    node.catch_up()
    with reading(node.engine) as connection:
        found = reviews.list_comments(connection, form, names)
    return next(one for one in found if one.id == comment_id)


def _append(
    connection: Connection, kind: Kind, actor: Actor, about: StoredSubmission, facts: Mapping[str, Any]
) -> str:
    """Append what was said, and return its id."""
    whole = {
        "form_id": about.form_id,
        "instance_id": about.instance_id,
        "actor_id": actor.id,
        "actor_name": actor.name,
        **facts,
    }
    key = hashlib.sha256(orjson.dumps([kind, about.project_id, whole])).digest()
    detail = orjson.dumps(whole | {"id": key.hex()[:32]})
    journal.append(connection, [Fact(kind, about.project_id, key, detail)])
    return key.hex()[:32]

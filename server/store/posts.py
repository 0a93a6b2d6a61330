"""Who this node relays with, as rows: its posts below, its centre above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from server.store.tables import centre as centres
from server.store.tables import post as posts


@dataclass(frozen=True, slots=True)
class Post:
    """A post below this node. origin, public_key: None until it answered. forms, crossings: None for all.

    secret: of an enrolment that waits for its answer, else "". Times in ISO 8601, UTC.
    """

    name: str
    origin: str | None
    public_key: bytes | None
    secret: str
    forms: frozenset[str] | None
    crossings: frozenset[str] | None
    added_at: str
    answered_at: str | None = None
    revoked_at: str | None = None


@dataclass(frozen=True, slots=True)
class Centre:
    """The node that this one relays to. name: what it calls this post. url: "" when only bundles reach it.

    secret: of an enrolment that the centre has not confirmed yet, else "".
    """

    origin: str
    public_key: bytes
    url: str
    name: str
    secret: str
    since: str


def list_posts(connection: Connection) -> list[Post]:
    """Return all posts by name, revoked ones included."""
    return [_post(row) for row in connection.execute(select(posts).order_by(posts.c.name))]


def find_post(connection: Connection, origin: str) -> Post | None:
    """Return the post with this identity that has answered and is not revoked, or None."""
    query = select(posts).where(posts.c.origin == origin, posts.c.revoked_at.is_(None))
    row = connection.execute(query).first()
    return _post(row) if row else None


def find_post_by_name(connection: Connection, name: str) -> Post | None:
    """Return the post of this name, revoked or not, or None."""
    row = connection.execute(select(posts).where(posts.c.name == name)).first()
    return _post(row) if row else None


def put_post(connection: Connection, post: Post) -> None:
    """Add a post or replace the one of its name. Raises sqlalchemy.exc.IntegrityError where another has its origin."""
    connection.execute(delete(posts).where(posts.c.name == post.name))
    values = {name: getattr(post, name) for name in Post.__slots__}
    values |= {"forms": _json(post.forms), "crossings": _json(post.crossings)}
    connection.execute(insert(posts).values(**values))


def find_centre(connection: Connection) -> Centre | None:
    """Return this node's centre, None when it is no post."""
    row = connection.execute(select(*(centres.c[name] for name in Centre.__slots__))).first()
    return Centre(*row) if row else None


def put_centre(connection: Connection, centre: Centre) -> None:
    """Make this node a post of that centre."""
    connection.execute(delete(centres))
    connection.execute(
        insert(centres).values(id=1, **{name: getattr(centre, name) for name in Centre.__slots__})
    )


def confirm_centre(connection: Connection) -> None:
    """Note that the centre knows this post."""
    connection.execute(update(centres).values(secret=""))


def _post(row: Any) -> Post:
    values = {name: getattr(row, name) for name in Post.__slots__}
    return Post(**values | {"forms": _names(row.forms), "crossings": _names(row.crossings)})


def _names(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(orjson.loads(text))


def _json(names: Sequence[str] | frozenset[str] | None) -> str | None:
    return None if names is None else orjson.dumps(sorted(names)).decode()

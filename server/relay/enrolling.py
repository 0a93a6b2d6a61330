"""How two nodes get to know each other: the centre writes an enrolment, the post answers it, the centre confirms.

Each document is JSON, goes by file or over any network, and is bound to the next by a secret that only the enrolment
holds: who reads an answer or a confirmation learns nothing, who lacks the secret can make neither. From then on the
public keys count. An enrolment is good for one post; answering it again with the same key changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from sqlalchemy import Connection, select

from server.node import Node
from server.problems import Problem
from server.store import journal as journals
from server.store import posts
from server.store.engine import reading, writing
from server.store.posts import Centre, Post
from server.store.tables import journal

SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Document:
    """What goes from one node to the other."""

    def as_dict(self) -> dict[str, Any]:
        """Return the document with its kind and the version of its format."""
        return {"chapar": type(self).__name__.lower(), "version": 1, **asdict(self)}

    def to_json(self) -> bytes:
        """Return the document as it is written into a file."""
        return orjson.dumps(self.as_dict())

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Read a document. Raises Problem 400.1."""
        try:
            found = orjson.loads(content)
            fields = {name: str(found[name]) for name in cls.__dataclass_fields__}
            right = (found["chapar"], found["version"]) == (cls.__name__.lower(), 1)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            right, fields = False, {}
        if not right:
            raise Problem(400.1, f"This is no {cls.__name__.lower()} of a post, or one of a newer version.")
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Enrolment(Document):
    """From the centre: what a post has to know. key: the centre's public key, hex. secret: for one post."""

    name: str
    url: str
    origin: str
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Answer(Document):
    """From the post. enrolment: which one it answers, without giving it away. key: the post's public key, hex."""

    enrolment: str
    origin: str
    key: str
    proof: str


@dataclass(frozen=True, slots=True)
class Confirmation(Document):
    """From the centre: it knows the post now."""

    name: str
    origin: str
    key: str
    proof: str


def enrol(
    node: Node,
    name: str,
    url: str,
    forms: Collection[str] | None = None,
    crossings: Collection[str] | None = None,
) -> Enrolment:
    """Make an enrolment for a post of this name, in the place of one that was revoked or has not answered.

    url: where the post reaches this node, "" when only bundles do. forms, crossings: what it may send and receive, None
    for all. Raises Problem 400.1, 409.3.
    """
    check_url(url)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    with writing(node.engine) as connection:
        known = posts.find_post_by_name(connection, name)
        if known and known.revoked_at is None and known.answered_at is not None:
            raise Problem(
                409.3, f"There is a post {name} already. Revoke it first if another takes its place."
            )
        posts.put_post(connection, Post(name, None, None, secret, _set(forms), _set(crossings), _now()))
        origin = journals.origin(connection)
    return Enrolment(name, url, origin, node.keys.public.hex(), secret)


def admit(node: Node, answer: Answer) -> Confirmation:
    """Take a post's answer in. Raises Problem 403.1, 409.3."""
    with writing(node.engine) as connection:
        mine = [post for post in posts.list_posts(connection) if _names(answer.enrolment, post.secret)]
        if not mine or mine[0].revoked_at or not _is_proved(mine[0], answer):
            raise Problem(403.1, "This answers no enrolment of this server. Enrol the post again.")
        post, key = mine[0], bytes.fromhex(answer.key)
        if post.answered_at is None:
            _leave(connection, answer.origin)
            post = replace(post, origin=answer.origin, public_key=key, answered_at=_now())
            posts.put_post(connection, post)
        elif (post.origin, post.public_key) != (answer.origin, key):
            raise Problem(409.3, "Another server has answered this enrolment. Enrol the post again.")
        origin, public = journals.origin(connection), node.keys.public.hex()
    return Confirmation(
        post.name, origin, public, proof_of_confirmation(post.secret, answer.key, post.name, origin, public)
    )


def revoke(node: Node, name: str) -> None:
    """Relay no more with a post; what it sent stays. Raises Problem 404.1."""
    with writing(node.engine) as connection:
        posts.put_post(connection, replace(_post(connection, name), revoked_at=_now(), secret=""))


def limit(node: Node, name: str, forms: Collection[str] | None, crossings: Collection[str] | None) -> Post:
    """Say what a post may send and receive from now on, None for all. Raises Problem 404.1."""
    with writing(node.engine) as connection:
        post = replace(_post(connection, name), forms=_set(forms), crossings=_set(crossings))
        posts.put_post(connection, post)
    return post


def become_post(node: Node, enrolment: Enrolment, *, keep: bool = False) -> Answer:
    """Make this node a post of the centre that wrote the enrolment; return the answer, for the centre.

    keep: go on although there are entries already, which will go to the centre as they are, or another centre, or
    the centre knows this node by another name.
    Raises Problem 400.1, 409.3.
    """
    check_url(enrolment.url)
    with writing(node.engine) as connection:
        known = posts.find_centre(connection)
        if not keep and known is None and connection.execute(select(journal.c.position).limit(1)).first():
            raise Problem(409.3, "This store has forms or records of its own. Start a post in an empty one.")
        if not keep and known is not None and known.origin != enrolment.origin:
            raise Problem(409.3, f"This is a post already, {known.name} of the centre {known.origin}.")
        if not keep and known is not None and not known.secret and known.name != enrolment.name:
            raise Problem(
                409.3,
                f"This is the post {known.name} already. Once the centre has revoked it, start it again with --keep.",
            )
        if enrolment.origin == journals.origin(connection):
            raise Problem(409.3, "This is the centre itself. Start the post in a store of its own.")
        key = bytes.fromhex(enrolment.key)
        centre = Centre(enrolment.origin, key, enrolment.url, enrolment.name, enrolment.secret, _now())
        posts.put_centre(connection, centre)
    return answer_to(node, enrolment.secret)


def answer_to(node: Node, secret: str) -> Answer:
    """Return this node's answer to the enrolment with this secret."""
    with reading(node.engine) as connection:
        origin = journals.origin(connection)
    public = node.keys.public.hex()
    return Answer(_name_of(secret), origin, public, proof_of_answer(secret, origin, public))


def check_url(url: str) -> None:
    """Raise Problem 400.1 unless this is where a server can be, or "" for nowhere."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if url and (not is_right or url != url.strip() or parts.query or parts.fragment):
        raise Problem(400.1, f"{url} is no address of a centre. Give it as https://centre.example.")


def proof_of_answer(secret: str, origin: str, key: str) -> str:
    """Return what only a post can say that has the enrolment."""
    return _proof(secret, origin, key)


def proof_of_confirmation(secret: str, post_key: str, name: str, origin: str, key: str) -> str:
    """Return what only the centre can say that wrote the enrolment, to this post."""
    return _proof(secret, post_key, name, origin, key)


def describe(post: Post) -> dict[str, Any]:
    """Return a post as it is listed, without what is secret."""
    lists = {name: None if names is None else sorted(names) for name, names in _limits(post).items()}
    return {
        "name": post.name,
        "origin": post.origin,
        "key": post.public_key.hex() if post.public_key else None,
        **lists,
        "addedAt": post.added_at,
        "answeredAt": post.answered_at,
        "revokedAt": post.revoked_at,
    }


def _limits(post: Post) -> dict[str, frozenset[str] | None]:
    return {"forms": post.forms, "crossings": post.crossings}


def _post(connection: Connection, name: str) -> Post:
    found = posts.find_post_by_name(connection, name)
    if found is None:
        raise Problem(404.1, f"There is no post {name}.")
    return found


def _leave(connection: Connection, origin: str) -> None:
    """Take a revoked name from a post that comes under another one. Raises Problem 409.3."""
    for other in posts.list_posts(connection):
        if other.origin == origin:
            if other.revoked_at is None:
                raise Problem(409.3, f"This server is the post {other.name} already.")
            posts.put_post(connection, replace(other, origin=None, public_key=None))


def _name_of(secret: str) -> str:
    return hashlib.sha256(f"enrolment\n{secret}".encode()).hexdigest()


def _names(name: str, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest(name.encode(), _name_of(secret).encode())


def _is_proved(post: Post, answer: Answer) -> bool:
    proof = proof_of_answer(post.secret, answer.origin, answer.key)
    return hmac.compare_digest(answer.proof.encode(), proof.encode())


def _proof(secret: str, *said: str) -> str:
    return hmac.digest(secret.encode(), "\n".join(said).encode(), "sha256").hex()


def _set(names: Collection[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""Accounts: users and their sessions (this node's own), app users (state, from the journal)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.tables import app_user, sessions, users

ID_BYTES = 6


@dataclass(frozen=True, slots=True)
class User:
    """A person's account. password_hash: argon2id. one_time: the password must be changed before anything else."""

    id: int
    email: str
    password_hash: str
    role: str
    one_time: bool


@dataclass(frozen=True, slots=True)
class AppUser:
    """A tablet's account; its token is kept as a hash only. ha1: for HTTP Digest."""

    project_id: int
    id: int
    name: str
    username: str
    ha1: str
    created_stamp: int
    revoked: bool


def find_user(connection: Connection, email: str) -> User | None:
    """Return the active user with this address (compared without case), or None."""
    return _user(connection, users.c.email == email.casefold())


def find_user_by_session(connection: Connection, token_sha256: str, now_s: int) -> User | None:
    """Return the active user whose session this is, None when there is none or it has ended."""
    owner = select(sessions.c.user_id).where(
        sessions.c.token_sha256 == token_sha256, sessions.c.expires > now_s
    )
    return _user(connection, users.c.id == owner.scalar_subquery())


def list_users(connection: Connection) -> list[User]:
    """Return all active users by address."""
    rows = connection.execute(_select_users().where(users.c.active.is_(True)).order_by(users.c.email))
    return [User(*row) for row in rows]


def add_user(connection: Connection, email: str, password_hash: str, role: str, *, one_time: bool) -> int:
    """Add a user; return its id, which no other node gives to anybody. Raises sqlalchemy.exc.IntegrityError when the address is taken."""
    values = {"email": email.casefold(), "password_hash": password_hash, "role": role, "one_time": one_time}
    user_id = int.from_bytes(secrets.token_bytes(ID_BYTES))
    connection.execute(insert(users).values(id=user_id, active=True, **values))
    return user_id


def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Replace a password for good and end every session of that user."""
    connection.execute(
        update(users).where(users.c.id == user_id).values(password_hash=password_hash, one_time=False)
    )
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id))


def add_session(connection: Connection, token_sha256: str, user_id: int, expires_s: int, now_s: int) -> None:
    """Add a session, and drop those that have ended."""
    connection.execute(delete(sessions).where(sessions.c.expires <= now_s))
    connection.execute(insert(sessions).values(token_sha256=token_sha256, user_id=user_id, expires=expires_s))


def end_session(connection: Connection, token_sha256: str) -> None:
    """End a session; ending it twice is ending it once."""
    connection.execute(delete(sessions).where(sessions.c.token_sha256 == token_sha256))


def find_app_user(connection: Connection, project_id: int, token_sha256: str) -> AppUser | None:
    """Return the app user of this token in this project, revoked or not, or None."""
    return _app_user(connection, app_user.c.project_id == project_id, app_user.c.token_sha256 == token_sha256)


def find_app_user_by_name(connection: Connection, project_id: int, username: str) -> AppUser | None:
    """Return the app user with this Digest user name, or None."""
    return _app_user(connection, app_user.c.project_id == project_id, app_user.c.username == username)


def list_app_users(connection: Connection, project_id: int) -> Sequence[AppUser]:
    """Return the app users of a project in order of creation, revoked ones included."""
    known = (app_user.c.project_id == project_id, app_user.c.created_stamp > 0)
    query = _select_app_users().where(*known).order_by(app_user.c.created_stamp, app_user.c.id)
    return [AppUser(*row) for row in connection.execute(query)]


def project_app_user(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive an app user from its entries, in whatever order they come: one makes it, one that names its id revokes it.

    What is revoked before it is known stands with the stamp 0 until then.
    """
    key = {"project_id": record.project_id, "id": detail.get("revoked_id") or app_user_id(detail["username"])}
    if "revoked_id" in detail:
        nobody = {"name": "", "username": "", "token_sha256": f"-{key['id']}", "ha1": "", "created_stamp": 0}
        insert_ignore(connection, app_user, [key | nobody | {"revoked": True}])
        change = {"revoked": True}
    else:
        names = ("name", "username", "token_sha256", "ha1")
        change = {name: detail[name] for name in names} | {"created_stamp": record.stamp}
        insert_ignore(connection, app_user, [key | change | {"revoked": False}])
    is_it = (app_user.c[name] == value for name, value in key.items())
    connection.execute(update(app_user).where(*is_it).values(**change))


def app_user_id(username: str) -> int:
    """Return the app user's id, the same at every node: 48 bits, which JSON's readers keep."""
    return int.from_bytes(hashlib.sha256(username.encode()).digest()[:ID_BYTES])


def _select_users() -> Any:
    return select(users.c.id, users.c.email, users.c.password_hash, users.c.role, users.c.one_time)


def _user(connection: Connection, condition: Any) -> User | None:
    row = connection.execute(_select_users().where(condition, users.c.active.is_(True))).first()
    return User(*row) if row else None


def _select_app_users() -> Any:
    return select(*(app_user.c[name] for name in AppUser.__slots__))


def _app_user(connection: Connection, *conditions: Any) -> AppUser | None:
    row = connection.execute(_select_app_users().where(*conditions)).first()
    return AppUser(*row) if row else None

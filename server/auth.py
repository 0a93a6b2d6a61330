"""Who is asking: passwords, sessions, Basic, and the tokens of app users."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from binascii import Error as Base64Error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import BoundedSemaphore, Lock

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import Engine

from server.permissions import Actor, Role
from server.problems import Problem
from server.store import accounts
from server.store.accounts import AppUser, User
from server.store.engine import reading, writing

SESSION_S = 24 * 3600
REMEMBER_S = 2.0
REMEMBERED_MAX = 10_000
PASSWORD_CHARS_MIN = 10
TOKEN_BYTES = 48

# OWASP's second argon2id setting: 19 MiB, so that a login does not double the memory of a post.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = ThreadPoolExecutor(2, "password")
"""Each thread that ever hashed keeps its 19 MiB: whoever tries passwords by the dozen would else take a gigabyte."""
_waiting = BoundedSemaphore(16)
"""And all threads that answer others."""


@cache
def _nobodys_hash() -> str:
    """Made when somebody first signs in: most commands need none, and it takes 19 MiB."""
    return _hasher.hash(secrets.token_hex())


def _if_right(user: User | None, password: str) -> User | None:
    nobodys = _nobodys_hash()  # for known users too, or the first unknown one would wait longer
    try:
        _hasher.verify(user.password_hash if user else nobodys, password)
    except VerifyMismatchError:
        return None
    return user


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as its user sees it once. Times in seconds since 1970, UTC."""

    token: str
    created_s: int
    expires_s: int


def hash_password(password: str) -> str:
    """Return the argon2id hash. Raises Problem 400.1 when the password is too short."""
    if len(password) < PASSWORD_CHARS_MIN:
        raise Problem(400.1, f"A password has at least {PASSWORD_CHARS_MIN} characters.")
    return _hasher.hash(password)


def sha256_hex(token: str) -> str:
    """Return what the store keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """Return 64 characters that nobody guesses and a URL carries unchanged."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Authenticator:
    """Finds the actor behind a request. What was found is remembered for two seconds, failures are not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._remembered: dict[str, tuple[float, Actor]] = {}
        self._salt = secrets.token_hex()

    def recall(self, secret: str) -> Actor | None:
        """Return the actor lately found for this secret, without asking the store."""
        found = self._remembered.get(self._fingerprint(secret))
        return found[1] if found and found[0] > time.monotonic() else None

    def by_token(self, project_id: int, token: str) -> Actor:
        """Return the app user of this token. Raises Problem 401.2 for an unknown one, 403.1 for a revoked one."""
        return self._remember(f"{project_id}/{token}", lambda: self._app_user(project_id, token))

    def by_authorization(self, header: str) -> Actor:
        """Return the user of a `Bearer` or `Basic` header. Raises Problem 401.2."""
        scheme, _, credentials = header.partition(" ")
        match scheme.casefold():
            case "bearer":
                return self._remember(header, lambda: self._by_session(credentials.strip()))
            case "basic":
                return self._remember(header, lambda: actor_of(self.check_password(*_basic(credentials))))
            case _:
                raise Problem(401.2, "Sign in: send a session token (Bearer) or name and password (Basic).")

    def check_password(self, email: str, password: str) -> User:
        """Return the user with this password.

        Raises Problem 401.2, after the same time for an unknown address, and 503.1 when very many sign in at once.
        """
        if "\x00" in email:
            raise Problem(401.2, "The e-mail address or the password is wrong.")
        with reading(self._engine) as connection:
            user = accounts.find_user(connection, email)
        if not _waiting.acquire(blocking=False):
            raise Problem(503.1, "Too many people sign in. Try again.", headers=(("Retry-After", "2"),))
        try:
            found = _hashing.submit(_if_right, user, password).result()
        finally:
            _waiting.release()
        if found is None:
            raise Problem(401.2, "The e-mail address or the password is wrong.")
        return found

    def open_session(self, user: User) -> NewSession:
        """Start a session of a day."""
        now_s = int(time.time())
        session = NewSession(new_token(), now_s, now_s + SESSION_S)
        with writing(self._engine) as connection:
            accounts.add_session(connection, sha256_hex(session.token), user.id, session.expires_s, now_s)
        return session

    def forget(self) -> None:
        """Ask the store again for everybody: an account has changed."""
        with self._lock:
            self._remembered.clear()

    def _app_user(self, project_id: int, token: str) -> Actor:
        with reading(self._engine) as connection:
            found = accounts.find_app_user(connection, project_id, sha256_hex(token))
        return actor_of_app_user(found)

    def _by_session(self, token: str) -> Actor:
        with reading(self._engine) as connection:
            user = accounts.find_user_by_session(connection, sha256_hex(token), int(time.time()))
        if user is None:
            raise Problem(401.2, "The session has ended. Sign in again.")
        return actor_of(user)

    def _remember(self, secret: str, find: Callable[[], Actor]) -> Actor:
        known = self.recall(secret)
        if known is not None:
            return known
        actor = find()
        with self._lock:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[self._fingerprint(secret)] = (time.monotonic() + REMEMBER_S, actor)
        return actor

    def _fingerprint(self, secret: str) -> str:
        return hashlib.sha256((self._salt + secret).encode()).hexdigest()


def actor_of(user: User) -> Actor:
    """Return the actor that a user is."""
    return Actor(user.id, user.email, Role(user.role), one_time=user.one_time)


def actor_of_app_user(found: AppUser | None) -> Actor:
    """Return the actor that an app user is. Raises Problem 401.2 when there is none, 403.1 when it was revoked."""
    if found is None:
        raise Problem(401.2, "This tablet is not known here. Scan its QR code again.")
    if found.revoked:
        raise Problem(403.1, "This tablet's access was withdrawn. Ask your coordinator.")
    return Actor(found.id, found.name, None, found.project_id)


def _basic(credentials: str) -> tuple[str, str]:
    try:
        email, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        raise Problem(401.2, "The Authorization header cannot be read.") from None
    return email, password

"""Who may send and who may look."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, Table, UniqueConstraint

from server.store.tables.columns import METADATA, ROWID, column, key

app_user = Table(
    "app_user",
    METADATA,
    key("project_id", Integer),
    key("id", BigInteger),
    column("name"),
    column("token_sha256"),
    column("username"),
    column("ha1"),
    column("created_stamp", BigInteger),
    column("revoked", Boolean),
    UniqueConstraint("project_id", "token_sha256"),
)
"""A tablet's account. token_sha256: of the secret in its server URL; the secret itself is not kept.

ha1: MD5 of name, realm and generated password, for HTTP Digest (RFC 7616): a Collect on plain http needs it.
"""

users = Table(
    "users",
    METADATA,
    key("id", ROWID, autoincrement=False),
    column("email", unique=True),
    column("password_hash"),
    column("role"),
    column("one_time", Boolean),
    column("active", Boolean, default=True),
)
"""A person's account at this node. one_time: the password must be changed before anything else."""

sessions = Table(
    "sessions",
    METADATA,
    key("token_sha256"),
    column("user_id", ROWID, ForeignKey("users.id")),
    column("expires", BigInteger),
)
"""A bearer token of a user, kept as its hash. expires: seconds since 1970, UTC."""

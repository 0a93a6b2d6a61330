"""Who may send and who may look."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from server.store.tables.keys import ROWID


class AppUser(SQLModel, table=True):
    """A tablet's account. token_sha256: of the secret in its server URL; the secret itself is not kept.

    ha1: MD5 of name, realm and generated password, for HTTP Digest (RFC 7616): a Collect on plain http needs it.
    """

    __tablename__ = "app_user"
    __table_args__ = (UniqueConstraint("project_id", "token_sha256"),)
    project_id: int = Field(primary_key=True)
    id: int = Field(primary_key=True, sa_type=BigInteger)
    name: str
    token_sha256: str
    username: str
    ha1: str
    created_stamp: int = Field(sa_type=BigInteger)
    revoked: bool


class User(SQLModel, table=True):
    """A person's account at this node. one_time: the password must be changed before anything else."""

    __tablename__ = "users"
    id: int = Field(sa_column=Column(ROWID, primary_key=True, autoincrement=False))
    email: str = Field(unique=True)
    password_hash: str
    role: str
    one_time: bool
    active: bool = True


class Session(SQLModel, table=True):
    """A bearer token of a user, kept as its hash. expires: seconds since 1970, UTC."""

    __tablename__ = "sessions"
    token_sha256: str = Field(primary_key=True)
    user_id: int = Field(foreign_key="users.id", sa_type=ROWID)
    expires: int = Field(sa_type=BigInteger)

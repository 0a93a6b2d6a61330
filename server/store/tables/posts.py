"""Who this node relays with: its centre above, its posts below. Settings of this node, no facts."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Text
from sqlmodel import Field, SQLModel


class Post(SQLModel, table=True):
    """A post below this node. Times in ISO 8601, UTC.

    origin, public_key: NULL until it answered its enrolment. secret: of an enrolment that waits for its answer, "" when
    none does. forms, crossings: JSON, lists of what it may send and receive, NULL for all.
    """

    __tablename__ = "post"
    name: str = Field(primary_key=True)
    origin: str | None = Field(unique=True)
    public_key: bytes | None = Field(sa_type=LargeBinary)
    secret: str
    forms: str | None = Field(sa_type=Text)
    crossings: str | None = Field(sa_type=Text)
    added_at: str
    answered_at: str | None
    revoked_at: str | None


class Centre(SQLModel, table=True):
    """The node that this one relays to; one row at a post, none elsewhere.

    name: what the centre calls this post. url: "" when only bundles reach it. secret: as in `post`, until the centre
    has confirmed the answer.
    """

    __tablename__ = "centre"
    id: int = Field(primary_key=True)
    origin: str
    public_key: bytes = Field(sa_type=LargeBinary)
    url: str
    name: str
    secret: str
    since: str

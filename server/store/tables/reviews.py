"""What people said about submissions: reviews, comments, and which that look alike are two records."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel


class Review(SQLModel, table=True):
    """One review. instance_id: any of the submission's. state: NULL sets it back to received.

    upon: JSON list of the digests of the heads that the reviewer had before them.
    """

    __tablename__ = "review"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    state: str | None
    upon: str = Field(sa_type=Text)
    actor_id: int = Field(sa_type=BigInteger)
    actor_name: str
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class Comment(SQLModel, table=True):
    """A comment on a submission. instance_id: any of the submission's."""

    __tablename__ = "comment"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    body: str = Field(sa_type=Text)
    actor_id: int = Field(sa_type=BigInteger)
    actor_name: str
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class Distinction(SQLModel, table=True):
    """That submissions with one key are different records, or (holds False) that this was a mistake.

    One row for each submission named. instance_ids: JSON list of all of them, sorted.
    """

    __tablename__ = "distinction"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    instance_ids: str = Field(sa_type=Text)
    holds: bool
    actor_id: int = Field(sa_type=BigInteger)
    actor_name: str
    stamp: int = Field(sa_type=BigInteger)


class KeyConflict(SQLModel, table=True):
    """Submissions that share a duplicate key.

    instance_ids: JSON list, first received first, with the deleted ones, cut off where it is too long. members: how many
    there are.
    state: open, or decided: at most one is not deleted, or people said that they are different records.
    seen: changes with the submissions. stamp: of the first receipt of the one received last.
    """

    __tablename__ = "key_conflict"
    __table_args__ = (Index("key_conflict_page", "project_id", "form_id", "state", "stamp", "duplicate_key"),)
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    duplicate_key: str = Field(primary_key=True)
    state: str
    instance_ids: str = Field(sa_type=Text)
    members: int
    seen: str
    stamp: int = Field(sa_type=BigInteger)

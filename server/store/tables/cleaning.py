"""The cleaning log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel


class CleaningEntry(SQLModel, table=True):
    """One entry of the log; see `sync.cleaning.Entry`. instance_id: any of the submission's.

    version: the form version that `cell` is named in. old: the clean answer that its author saw. batch: names what was
    entered as one. check_id: the check that found it, "" when none did. remarks: JSON, other columns of a log that was
    imported.
    """

    __tablename__ = "cleaning_entry"
    __table_args__ = (
        Index("cleaning_entry_page", "project_id", "form_id", "stamp", "id"),
        Index("cleaning_entry_batch", "project_id", "form_id", "batch"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    batch: str
    kind: str
    version: str
    cell: str = Field(sa_type=Text)
    old: str = Field(sa_type=Text)
    new: str = Field(sa_type=Text)
    base: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    check_id: str
    supersedes: str = Field(sa_type=Text)
    undoes: str
    remarks: str = Field(sa_type=Text)
    actor_id: int = Field(sa_type=BigInteger)
    actor_name: str


class Recode(SQLModel, table=True):
    """A change to many records that is kept, to be made again to what arrives later.

    edit: JSON, as `server.cleaning.bulk_edit.Edit`. personal: whether its author may see all answers. is_kept: False once it
    was given up. stamp: of the fact that says so.
    """

    __tablename__ = "recode"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    edit: str = Field(sa_type=Text)
    personal: bool
    is_kept: bool
    stamp: int = Field(sa_type=BigInteger)
    actor_id: int = Field(sa_type=BigInteger)
    actor_name: str

"""What was erased for good, and what of it is still to be dropped."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from server.store.tables.keys import rowid


class Erased(SQLModel, table=True):
    """A name that never comes back: an instanceID of a form or, with form_id "", the SHA-256 of bytes."""

    __tablename__ = "erased"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)


class DroppedBlob(SQLModel, table=True):
    """A blob that was deleted here. Whoever found it there just before, and names it just after, must send it again."""

    __tablename__ = "dropped_blob"
    sha256: str = Field(primary_key=True)


class Erasing(SQLModel, table=True):
    """An entry of the journal whose payload and files are to be dropped."""

    __tablename__ = "erasing"
    position: int = Field(sa_column=rowid())

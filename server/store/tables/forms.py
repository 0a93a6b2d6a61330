"""Projects and forms as they are published."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel


class Project(SQLModel, table=True):
    __tablename__ = "project"
    id: int = Field(primary_key=True)
    name: str


class Form(SQLModel, table=True):
    """A form in its current version."""

    __tablename__ = "form"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    name: str
    version: str
    created_stamp: int = Field(sa_type=BigInteger)
    updated_stamp: int = Field(sa_type=BigInteger)


class FormState(SQLModel, table=True):
    """Whether a form is closing or closed; a form without a row is open. stamp: of the fact that says so."""

    __tablename__ = "form_state"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    state: str
    stamp: int = Field(sa_type=BigInteger)


class FormVersion(SQLModel, table=True):
    """A published version; the XForm's bytes stay in the journal at `position`.

    renames: JSON, path in the version before → path here.
    """

    __tablename__ = "form_version"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    name: str
    md5: str
    sha256: str
    marks: str = Field(sa_type=Text)
    sheet_sha256: str
    sheet_name: str
    renames: str = Field(sa_type=Text)
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class FormMedia(SQLModel, table=True):
    """A file that a form reads (a list, an image); changing it makes no new version."""

    __tablename__ = "form_media"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sha256: str
    md5: str
    size: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)

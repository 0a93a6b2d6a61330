"""Drafts of forms and what was sent to test them: of this node alone, no facts, and gone when the draft is."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class FormDraft(SQLModel, table=True):
    """The next version of a form, as its designer last uploaded it.

    id: random, another for each upload; its tests belong to it. token: of the test address, kept readable because
    ODK Central's API shows it again; it opens this draft and nothing else. marks: JSON, as in `form_version`.
    """

    __tablename__ = "form_draft"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    id: str
    token: str
    version: str
    name: str
    md5: str
    sha256: str
    marks: str = Field(sa_type=Text)
    sheet_sha256: str
    sheet_name: str
    created_stamp: int = Field(sa_type=BigInteger)
    updated_stamp: int = Field(sa_type=BigInteger)
    xform: bytes = Field(sa_type=LargeBinary)


class FormDraftMedia(SQLModel, table=True):
    """A file given to a draft, or (sha256 and md5 NULL) taken from it; of others the form's own stand."""

    __tablename__ = "form_draft_media"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sha256: str | None
    md5: str | None
    size: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class FormDraftTest(SQLModel, table=True):
    """What came in for a draft, as the journal would have kept it: read by `server.rehearsal`."""

    __tablename__ = "form_draft_test"
    __table_args__ = (UniqueConstraint("draft_id", "key"),)
    draft_id: str = Field(primary_key=True)
    place: int = Field(primary_key=True, sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    kind: str
    key: bytes
    detail: bytes
    body: bytes = Field(sa_type=LargeBinary)

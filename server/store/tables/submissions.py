"""Submissions, their revisions and files, and what could not be read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from server.store.tables.keys import rowid


class Submission(SQLModel, table=True):
    """The view of one submission: what is shown of its revisions.

    position: of its first entry here, for pages. current_id, current_digest: of the edit received last of those shown.
    version: the form version it is shown in. is_merged: the answers are no single revision's.
    is_joined: people edited it apart, or decided about it. open_conflicts: what people still have to decide.
    review_state: NULL when it was only received. duplicate_key: a hash of the answers that may stand only once
    (`server.store.key_conflicts`), NULL when the form has none or one is blank.
    files: JSON, name → SHA-256 of those shown that are here. problems: JSON list of
    {path, message}. answers: JSON of texts, as `forms.instance.to_json` gives them.
    """

    __tablename__ = "submission"
    __table_args__ = (
        Index("submission_page", "project_id", "form_id", "position"),
        Index("submission_duplicate", "project_id", "form_id", "duplicate_key"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    current_id: str
    current_digest: str
    version: str
    created_stamp: int = Field(sa_type=BigInteger)
    updated_stamp: int = Field(sa_type=BigInteger)
    submitter_id: int | None = Field(sa_type=BigInteger)
    submitter_name: str
    device_id: str
    edits: int
    open_conflicts: int
    parent_missing: bool
    attachments_expected: int
    attachments_present: int
    review_state: str | None
    duplicate_key: str | None
    encrypted: bool
    is_merged: bool
    is_joined: bool
    is_deleted: bool
    files: str = Field(sa_type=Text)
    problems: str = Field(sa_type=Text)
    answers: str = Field(sa_type=Text)


class Revision(SQLModel, table=True):
    """One revision of a submission; its bytes stay in the journal at `position`.

    origin: of the entry: the post that it came in at. kind: see `sync.revision`. parents: JSON list of the digests a
    decision was made upon. cells: JSON of what it decides. reason: what its author wrote. batch: names the decisions
    that were taken as one, "" when it was taken alone.
    """

    __tablename__ = "revision"
    __table_args__ = (
        Index("revision_root", "project_id", "form_id", "root_id"),
        Index("revision_deprecated", "project_id", "form_id", "deprecated_id"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    deprecated_id: str | None
    root_id: str
    version: str
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    origin: str
    submitter_id: int | None = Field(sa_type=BigInteger)
    submitter_name: str
    device_id: str
    kind: str
    parents: str = Field(sa_type=Text)
    cells: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    batch: str
    encrypted: bool


class FormTally(SQLModel, table=True):
    """How much a form has, so that nobody has to count: submissions that are not deleted, what they count, revisions."""

    __tablename__ = "form_tally"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    submissions: int
    edits: int
    open_conflicts: int
    revisions: int


class Unjoined(SQLModel, table=True):
    """A submission of so many revisions that it is joined apart from the step that brought the last one.

    instance_id: as `Revision.root_id`, or what that was before. since: the position of the entry that touched it last.
    """

    __tablename__ = "unjoined"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    since: int = Field(sa_type=BigInteger)


class Conflict(SQLModel, table=True):
    """What people disagree about in one submission.

    id: names it for ever, whatever candidates come. kind, path: see `sync.view`. cells: JSON list. candidates: JSON
    list of {cells: {name: [text, said, is whole]}, revisions: [digest]}; of an open or settled one the first is shown.
    state: open, settled (by `policy`) or resolved (by `decision`: the candidates are those that it was made between).
    decision: digest of the newest one about it that stands, also when the conflict came back since. seen: changes
    with the candidates; who decides says which they saw. stamp: when it became what it is.
    """

    __tablename__ = "conflict"
    __table_args__ = (
        Index("conflict_page", "project_id", "state", "stamp", "id"),
        Index("conflict_id", "project_id", "id"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    kind: str
    path: str
    cells: str = Field(sa_type=Text)
    candidates: str = Field(sa_type=Text)
    policy: str
    state: str
    seen: str
    decision: str
    stamp: int = Field(sa_type=BigInteger)


class ConflictSide(SQLModel, table=True):
    """Which revisions a conflict is between: to list and count conflicts by post and device."""

    __tablename__ = "conflict_side"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)


class Attachment(SQLModel, table=True):
    """A file that arrived with a revision, whose digest it has; the same name with other content is another row."""

    __tablename__ = "attachment"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    content_type: str
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)


class Quarantine(SQLModel, table=True):
    """What came in and could not be read, kept until somebody looks; released once its form is known."""

    __tablename__ = "quarantine"
    position: int = Field(sa_column=rowid())
    project_id: int
    reason: str
    form_id: str
    version: str
    instance_id: str
    digest: str
    size: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    released: bool

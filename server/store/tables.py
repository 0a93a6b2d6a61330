"""The tables, for SQLite and PostgreSQL alike.

`journal` and `node` hold the facts; `users` and `sessions` belong to this node alone; everything else is state,
derived from the journal by `server.projection` and rebuildable from it. State leads its keys with `project_id`.
SQLModel tables do not validate: rows are written by this package only, from values checked at the edge.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

ROWID = BigInteger().with_variant(Integer, "sqlite")


def _rowid() -> Column[int]:
    """A dense key that the committing writer gives: SQLite's own row id, no database sequence."""
    return Column("position", ROWID, primary_key=True, autoincrement=False)


class Node(SQLModel, table=True):
    """This node's identity and the end of its log; locked by whoever appends. One row."""

    __tablename__ = "node"
    id: int = Field(primary_key=True)
    origin: str
    epoch: str
    position: int = Field(sa_type=BigInteger)
    seq: int = Field(sa_type=BigInteger)
    hash: bytes
    stamp: int = Field(sa_type=BigInteger)


class Journal(SQLModel, table=True):
    """Every fact, in the order this node learnt it. detail and body are NULL once erased."""

    __tablename__ = "journal"
    __table_args__ = (UniqueConstraint("origin", "epoch", "seq"), Index("journal_key", "key"))
    position: int = Field(sa_column=_rowid())
    origin: str
    epoch: str
    seq: int = Field(sa_type=BigInteger)
    hash: bytes
    stamp: int = Field(sa_type=BigInteger)
    kind: str
    project_id: int
    key: bytes | None
    payload_hash: bytes
    detail: bytes | None
    body: bytes | None = Field(sa_type=LargeBinary)


class Cursor(SQLModel, table=True):
    """How far a reader of the journal has come."""

    __tablename__ = "cursor"
    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)


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


class Submission(SQLModel, table=True):
    """The view of one submission: what is shown of its revisions.

    position: of its first entry here, for pages. answers: JSON of texts, as `forms.instance.to_json` gives them.
    open_conflicts: differing heads beyond the one shown. problems: JSON list of {path, message}.
    """

    __tablename__ = "submission"
    __table_args__ = (Index("submission_page", "project_id", "form_id", "position"),)
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
    encrypted: bool
    problems: str = Field(sa_type=Text)
    answers: str = Field(sa_type=Text)


class Revision(SQLModel, table=True):
    """One revision of a submission; its bytes stay in the journal at `position`."""

    __tablename__ = "revision"
    __table_args__ = (
        Index("revision_root", "project_id", "form_id", "root_id"),
        Index("revision_deprecated", "project_id", "form_id", "deprecated_id"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    digest: str = Field(primary_key=True)
    content_digest: str
    deprecated_id: str | None
    root_id: str
    version: str
    position: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    submitter_id: int | None = Field(sa_type=BigInteger)
    submitter_name: str
    device_id: str
    media: str = Field(sa_type=Text)
    problems: str = Field(sa_type=Text)
    encrypted: bool


class Attachment(SQLModel, table=True):
    """A file that arrived with a revision; the same name with other content is another row."""

    __tablename__ = "attachment"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    content_type: str
    position: int = Field(sa_type=BigInteger)


class Quarantine(SQLModel, table=True):
    """What came in and could not be read, kept until somebody looks; released once its form is known."""

    __tablename__ = "quarantine"
    position: int = Field(sa_column=_rowid())
    project_id: int
    reason: str
    form_id: str
    version: str
    instance_id: str
    digest: str
    size: int = Field(sa_type=BigInteger)
    stamp: int = Field(sa_type=BigInteger)
    released: bool


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
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(unique=True)
    password_hash: str
    role: str
    one_time: bool
    active: bool = True


class Session(SQLModel, table=True):
    """A bearer token of a user, kept as its hash. expires: seconds since 1970, UTC."""

    __tablename__ = "sessions"
    token_sha256: str = Field(primary_key=True)
    user_id: int = Field(foreign_key="users.id")
    expires: int = Field(sa_type=BigInteger)


# Statements are written over these (SQLAlchemy Core); the classes above say what the columns hold.
node = SQLModel.metadata.tables["node"]
journal = SQLModel.metadata.tables["journal"]
cursor = SQLModel.metadata.tables["cursor"]
project = SQLModel.metadata.tables["project"]
form = SQLModel.metadata.tables["form"]
form_version = SQLModel.metadata.tables["form_version"]
form_media = SQLModel.metadata.tables["form_media"]
submission = SQLModel.metadata.tables["submission"]
revision = SQLModel.metadata.tables["revision"]
attachment = SQLModel.metadata.tables["attachment"]
quarantine = SQLModel.metadata.tables["quarantine"]
app_user = SQLModel.metadata.tables["app_user"]
users = SQLModel.metadata.tables["users"]
sessions = SQLModel.metadata.tables["sessions"]

STATE = (
    project,
    form,
    form_version,
    form_media,
    submission,
    revision,
    attachment,
    quarantine,
    app_user,
    cursor,
)
"""What `server.projection` derives from the journal, and may delete to derive it again."""

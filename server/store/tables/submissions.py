"""Submissions, their revisions and files, and what could not be read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, Table, Text

from server.store.tables.columns import METADATA, ROWID, column, key, optional

submission = Table(
    "submission",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    column("position", BigInteger),
    column("current_id"),
    column("current_digest"),
    column("version"),
    column("created_stamp", BigInteger),
    column("updated_stamp", BigInteger),
    optional("submitter_id", BigInteger),
    column("submitter_name"),
    column("device_id"),
    column("edits", Integer),
    column("open_conflicts", Integer),
    column("parent_missing", Boolean),
    column("attachments_expected", Integer),
    column("attachments_present", Integer),
    optional("review_state"),
    optional("duplicate_key"),
    column("encrypted", Boolean),
    column("is_merged", Boolean),
    column("is_joined", Boolean),
    column("is_deleted", Boolean),
    column("files", Text),
    column("problems", Text),
    column("answers", Text),
    Index("submission_page", "project_id", "form_id", "position"),
    Index("submission_duplicate", "project_id", "form_id", "duplicate_key"),
)
"""The view of one submission: what is shown of its revisions.

position: of its first entry here, for pages. current_id, current_digest: of the edit received last of those shown.
version: the form version it is shown in. is_merged: the answers are no single revision's. is_joined: people edited
it apart, or decided about it. open_conflicts: what people still have to decide. review_state: NULL when it was only
received. duplicate_key: a hash of the answers that may stand only once (`server.store.key_conflicts`), NULL when
the form has none or one is blank. files: JSON, name → SHA-256 of those shown that are here. problems: JSON list of
{path, message}. answers: JSON of texts, as `forms.instance.to_json` gives them.
"""

revision = Table(
    "revision",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("digest"),
    optional("deprecated_id"),
    column("root_id"),
    column("version"),
    column("position", BigInteger),
    column("stamp", BigInteger),
    column("origin"),
    optional("submitter_id", BigInteger),
    column("submitter_name"),
    column("device_id"),
    column("kind"),
    column("parents", Text),
    column("cells", Text),
    column("reason", Text),
    column("batch"),
    column("encrypted", Boolean),
    Index("revision_root", "project_id", "form_id", "root_id"),
    Index("revision_deprecated", "project_id", "form_id", "deprecated_id"),
)
"""One revision of a submission; its bytes stay in the journal at `position`.

origin: of the entry: the post that it came in at. kind: see `sync.revision`. parents: JSON list of the digests a
decision was made upon. cells: JSON of what it decides. reason: what its author wrote. batch: names the decisions
that were taken as one, "" when it was taken alone.
"""

form_tally = Table(
    "form_tally",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("submissions", Integer),
    column("edits", Integer),
    column("open_conflicts", Integer),
    column("revisions", Integer),
)
"""How much a form has, so that nobody has to count: submissions that are not deleted, what they count, revisions."""

unjoined = Table(
    "unjoined",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    column("since", BigInteger),
)
"""A submission of so many revisions that it is joined apart from the step that brought the last one.

instance_id: as `root_id` of `revision`, or what that was before. since: the position of the entry that touched it last.
"""

conflict = Table(
    "conflict",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    column("kind"),
    column("path"),
    column("cells", Text),
    column("candidates", Text),
    column("policy"),
    column("state"),
    column("seen"),
    column("decision"),
    column("stamp", BigInteger),
    Index("conflict_page", "project_id", "state", "stamp", "id"),
    Index("conflict_id", "project_id", "id"),
)
"""What people disagree about in one submission.

id: names it for ever, whatever candidates come. kind, path: see `sync.view`. cells: JSON list. candidates: JSON
list of {cells: {name: [text, said, is whole]}, revisions: [digest]}; of an open or settled one the first is shown.
state: open, settled (by `policy`) or resolved (by `decision`: the candidates are those that it was made between).
decision: digest of the newest one about it that stands, also when the conflict came back since. seen: changes with
the candidates; who decides says which they saw. stamp: when it became what it is.
"""

conflict_side = Table(
    "conflict_side",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    key("digest"),
)
"""Which revisions a conflict is between: to list and count conflicts by post and device."""

attachment = Table(
    "attachment",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("digest"),
    key("name"),
    key("sha256"),
    column("size", BigInteger),
    column("content_type"),
    column("position", BigInteger),
    column("stamp", BigInteger),
)
"""A file that arrived with a revision, whose digest it has; the same name with other content is another row."""

quarantine = Table(
    "quarantine",
    METADATA,
    key("position", ROWID, autoincrement=False),
    column("project_id", Integer),
    column("reason"),
    column("form_id"),
    column("version"),
    column("instance_id"),
    column("digest"),
    column("size", BigInteger),
    column("stamp", BigInteger),
    column("released", Boolean),
)
"""What came in and could not be read, kept until somebody looks; released once its form is known."""

"""Drafts of forms and what was sent to test them: of this node alone, no facts, and gone when the draft is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary, Table, Text, UniqueConstraint

from server.store.tables.columns import METADATA, column, key, optional

form_draft = Table(
    "form_draft",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    column("id"),
    column("token"),
    column("version"),
    column("name"),
    column("md5"),
    column("sha256"),
    column("marks", Text),
    column("sheet_sha256"),
    column("sheet_name"),
    column("created_stamp", BigInteger),
    column("updated_stamp", BigInteger),
    column("xform", LargeBinary),
)
"""The next version of a form, as its designer last uploaded it.

id: random, another for each upload; its tests belong to it. token: of the test address, kept readable because ODK
Central's API shows it again; it opens this draft and nothing else. marks: JSON, as in `form_version`.
"""

form_draft_media = Table(
    "form_draft_media",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("name"),
    optional("sha256"),
    optional("md5"),
    column("size", BigInteger),
    column("stamp", BigInteger),
)
"""A file given to a draft, or (sha256 and md5 NULL) taken from it; of others the form's own stand."""

form_draft_test = Table(
    "form_draft_test",
    METADATA,
    key("draft_id"),
    key("place", BigInteger),
    column("stamp", BigInteger),
    column("kind"),
    column("key", LargeBinary),
    column("detail", LargeBinary),
    column("body", LargeBinary),
    UniqueConstraint("draft_id", "key"),
)
"""What came in for a draft, as the journal would have kept it: read by `server.rehearsal`."""

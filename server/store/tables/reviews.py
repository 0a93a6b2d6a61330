"""What people said about submissions: reviews, comments, and which that look alike are two records."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key, optional

review = Table(
    "review",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    optional("state"),
    column("upon", Text),
    column("actor_id", BigInteger),
    column("actor_name"),
    column("position", BigInteger),
    column("stamp", BigInteger),
)
"""One review. instance_id: any of the submission's. state: NULL sets it back to received.

upon: JSON list of the digests of the heads that the reviewer had before them.
"""

comment = Table(
    "comment",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    column("body", Text),
    column("actor_id", BigInteger),
    column("actor_name"),
    column("position", BigInteger),
    column("stamp", BigInteger),
)
"""A comment on a submission. instance_id: any of the submission's."""

distinction = Table(
    "distinction",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("id"),
    column("instance_ids", Text),
    column("holds", Boolean),
    column("actor_id", BigInteger),
    column("actor_name"),
    column("stamp", BigInteger),
)
"""That submissions with one key are different records, or (holds False) that this was a mistake.

One row for each submission named. instance_ids: JSON list of all of them, sorted.
"""

key_conflict = Table(
    "key_conflict",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("duplicate_key"),
    column("state"),
    column("instance_ids", Text),
    column("members", Integer),
    column("seen"),
    column("stamp", BigInteger),
    Index("key_conflict_page", "project_id", "form_id", "state", "stamp", "duplicate_key"),
)
"""Submissions that share a duplicate key.

instance_ids: JSON list, first received first, with the deleted ones, cut off where it is too long. members: how
many there are. state: open, or decided: at most one is not deleted, or people said that they are different records.
seen: changes with the submissions. stamp: of the first receipt of the one received last.
"""

"""The tables, for SQLite and PostgreSQL alike.

`journal` and `node` hold the facts; `users`, `sessions`, `post`, `centre` and drafts belong to this node alone;
everything else is state, derived from the journal by `server.projection` and rebuildable from it. State leads its keys
with `project_id`. Tables do not validate: rows are written by this package only, from values checked at the edge.
"""

from __future__ import annotations

from server.store.tables.accounts import app_user, sessions, users
from server.store.tables.cleaning import cleaning_entry, recode
from server.store.tables.columns import METADATA
from server.store.tables.days import day_said
from server.store.tables.drafts import form_draft, form_draft_media, form_draft_test
from server.store.tables.entities import dataset, dataset_property, entity, entity_write, listed
from server.store.tables.erasures import dropped_blob, erased, erasing
from server.store.tables.facts import cursor, dictionary, journal, node
from server.store.tables.findings import finding
from server.store.tables.forms import form, form_media, form_state, form_version, project
from server.store.tables.plans import slot_plan
from server.store.tables.posts import centre, post
from server.store.tables.relay import (
    asked,
    asked_again,
    audit,
    due,
    fork,
    held_file,
    log_range,
    lost,
    mark,
    mention,
    peer,
    purge_policy,
    purged,
    signed_head,
    unsure,
    wanted,
)
from server.store.tables.reviews import comment, distinction, key_conflict, review
from server.store.tables.submissions import (
    attachment,
    conflict,
    conflict_side,
    form_tally,
    quarantine,
    revision,
    submission,
    unjoined,
)

__all__ = [
    "METADATA",
    "STATE",
    "app_user",
    "asked",
    "asked_again",
    "attachment",
    "audit",
    "centre",
    "cleaning_entry",
    "comment",
    "conflict",
    "conflict_side",
    "cursor",
    "dataset",
    "dataset_property",
    "day_said",
    "dictionary",
    "distinction",
    "dropped_blob",
    "due",
    "entity",
    "entity_write",
    "erased",
    "erasing",
    "finding",
    "fork",
    "form",
    "form_draft",
    "form_draft_media",
    "form_draft_test",
    "form_media",
    "form_state",
    "form_tally",
    "form_version",
    "held_file",
    "journal",
    "key_conflict",
    "listed",
    "log_range",
    "lost",
    "mark",
    "mention",
    "node",
    "peer",
    "post",
    "project",
    "purge_policy",
    "purged",
    "quarantine",
    "recode",
    "review",
    "revision",
    "sessions",
    "signed_head",
    "slot_plan",
    "submission",
    "unjoined",
    "unsure",
    "users",
    "wanted",
]

STATE = (
    project,
    form,
    form_state,
    form_version,
    form_media,
    submission,
    revision,
    form_tally,
    unjoined,
    conflict,
    conflict_side,
    attachment,
    quarantine,
    dataset,
    dataset_property,
    entity,
    entity_write,
    listed,
    review,
    comment,
    distinction,
    key_conflict,
    cleaning_entry,
    finding,
    recode,
    day_said,
    slot_plan,
    erased,
    erasing,
    app_user,
    cursor,
)
"""What `server.projection` derives from the journal, and may delete to derive it again."""

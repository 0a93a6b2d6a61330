"""The tables, for SQLite and PostgreSQL alike.

`journal` and `node` hold the facts; `users`, `sessions`, `post`, `centre` and drafts belong to this node alone; everything else is state,
derived from the journal by `server.projection` and rebuildable from it. State leads its keys with `project_id`.
SQLModel tables do not validate: rows are written by this package only, from values checked at the edge.
"""

from __future__ import annotations

from sqlmodel import SQLModel

from server.store.tables import (
    accounts,
    cleaning,
    days,
    drafts,
    entities,
    erasures,
    facts,
    findings,
    forms,
    plans,
    posts,
    relay,
    reviews,
    submissions,
)

__all__ = [
    "accounts",
    "cleaning",
    "days",
    "drafts",
    "entities",
    "erasures",
    "facts",
    "findings",
    "forms",
    "plans",
    "posts",
    "relay",
    "reviews",
    "submissions",
]

# Statements are written over these (SQLAlchemy Core); the classes above say what the columns hold.
node = SQLModel.metadata.tables["node"]
journal = SQLModel.metadata.tables["journal"]
dictionary = SQLModel.metadata.tables["dictionary"]
cursor = SQLModel.metadata.tables["cursor"]
log_range = SQLModel.metadata.tables["log_range"]
fork = SQLModel.metadata.tables["fork"]
signed_head = SQLModel.metadata.tables["signed_head"]
mention = SQLModel.metadata.tables["mention"]
due = SQLModel.metadata.tables["due"]
peer = SQLModel.metadata.tables["peer"]
wanted = SQLModel.metadata.tables["wanted"]
lost = SQLModel.metadata.tables["lost"]
audit = SQLModel.metadata.tables["audit"]
purge_policy = SQLModel.metadata.tables["purge_policy"]
purged = SQLModel.metadata.tables["purged"]
held_file = SQLModel.metadata.tables["held_file"]
mark = SQLModel.metadata.tables["mark"]
asked = SQLModel.metadata.tables["asked"]
asked_again = SQLModel.metadata.tables["asked_again"]
unsure = SQLModel.metadata.tables["unsure"]
project = SQLModel.metadata.tables["project"]
form = SQLModel.metadata.tables["form"]
form_state = SQLModel.metadata.tables["form_state"]
form_version = SQLModel.metadata.tables["form_version"]
form_media = SQLModel.metadata.tables["form_media"]
form_draft = SQLModel.metadata.tables["form_draft"]
form_draft_media = SQLModel.metadata.tables["form_draft_media"]
form_draft_test = SQLModel.metadata.tables["form_draft_test"]
submission = SQLModel.metadata.tables["submission"]
revision = SQLModel.metadata.tables["revision"]
form_tally = SQLModel.metadata.tables["form_tally"]
unjoined = SQLModel.metadata.tables["unjoined"]
conflict = SQLModel.metadata.tables["conflict"]
conflict_side = SQLModel.metadata.tables["conflict_side"]
attachment = SQLModel.metadata.tables["attachment"]
quarantine = SQLModel.metadata.tables["quarantine"]
dataset = SQLModel.metadata.tables["dataset"]
dataset_property = SQLModel.metadata.tables["dataset_property"]
entity = SQLModel.metadata.tables["entity"]
listed = SQLModel.metadata.tables["listed"]
entity_write = SQLModel.metadata.tables["entity_write"]
review = SQLModel.metadata.tables["review"]
comment = SQLModel.metadata.tables["comment"]
distinction = SQLModel.metadata.tables["distinction"]
key_conflict = SQLModel.metadata.tables["key_conflict"]
finding = SQLModel.metadata.tables["finding"]
recode = SQLModel.metadata.tables["recode"]
day_said = SQLModel.metadata.tables["day_said"]
slot_plan = SQLModel.metadata.tables["slot_plan"]
cleaning_entry = SQLModel.metadata.tables["cleaning_entry"]
erased = SQLModel.metadata.tables["erased"]
dropped_blob = SQLModel.metadata.tables["dropped_blob"]
erasing = SQLModel.metadata.tables["erasing"]
app_user = SQLModel.metadata.tables["app_user"]
users = SQLModel.metadata.tables["users"]
sessions = SQLModel.metadata.tables["sessions"]
post = SQLModel.metadata.tables["post"]
centre = SQLModel.metadata.tables["centre"]

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

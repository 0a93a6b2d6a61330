"""Deriving a form's submissions from what arrived: which rows its revisions and attachments make.

Computed on a connection that only reads; what it changes comes back as functions of one that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, delete, or_, select, update

from server.store import quarantine
from server.store.dialect import insert_ignore, upsert
from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import attachment, revision, submission
from sync.history import History, components, history
from sync.revision import Revision

Change = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class NewRevision:
    """A revision just read from its entry. answers, problems, media: JSON."""

    record: Record
    detail: Mapping[str, Any]
    revision: Revision
    answers: str
    problems: str
    media: str
    encrypted: bool

    @property
    def form(self) -> FormKey:
        return (self.record.project_id, self.detail["form_id"])

    @property
    def row(self) -> dict[str, Any]:
        """The columns of `revision`, but for root_id."""
        return {
            "project_id": self.record.project_id,
            "form_id": self.detail["form_id"],
            "instance_id": self.revision.instance_id,
            "digest": self.revision.digest,
            "content_digest": self.revision.content_digest,
            "deprecated_id": self.revision.deprecated_id,
            "version": self.detail["version"],
            "position": self.record.position,
            "stamp": self.record.stamp,
            "submitter_id": self.detail["submitter_id"],
            "submitter_name": self.detail["submitter_name"],
            "device_id": self.detail["device_id"],
            "media": self.media,
            "problems": self.problems,
            "encrypted": self.encrypted,
        }


def changes(
    connection: Connection,
    new: Sequence[NewRevision],
    attachments: Sequence[Mapping[str, Any]],
    quarantined: Sequence[Mapping[str, Any]],
    released: Sequence[Record],
    read_again: Callable[[int], NewRevision],
) -> list[Change]:
    """Return what these arrivals change, computed on `connection` (which only reads).

    read_again: reads the revision whose entry stands at a position, for a head that is shown once more.
    """
    done: list[Change] = [
        partial(insert_ignore, table=attachment, rows=attachments),
        partial(quarantine.keep, rows=quarantined),
    ]
    if released:
        done.append(partial(quarantine.release, released=released))
    touched: dict[FormKey, set[str]] = {}
    for one in new:
        touched.setdefault(one.form, set()).update(
            name for name in (one.revision.instance_id, one.revision.deprecated_id) if name
        )
    for row in attachments:
        touched.setdefault((row["project_id"], row["form_id"]), set()).add(row["instance_id"])
    for form, names in touched.items():
        of_this = [one for one in new if one.form == form]
        arrived = [row for row in attachments if (row["project_id"], row["form_id"]) == form]
        done += _changes_of_form(connection, form, names, of_this, arrived, read_again)
    return done


def _changes_of_form(
    connection: Connection,
    form: FormKey,
    names: set[str],
    new: Sequence[NewRevision],
    arrived: Sequence[Mapping[str, Any]],
    read_again: Callable[[int], NewRevision],
) -> list[Change]:
    stored = _connected(connection, form, names)
    rows = {(row["instance_id"], row["digest"]): row for row in stored}
    fresh = {(one.revision.instance_id, one.revision.digest): one for one in new}
    fresh = {key: one for key, one in fresh.items() if key not in rows}
    before = {str(row["root_id"]) for row in stored}
    present = _present(connection, form, {key[0] for key in [*rows, *fresh]}, arrived)
    inserts, moved, upserts = [], [], []
    everything = [one.revision for one in fresh.values()] + [_revision(row) for row in stored]
    for group in components(everything):
        past = history(group)
        members: list[Mapping[str, Any]] = []
        for one in group:
            key = (one.instance_id, one.digest)
            if key in fresh:
                members.append(fresh[key].row)
                inserts.append(fresh[key].row | {"root_id": past.instance_id})
            else:
                members.append(rows[key])
                if rows[key]["root_id"] != past.instance_id:
                    moved.append((key, past.instance_id))
        shown_key = (past.shown.instance_id, past.shown.digest)
        shown = fresh.get(shown_key) or read_again(rows[shown_key]["position"])
        upserts.append(_submission_row(past, members, shown, present))
        before.discard(past.instance_id)
    return [
        partial(insert_ignore, table=revision, rows=inserts),
        partial(_move, form=form, moved=moved),
        partial(_forget, form=form, roots=before),
        partial(upsert, table=submission, rows=upserts),
    ]


def _submission_row(
    past: History, members: Sequence[Mapping[str, Any]], shown: NewRevision, present: Mapping[str, set[str]]
) -> dict[str, Any]:
    first = min(members, key=lambda row: (row["stamp"], row["digest"]))
    here = set().union(*(present.get(row["instance_id"], set()) for row in members))
    expected = set(orjson.loads(shown.media))
    return {
        "project_id": shown.record.project_id,
        "form_id": shown.detail["form_id"],
        "instance_id": past.instance_id,
        "position": min(row["position"] for row in members),
        "current_id": past.shown.instance_id,
        "current_digest": past.shown.digest,
        "version": shown.detail["version"],
        "created_stamp": first["stamp"],
        "updated_stamp": max(row["stamp"] for row in members),
        "submitter_id": first["submitter_id"],
        "submitter_name": first["submitter_name"],
        "device_id": first["device_id"],
        "edits": past.edits,
        "open_conflicts": len(past.heads) - 1,
        "parent_missing": past.parent_missing,
        "attachments_expected": len(expected),
        "attachments_present": len(expected & here),
        "review_state": "edited" if past.edits else None,
        "encrypted": shown.encrypted,
        "problems": shown.problems,
        "answers": shown.answers,
    }


def _connected(connection: Connection, form: FormKey, names: set[str]) -> list[dict[str, Any]]:
    """All stored revisions of the submissions that any of these instanceIDs belongs to."""
    roots: set[str] = set()
    for some in chunks(names):
        linked = or_(revision.c.instance_id.in_(some), revision.c.deprecated_id.in_(some))
        roots.update(
            connection.execute(select(revision.c.root_id).where(*of_form(revision, form), linked)).scalars()
        )
    rows: list[dict[str, Any]] = []
    for some in chunks(roots):
        query = select(revision).where(*of_form(revision, form), revision.c.root_id.in_(some))
        rows += [dict(row) for row in connection.execute(query).mappings()]
    return rows


def _present(
    connection: Connection, form: FormKey, names: set[str], arrived: Sequence[Mapping[str, Any]]
) -> dict[str, set[str]]:
    """File names that are here, by instanceID."""
    here: dict[str, set[str]] = {}
    for some in chunks(names):
        query = select(attachment.c.instance_id, attachment.c.name).where(
            *of_form(attachment, form), attachment.c.instance_id.in_(some)
        )
        for instance_id, name in connection.execute(query):
            here.setdefault(instance_id, set()).add(name)
    for row in arrived:
        here.setdefault(row["instance_id"], set()).add(row["name"])
    return here


def _revision(row: Mapping[str, Any]) -> Revision:
    return Revision(
        row["instance_id"], row["digest"], row["content_digest"], row["deprecated_id"], row["stamp"]
    )


def _move(connection: Connection, form: FormKey, moved: Sequence[tuple[tuple[str, str], str]]) -> None:
    for (instance_id, digest), root_id in moved:
        connection.execute(
            update(revision)
            .where(
                *of_form(revision, form), revision.c.instance_id == instance_id, revision.c.digest == digest
            )
            .values(root_id=root_id)
        )


def _forget(connection: Connection, form: FormKey, roots: set[str]) -> None:
    """Submissions that turned out to be edits of another one."""
    for some in chunks(roots):
        connection.execute(
            delete(submission).where(*of_form(submission, form), submission.c.instance_id.in_(some))
        )


def attachment_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `attachment` for an entry."""
    names = ("form_id", "instance_id", "name", "sha256", "size", "content_type")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "position": record.position,
    }

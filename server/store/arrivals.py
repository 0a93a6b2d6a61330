"""Deriving a form's submissions from what arrived: which rows its revisions, decisions and attachments make.

Computed on a connection that only reads; what it changes comes back as functions of one that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, delete, or_, select, update

from forms import instance
from forms.document import Document
from forms.duplicate_key import duplicate_key
from forms.instance import Tree
from forms.recheck import Recheck
from forms.schema import FormSchema
from server import merging
from server.merging import FormLine, Merged, Read
from server.store import conflicts, key_conflicts, quarantine, reviews, tallies
from server.store.dialect import insert_ignore, upsert
from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form, revision_of
from server.store.tables import attachment, review, revision, submission
from sync.history import components, history
from sync.review import Review, review_state
from sync.revision import Revision, RevisionKind

Change = Callable[[Connection], None]
Members = Mapping[str, Mapping[str, Any]]
"""Rows of `revision` by digest."""


@dataclass(frozen=True, slots=True)
class NewRevision:
    """A revision just read from its entry.

    answers, problems: JSON. media: the file names that the answers mention. read: the answers as a document, and the
    schema they were read with; None when nobody here can read them, and for decisions. cells: JSON of what a decision
    gives. entity_writes: rows of that table.
    """

    record: Record
    detail: Mapping[str, Any]
    revision: Revision
    read: tuple[Document, FormSchema] | None = None
    answers: str = "{}"
    problems: str = "[]"
    media: frozenset[str] = frozenset()
    encrypted: bool = False
    cells: str = "{}"
    entity_writes: Sequence[Mapping[str, Any]] = ()

    @property
    def tree(self) -> Tree | None:
        """The typed answers; made anew each time, as most revisions never need them."""
        return instance.from_json(*self.read) if self.read else None

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
            "deprecated_id": self.revision.deprecated_id,
            "version": self.detail["version"],
            "position": self.record.position,
            "stamp": self.record.stamp,
            "origin": self.record.origin,
            "submitter_id": self.detail["submitter_id"],
            "submitter_name": self.detail["submitter_name"],
            "device_id": self.detail["device_id"],
            "kind": self.revision.kind.value,
            "parents": orjson.dumps(self.revision.parents).decode(),
            "cells": self.cells,
            "reason": self.detail.get("reason", ""),
            "batch": self.detail.get("batch", ""),
            "encrypted": self.encrypted,
        }


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what is already stored comes from.

    read_again: reads the revision whose entry stands at a position. line: all versions of a form. logic: what a
    version of it calculates and allows.
    """

    read_again: Callable[[int], NewRevision]
    line: Callable[[FormKey], FormLine]
    logic: Callable[[FormKey, str], Recheck]


def joined_again(connection: Connection, form: FormKey, sources: Sources) -> list[Change]:
    """Return what changes in a form's submissions of several people when a list that the form reads has changed."""
    query = select(submission.c.instance_id).where(*of_form(submission, form), submission.c.is_joined)
    names = set(connection.execute(query).scalars())
    return _changes_of_form(connection, form, names, [], [], [], sources)


def changes(
    connection: Connection,
    new: Sequence[NewRevision],
    attachments: Sequence[Mapping[str, Any]],
    reviewed: Sequence[Mapping[str, Any]],
    quarantined: Sequence[Mapping[str, Any]],
    released: Sequence[Record],
    sources: Sources,
) -> list[Change]:
    """Return what these arrivals change, computed on `connection` (which only reads)."""
    done: list[Change] = [
        partial(insert_ignore, table=attachment, rows=attachments),
        partial(insert_ignore, table=review, rows=reviewed),
        partial(quarantine.keep, rows=quarantined),
    ]
    if released:
        done.append(partial(quarantine.release, released=released))
    touched: dict[FormKey, set[str]] = {}
    for one in new:
        touched.setdefault(one.form, set()).update(_names(one.revision))
    for row in (*attachments, *reviewed):
        touched.setdefault((row["project_id"], row["form_id"]), set()).add(row["instance_id"])
    for form, names in touched.items():
        of_this = [one for one in new if one.form == form]
        arrived, heard = (
            [row for row in rows if (row["project_id"], row["form_id"]) == form]
            for rows in (attachments, reviewed)
        )
        done += _changes_of_form(connection, form, names, of_this, arrived, heard, sources)
    return done


def _changes_of_form(
    connection: Connection,
    form: FormKey,
    names: set[str],
    new: Sequence[NewRevision],
    arrived: Sequence[Mapping[str, Any]],
    reviewed: Sequence[Mapping[str, Any]],
    sources: Sources,
) -> list[Change]:
    stored = {row["digest"]: row for row in _connected(connection, form, names)}
    fresh: dict[str, NewRevision] = {}
    for one in new:
        if one.revision.digest not in stored:
            fresh.setdefault(one.revision.digest, one)
    roots = {str(row["root_id"]) for row in stored.values()}
    touched = set(roots)
    rows: dict[str, Mapping[str, Any]] = {**stored, **{digest: one.row for digest, one in fresh.items()}}
    files = _files(connection, form, {row["instance_id"] for row in rows.values()}, arrived)
    known = [revision_of(row) for row in rows.values()]
    heard = _reviews(connection, form, known, reviewed)
    keys = key_conflicts.keys_of(connection, form, roots)
    inserts, moved, upserts, contests = [], [], [], []
    contested = set()

    def read(digest: str) -> NewRevision:
        return fresh.get(digest) or sources.read_again(stored[digest]["position"])

    for group in components(known):
        members = {one.digest: rows[one.digest] for one in group}
        said = {said for one in group for name in _names(one) for said in heard.get(name, ())}
        row: dict[str, Any] | None
        if len(group) == 1 and group[0].kind is RevisionKind.EDIT:
            root, row = _single(read(group[0].digest), files, said)
        else:
            reads = [read(one.digest) for one in group]
            merged = merging.merge(
                sources.line(form), [_read(one, files) for one in reads], partial(sources.logic, form)
            )
            root = merged.view.history.instance_id
            row = _merged(merged, members, {one.revision.digest: one for one in reads}, said)
            about = {
                one.revision.digest: one.detail["conflict"] for one in reads if one.detail.get("conflict")
            }
            contests += conflicts.rows_of(form, merged.view, about, members)
            contested.add(root)
        if row is not None:
            upserts.append(row)
            keys.update(filter(None, [row["duplicate_key"]]))
            roots.discard(root)
        touched.add(root)
        for digest, member in members.items():
            if digest in fresh:
                inserts.append({**member, "root_id": root})
            elif member["root_id"] != root:
                moved.append((digest, root))
    records: list[Change] = [
        partial(insert_ignore, table=revision, rows=inserts),
        partial(_move, form=form, moved=moved),
        partial(_forget, form=form, roots=roots),
        partial(upsert, table=submission, rows=upserts),
    ]
    return [
        partial(_keeping_tally, form=form, roots=touched, changes=records),
        partial(conflicts.replace, form=form, roots=contested | roots, rows=contests),
        partial(key_conflicts.refresh, form=form, keys=keys),
    ]


@dataclass(frozen=True, slots=True)
class Files:
    """The files that are here: name → SHA-256 by the digest of the revision that they came with, and by instanceID.

    Of two with one name it is the later.
    """

    of_instance: dict[str, dict[str, str]] = field(default_factory=dict)
    of_revision: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, one: Revision) -> Mapping[str, str]:
        """Its own files, and of those that it did not bring what others of its instanceID brought."""
        return self.of_instance.get(one.instance_id, {}) | self.of_revision.get(one.digest, {})


def _single(only: NewRevision, files: Files, said: Collection[Review]) -> tuple[str, dict[str, Any]]:
    """The submission of one revision: its own answers, without a look at the cells."""
    past = only.revision
    missing = past.deprecated_id if past.deprecated_id != past.instance_id else None
    root = missing or past.instance_id
    shown = {name: sha256 for name, sha256 in files.of(past).items() if name in only.media}
    return root, _about([only.row]) | {
        "instance_id": root,
        "current_id": past.instance_id,
        "current_digest": past.digest,
        "version": only.detail["version"],
        "edits": 0,
        "open_conflicts": 0,
        "parent_missing": missing is not None,
        "attachments_expected": len(only.media),
        "attachments_present": len(shown),
        "review_state": review_state(said, history([past]), 1, 0) if said else None,
        "duplicate_key": duplicate_key(*only.read) if only.read else None,
        "encrypted": only.encrypted,
        "is_merged": False,
        "is_joined": False,
        "is_deleted": False,
        "files": orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode(),
        "problems": only.problems,
        "answers": only.answers,
    }


def _merged(
    merged: Merged, members: Members, reads: Mapping[str, NewRevision], said: Collection[Review]
) -> dict[str, Any] | None:
    """The submission of several revisions; None while there are only decisions about it."""
    seen, current = merged.view, merged.current
    if current is None:
        return None
    shown = reads[current.digest]
    is_own = shown.encrypted or merged.is_single
    answers, version, problems = shown.answers, shown.detail["version"], orjson.loads(shown.problems)
    if not is_own:
        answers, version = orjson.dumps(merged.document).decode(), merged.schema.version
        problems = merging.problems(merged)
    edits = [row for row in members.values() if row["kind"] == RevisionKind.EDIT]
    return _about(edits) | {
        "instance_id": seen.history.instance_id,
        "current_id": current.instance_id,
        "current_digest": current.digest,
        "version": version,
        "edits": seen.edits,
        "open_conflicts": len(seen.conflicts),
        "parent_missing": seen.history.parent_missing,
        "attachments_expected": len(merged.named),
        "attachments_present": len(merged.files),
        "review_state": review_state(said, seen.history, seen.said, seen.edits),
        "duplicate_key": duplicate_key(merged.document, merged.schema),
        "encrypted": shown.encrypted,
        "is_merged": not is_own,
        "is_joined": seen.is_joined,
        "is_deleted": seen.is_deleted,
        "files": orjson.dumps(merged.files, option=orjson.OPT_SORT_KEYS).decode(),
        "problems": orjson.dumps(problems + merged.misfits).decode(),
        "answers": answers,
    }


def _about(edits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What does not depend on the answers: when it came, from whom. At least one edit."""
    first = min(edits, key=lambda row: (row["stamp"], row["digest"]))
    return {name: first[name] for name in ("project_id", "form_id", *SENDER)} | {
        "position": min(row["position"] for row in edits),
        "created_stamp": first["stamp"],
        "updated_stamp": max(row["stamp"] for row in edits),
    }


SENDER = ("submitter_id", "submitter_name", "device_id")


def _read(one: NewRevision, files: Files) -> Read:
    past = one.revision
    return Read(past, one.detail["version"], one.tree, merging.decode(one.cells), files.of(past))


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


def _names(one: Revision) -> tuple[str, ...]:
    """The instanceIDs by which a revision is tied to its submission."""
    return (one.instance_id, one.deprecated_id) if one.deprecated_id else (one.instance_id,)


def _reviews(
    connection: Connection, form: FormKey, revisions: Iterable[Revision], new: Sequence[Mapping[str, Any]]
) -> dict[str, list[Review]]:
    """The reviews of these revisions' submissions, by the instanceID that they name."""
    heard: dict[str, list[Review]] = {}
    names = {name for one in revisions for name in _names(one)}
    for row in (*reviews.rows_of(connection, form, names), *new):
        heard.setdefault(row["instance_id"], []).append(reviews.review_of(row))
    return heard


def _files(
    connection: Connection, form: FormKey, names: set[str], arrived: Sequence[Mapping[str, Any]]
) -> Files:
    columns = [attachment.c[name] for name in ("instance_id", "digest", "name", "sha256", "stamp")]
    found = list(arrived)
    for some in chunks(names):
        query = select(*columns).where(*of_form(attachment, form), attachment.c.instance_id.in_(some))
        found += map(dict, connection.execute(query).mappings())
    files = Files()
    for row in sorted(found, key=lambda row: (row["stamp"], row["sha256"])):
        files.of_instance.setdefault(row["instance_id"], {})[row["name"]] = row["sha256"]
        files.of_revision.setdefault(row["digest"], {})[row["name"]] = row["sha256"]
    return files


def _keeping_tally(connection: Connection, form: FormKey, roots: set[str], changes: Sequence[Change]) -> None:
    with tallies.keeping(connection, form, roots):
        for change in changes:
            change(connection)


def _move(connection: Connection, form: FormKey, moved: Sequence[tuple[str, str]]) -> None:
    for digest, root_id in moved:
        query = update(revision).where(*of_form(revision, form), revision.c.digest == digest)
        connection.execute(query.values(root_id=root_id))


def _forget(connection: Connection, form: FormKey, roots: set[str]) -> None:
    """Submissions that turned out to be edits of another one."""
    for some in chunks(roots):
        connection.execute(
            delete(submission).where(*of_form(submission, form), submission.c.instance_id.in_(some))
        )


def attachment_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `attachment` for an entry."""
    names = ("form_id", "instance_id", "digest", "name", "sha256", "size", "content_type")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "position": record.position,
        "stamp": record.stamp,
    }

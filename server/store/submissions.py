"""Submissions, their revisions, attachments and the quarantine: deriving the rows, and reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, or_, select, update

from server.store.dialect import insert_ignore, upsert
from server.store.journal import Record
from server.store.tables import attachment, quarantine, revision, submission
from sync.history import History, components, history
from sync.revision import Revision

KEYS_PER_QUERY = 300

FormKey = tuple[int, str]
"""project_id, form_id."""


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


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """One submission as lists and exports read it. answers: JSON of texts (`forms.instance.to_json`)."""

    project_id: int
    form_id: str
    instance_id: str
    position: int
    current_id: str
    current_digest: str
    version: str
    created_stamp: int
    updated_stamp: int
    submitter_id: int | None
    submitter_name: str
    device_id: str
    edits: int
    open_conflicts: int
    parent_missing: bool
    attachments_expected: int
    attachments_present: int
    review_state: str | None
    encrypted: bool
    problems: str
    answers: str


Change = Callable[[Connection], None]


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
        partial(insert_ignore, table=quarantine, rows=quarantined),
    ]
    if released:
        done.append(partial(_release, released=released))
    touched: dict[FormKey, set[str]] = {}
    for one in new:
        touched.setdefault(one.form, set()).update(
            name for name in (one.revision.instance_id, one.revision.deprecated_id) if name
        )
    for row in attachments:
        touched.setdefault((row["project_id"], row["form_id"]), set()).add(row["instance_id"])
    for form, names in touched.items():
        of_form = [one for one in new if one.form == form]
        arrived = [row for row in attachments if (row["project_id"], row["form_id"]) == form]
        done += _changes_of_form(connection, form, names, of_form, arrived, read_again)
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
    for some in _chunks(names):
        linked = or_(revision.c.instance_id.in_(some), revision.c.deprecated_id.in_(some))
        roots.update(
            connection.execute(select(revision.c.root_id).where(*_of(revision, form), linked)).scalars()
        )
    rows: list[dict[str, Any]] = []
    for some in _chunks(roots):
        query = select(revision).where(*_of(revision, form), revision.c.root_id.in_(some))
        rows += [dict(row) for row in connection.execute(query).mappings()]
    return rows


def _present(
    connection: Connection, form: FormKey, names: set[str], arrived: Sequence[Mapping[str, Any]]
) -> dict[str, set[str]]:
    """File names that are here, by instanceID."""
    here: dict[str, set[str]] = {}
    for some in _chunks(names):
        query = select(attachment.c.instance_id, attachment.c.name).where(
            *_of(attachment, form), attachment.c.instance_id.in_(some)
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
            .where(*_of(revision, form), revision.c.instance_id == instance_id, revision.c.digest == digest)
            .values(root_id=root_id)
        )


def _forget(connection: Connection, form: FormKey, roots: set[str]) -> None:
    """Submissions that turned out to be edits of another one."""
    for some in _chunks(roots):
        connection.execute(
            delete(submission).where(*_of(submission, form), submission.c.instance_id.in_(some))
        )


def _release(connection: Connection, released: Sequence[Record]) -> None:
    """Take up what waited for these entries: the same bytes, however often they came before."""
    for record in released:
        digest = hashlib.sha256(record.body).hexdigest()
        waited = (quarantine.c.digest == digest, quarantine.c.position < record.position)
        connection.execute(
            update(quarantine)
            .where(quarantine.c.project_id == record.project_id, *waited)
            .values(released=True)
        )


def attachment_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `attachment` for an entry."""
    names = ("form_id", "instance_id", "name", "sha256", "size", "content_type")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "position": record.position,
    }


def quarantine_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `quarantine` for an entry."""
    oversize = detail["oversize"]
    return {
        "position": record.position,
        "project_id": record.project_id,
        "reason": detail["reason"],
        "form_id": detail["form_id"],
        "version": detail["version"],
        "instance_id": detail["instance_id"] or "",
        "digest": detail["digest"],
        "size": oversize["size"] if oversize else len(record.body),
        "stamp": record.stamp,
        "released": False,
    }


def set_aside(connection: Connection, record: Record, reason: str) -> None:
    """Make an entry that cannot be projected visible in the quarantine."""
    row = {
        "position": record.position,
        "project_id": record.project_id,
        "reason": reason,
        "form_id": "",
        "version": "",
        "instance_id": "",
        "digest": hashlib.sha256(record.body).hexdigest(),
        "size": len(record.body),
        "stamp": record.stamp,
        "released": False,
    }
    insert_ignore(connection, quarantine, [row])


def find_submission(
    connection: Connection, project_id: int, form_id: str, instance_id: str
) -> StoredSubmission | None:
    """Return the submission that this instanceID names, be it the first or a later revision's; None if none."""
    form = (project_id, form_id)
    root = connection.execute(
        select(revision.c.root_id).where(*_of(revision, form), revision.c.instance_id == instance_id).limit(1)
    ).scalar()
    row = (
        connection.execute(select(submission).where(*_of(submission, form), submission.c.instance_id == root))
        .mappings()
        .first()
    )
    return StoredSubmission(**row) if row else None


def list_submissions(
    connection: Connection, project_id: int, form_id: str, after: int, limit: int
) -> list[StoredSubmission]:
    """Return one page in order of first receipt: those whose position is greater than `after`."""
    rows = connection.execute(
        select(submission)
        .where(*_of(submission, (project_id, form_id)), submission.c.position > after)
        .order_by(submission.c.position)
        .limit(limit)
    )
    return [StoredSubmission(**row) for row in rows.mappings()]


def iter_submissions(connection: Connection, project_id: int, form_id: str) -> Iterator[StoredSubmission]:
    """Yield all submissions of a form in order of first receipt, holding one page at a time."""
    after = 0
    while page := list_submissions(connection, project_id, form_id, after, limit=500):
        yield from page
        after = page[-1].position


@dataclass(frozen=True, slots=True)
class Tally:
    """How many submissions, differing edits and open conflicts a form has."""

    submissions: int
    revisions: int
    edits: int
    open_conflicts: int


def tally(connection: Connection, project_id: int, form_id: str) -> Tally:
    """Count what is stored of a form."""
    form = (project_id, form_id)
    counted = connection.execute(
        select(func.count(), func.sum(submission.c.edits), func.sum(submission.c.open_conflicts)).where(
            *_of(submission, form)
        )
    ).one()
    revisions = connection.execute(select(func.count()).where(*_of(revision, form))).scalar_one()
    return Tally(counted[0], revisions, int(counted[1] or 0), int(counted[2] or 0))


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """A file of a submission. instance_id: of the revision that it came with."""

    instance_id: str
    name: str
    sha256: str
    size: int
    content_type: str
    position: int


def list_attachments(
    connection: Connection, project_id: int, form_id: str, instance_ids: Iterable[str]
) -> list[StoredAttachment]:
    """Return the files that came with these revisions, by name, oldest first."""
    names = [field.name for field in fields(StoredAttachment)]
    found: list[StoredAttachment] = []
    for some in _chunks(instance_ids):
        rows = connection.execute(
            select(*(attachment.c[name] for name in names)).where(
                *_of(attachment, (project_id, form_id)), attachment.c.instance_id.in_(some)
            )
        )
        found += [StoredAttachment(*row) for row in rows]
    return sorted(found, key=lambda file: (file.name, file.position))


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """One revision of a submission, as lists of versions read it."""

    instance_id: str
    digest: str
    deprecated_id: str | None
    version: str
    position: int
    stamp: int
    submitter_id: int | None
    submitter_name: str
    device_id: str


def list_revisions(
    connection: Connection, project_id: int, form_id: str, root_id: str
) -> list[StoredRevision]:
    """Return every revision of a submission, oldest first."""
    names = [field.name for field in fields(StoredRevision)]
    rows = connection.execute(
        select(*(revision.c[name] for name in names))
        .where(*_of(revision, (project_id, form_id)), revision.c.root_id == root_id)
        .order_by(revision.c.position)
    )
    return [StoredRevision(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What waits in quarantine. position: of its journal entry."""

    position: int
    reason: str
    form_id: str
    version: str
    instance_id: str
    size: int
    stamp: int
    released: bool


def list_quarantined(
    connection: Connection, project_id: int, form_id: str | None = None
) -> list[Quarantined]:
    """Return what waits in quarantine (of one form, if named), oldest first; released entries left out."""
    names = [field.name for field in fields(Quarantined)]
    query = select(*(quarantine.c[name] for name in names)).where(
        quarantine.c.project_id == project_id, quarantine.c.released.is_(False)
    )
    if form_id is not None:
        query = query.where(quarantine.c.form_id == form_id)
    return [Quarantined(*row) for row in connection.execute(query.order_by(quarantine.c.position))]


def _of(table: Any, form: FormKey) -> tuple[Any, Any]:
    return table.c.project_id == form[0], table.c.form_id == form[1]


def _chunks(names: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        yield ordered[start : start + KEYS_PER_QUERY]

"""Submissions, their revisions and attachments as state; `server.store.arrivals` derives them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, func, select

from server.store.dialect import undecoded
from server.store.tables import attachment, revision, submission
from sync.history import History, history
from sync.revision import Revision, RevisionKind

KEYS_PER_QUERY = 300

Name = TypeVar("Name", str, int)
FormKey = tuple[int, str]
"""project_id, form_id."""


class StoredSubmission(NamedTuple):
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
    duplicate_key: str | None
    encrypted: bool
    is_merged: bool
    is_joined: bool
    is_deleted: bool
    files: str
    problems: str
    answers: bytes | str


def find_submission(
    connection: Connection, project_id: int, form_id: str, instance_id: str
) -> StoredSubmission | None:
    """Return the submission that this instanceID names, be it the first or a later revision's; None if none."""
    form = (project_id, form_id)
    root = connection.execute(
        select(revision.c.root_id)
        .where(*of_form(revision, form), revision.c.instance_id == instance_id)
        .limit(1)
    ).scalar()
    row = (
        connection.execute(
            select(submission).where(
                *of_form(submission, form), submission.c.instance_id == (root or instance_id)
            )
        )
        .mappings()
        .first()
    )
    return StoredSubmission(**row) if row else None


def list_submissions(
    connection: Connection,
    project_id: int,
    form_id: str,
    after: int,
    limit: int,
    *,
    deleted: bool = False,
    review_states: Collection[str | None] | None = None,
) -> list[StoredSubmission]:
    """Return one page in order of first receipt: those whose position is greater than `after`.

    deleted: those that are, instead of those that are not. review_states: only those in one of them; None: received.
    """
    query = select(*(submission.c[name] for name in StoredSubmission._fields)).where(
        *of_form(submission, (project_id, form_id)),
        submission.c.position > after,
        submission.c.is_deleted.is_(deleted),
    )
    if review_states is not None:
        named = submission.c.review_state.in_([state for state in review_states if state])
        query = query.where(named | submission.c.review_state.is_(None) if None in review_states else named)
    rows = connection.execute(query.order_by(submission.c.position).limit(limit))
    return [StoredSubmission(*row) for row in rows]


def iter_submissions(connection: Connection, project_id: int, form_id: str) -> Iterator[StoredSubmission]:
    """Yield all submissions of a form that are not deleted in order of first receipt, holding one page at a time."""
    for page in iter_pages(connection, project_id, form_id, rows=100):
        yield from page


def iter_pages(
    connection: Connection, project_id: int, form_id: str, rows: int
) -> Iterator[list[StoredSubmission]]:
    """Yield what `iter_submissions` does, so many at a time."""
    *fields, answers = (submission.c[name] for name in StoredSubmission._fields)
    query = (
        select(*fields, undecoded(answers))
        .where(*of_form(submission, (project_id, form_id)), submission.c.is_deleted.is_(False))
        .order_by(submission.c.position)
        .execution_options(yield_per=rows)
    )
    with connection.execute(query) as found:
        for some in found.partitions():
            yield list(map(StoredSubmission._make, some))


def iter_deleted(connection: Connection, project_id: int, form_id: str) -> Iterator[str]:
    """Yield the instanceIDs of a form's deleted submissions in order of first receipt."""
    query = (
        select(submission.c.instance_id)
        .where(*of_form(submission, (project_id, form_id)), submission.c.is_deleted.is_(True))
        .order_by(submission.c.position)
    )
    yield from connection.execute(query).scalars()


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
    """Return the files that came with these instances, by name, oldest first; one that came twice, once."""
    names = [field.name for field in fields(StoredAttachment)]
    found: list[StoredAttachment] = []
    for some in chunks(instance_ids):
        rows = connection.execute(
            select(*(attachment.c[name] for name in names)).where(
                *of_form(attachment, (project_id, form_id)), attachment.c.instance_id.in_(some)
            )
        )
        found += [StoredAttachment(*row) for row in rows]
    found.sort(key=lambda file: (file.name, file.position))
    return list({(file.instance_id, file.name, file.sha256): file for file in reversed(found)}.values())[::-1]


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """One revision of a submission, as lists of versions read it. kind, origin, …: see `server.store.tables`."""

    instance_id: str
    digest: str
    kind: str
    reason: str
    deprecated_id: str | None
    version: str
    position: int
    stamp: int
    origin: str
    submitter_id: int | None
    submitter_name: str
    device_id: str
    batch: str


def list_revisions(
    connection: Connection, project_id: int, form_id: str, root_id: str
) -> list[StoredRevision]:
    """Return every revision of a submission, oldest first."""
    return read_revisions(
        connection, *of_form(revision, (project_id, form_id)), revision.c.root_id == root_id
    )


def iter_received(
    connection: Connection, project_id: int, form_id: str, rows: int
) -> Iterator[list[StoredRevision]]:
    """Yield every revision of a form that somebody sent, in the order of receipt, so many at a time."""
    names = [field.name for field in fields(StoredRevision)]
    query = (
        select(*(revision.c[name] for name in names))
        .where(*of_form(revision, (project_id, form_id)), revision.c.kind == RevisionKind.EDIT.value)
        .order_by(revision.c.position)
        .execution_options(yield_per=rows)
    )
    with connection.execute(query) as found:
        for some in found.partitions():
            yield [StoredRevision(*row) for row in some]


def read_revisions(connection: Connection, *where: ColumnElement[bool]) -> list[StoredRevision]:
    """Return the revisions of which this is true, oldest first."""
    names = [field.name for field in fields(StoredRevision)]
    query = select(*(revision.c[name] for name in names)).where(*where).order_by(revision.c.position)
    return [StoredRevision(*row) for row in connection.execute(query)]


def read_cells(connection: Connection, one: StoredRevision) -> str:
    """Return the cells that a decision gives, as JSON."""
    query = select(revision.c.cells).where(
        revision.c.position == one.position, revision.c.digest == one.digest
    )
    return str(connection.execute(query).scalar_one())


def list_names(connection: Connection, form: FormKey, root_id: str) -> set[str]:
    """Return every instanceID that a submission is known by, also of what it misses."""
    columns = (revision.c.instance_id, revision.c.deprecated_id)
    rows = connection.execute(select(*columns).where(*of_form(revision, form), revision.c.root_id == root_id))
    return {name for row in rows for name in row if name}


def read_history(connection: Connection, project_id: int, form_id: str, root_id: str) -> History:
    """Return how the revisions of a submission stand to each other. Raises LookupError when there are none."""
    rows = connection.execute(
        select(revision).where(*of_form(revision, (project_id, form_id)), revision.c.root_id == root_id)
    )
    found = [revision_of(dict(row)) for row in rows.mappings()]
    if not found:
        raise LookupError("no such submission")
    return history(found)


def list_batch(connection: Connection, project_id: int, batch: str) -> list[tuple[StoredSubmission, str]]:
    """Return the decisions taken as one that still stand, each with its submission, oldest first."""
    rows = connection.execute(
        select(revision.c.form_id, revision.c.root_id, revision.c.digest)
        .where(revision.c.project_id == project_id, revision.c.batch == batch)
        .order_by(revision.c.position)
    ).all()
    found = []
    for form_id, root_id, digest in rows:
        about = find_submission(connection, project_id, form_id, root_id)
        past = read_history(connection, project_id, form_id, root_id)
        if about is not None and any(one.digest == digest for one in past.order):
            found.append((about, digest))
    return found


def revision_of(row: Mapping[str, Any]) -> Revision:
    """Return the domain value of a row of `revision`."""
    return Revision(
        instance_id=row["instance_id"],
        digest=row["digest"],
        deprecated_id=row["deprecated_id"],
        stamp=row["stamp"],
        kind=RevisionKind(row["kind"]),
        parents=tuple(orjson.loads(row["parents"])),
    )


def list_positions(connection: Connection, form: FormKey, without: Collection[str] = ()) -> list[int]:
    """Return the positions of a form's revisions. without: versions to leave out."""
    query = select(revision.c.position).where(*of_form(revision, form), revision.c.version.not_in(without))
    return list(connection.execute(query).scalars())


def last_versions(connection: Connection, project_id: int, form_id: str) -> dict[str, str]:
    """Return the form version of the newest revision that each device sent, by device ID."""
    newest = (
        select(func.max(revision.c.position))
        .where(*of_form(revision, (project_id, form_id)), revision.c.device_id != "")
        .group_by(revision.c.device_id)
    )
    rows = connection.execute(
        select(revision.c.device_id, revision.c.version).where(revision.c.position.in_(newest))
    )
    return {row.device_id: row.version for row in rows}


def of_form(table: Any, form: FormKey) -> tuple[Any, Any]:
    """Return the conditions that pick one form's rows."""
    return table.c.project_id == form[0], table.c.form_id == form[1]


def chunks(names: Iterable[Name]) -> Iterator[list[Name]]:
    """Yield the names (or positions) in order, as many at a time as one query takes."""
    ordered = sorted(names)
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        yield ordered[start : start + KEYS_PER_QUERY]

"""A form's submissions as rows and files, page by page, out of one reading transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection

from server import projection
from server.exports.conditions import condition
from server.exports.layout import Layout, Table, layout
from server.exports.names import folder_name, own_names, safe_name
from server.exports.options import Options
from server.exports.rows import Reader, Row, reader
from server.node import Node
from server.problems import Problem
from server.store import forms, journal, submissions
from server.store.forms import iso
from server.store.submissions import StoredAttachment, StoredSubmission

PAGE_ROWS = 100
"""A submission has up to 8 MB of texts: small pages bound the memory and cost 3 µs a submission."""
KEYS_TOLD = 1000

NOT_DECRYPTED = "not decrypted"
NOT_HERE = "missing encrypted form data"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is exported: a form as it stood when the journal had come to `cut_off`.

    versions: name and SHA-256 of each that was published, oldest first. languages: of any of them.
    """

    project_id: int
    form_id: str
    options: Options
    layout: Layout
    versions: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    cut_off: int

    @property
    def tables(self) -> tuple[Table, ...]:
        """The form's own first."""
        return self.layout.tables

    def name(self, table: Table) -> str:
        """`FORM`, `FORM-repeat`: what a table's file is called, without its ending."""
        return safe_name(self.form_id) + (safe_name(table.suffix) if table.suffix else "")


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file to hand out. path: below the folder `media`."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by table, in the order of the scope's tables, and the files that the exported answers name."""

    rows: tuple[list[Row], ...]
    media: tuple[MediaFile, ...]


@dataclass(slots=True)
class Left:
    """Records that were left out for one reason. keys: the first of them."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if self.count <= KEYS_TOLD:
            self.keys.append(key)


def open_scope(connection: Connection, node: Node, project_id: int, form_id: str, options: Options) -> Scope:
    """Return what there is to export. Raises Problem 404.1 for a form that was never published, and those of a filter."""
    if options.filter:
        condition(options.filter)
    versions = forms.read_versions(connection, node.schemas, project_id, form_id)
    if not versions:
        raise Problem(404.1, "There is no such form in this project.")
    found = layout(versions, options)
    published = forms.list_versions(connection, project_id, form_id)
    names = tuple((one.version, one.sha256) for one in published)
    languages = tuple({name: None for one in reversed(versions) for name in one.schema.languages})
    cut_off = journal.cursor(connection, projection.CURSOR)
    return Scope(project_id, form_id, options, found, names, languages, cut_off)


def iter_pages(
    connection: Connection, scope: Scope, *, media: bool, left: dict[str, Left] | None = None
) -> Iterator[Page]:
    """Yield all submissions in order of first receipt, one page in memory at a time.

    left: takes what the filter leaves out. Raises Problem 400.18, 501.4, 501.5 for a filter.
    """
    readers: dict[str | None, Reader] = {}
    sealed = [""] * scope.tables[0].width
    wanted = condition(scope.options.filter) if scope.options.filter else None
    after = 0
    while found := submissions.list_submissions(
        connection, scope.project_id, scope.form_id, after, PAGE_ROWS
    ):
        rows: tuple[list[Row], ...] = tuple([] for _ in scope.tables)
        files: list[MediaFile] = []
        for one in found:
            if wanted and not wanted(one):
                if left is not None:
                    left.setdefault("filter", Left()).add(one.instance_id)
                continue
            names: set[str] = set()
            if one.encrypted:
                cells, status = sealed, _sealed_status(connection, one)
            else:
                read = _reader(readers, scope.layout, one.version).read
                cells, status = read(orjson.loads(one.answers), one.instance_id, rows, names), ""
            version = _first_version(connection, one)
            rows[0].append([iso(one.created_stamp), *cells, *_about(one, status, version)])
            if media and names:
                files += _media(one, names)
        yield Page(rows, tuple(files))
        after = found[-1].position


def _reader(readers: dict[str | None, Reader], found: Layout, version: str) -> Reader:
    """The reader of a version, made at its first submission; one for all versions that were never published."""
    known = version if version in found.spots else None
    if known not in readers:
        spots = found.elsewhere if known is None else found.spots[known]
        readers[known] = reader(found.tables, spots)
    return readers[known]


def _about(one: StoredSubmission, status: str, version: str) -> Row:
    """The cells under `ROOT_AFTER`."""
    return [
        one.instance_id,
        "" if one.submitter_id is None else str(one.submitter_id),
        one.submitter_name,
        str(one.attachments_present),
        str(one.attachments_expected),
        status,
        one.review_state or "",
        one.device_id,
        str(one.edits),
        version,
    ]


def _first_version(connection: Connection, one: StoredSubmission) -> str:
    """The form version of the first revision: Central's FormVersion is not that of an edit."""
    if one.current_id == one.instance_id:
        return one.version
    revisions = submissions.list_revisions(connection, one.project_id, one.form_id, one.instance_id)
    first = [revision.version for revision in revisions if revision.instance_id == one.instance_id]
    return first[0] if first else one.version


def _sealed_status(connection: Connection, one: StoredSubmission) -> str:
    """Why a sealed record has no answers here: nobody opened it, or its sealed file has not arrived."""
    name = orjson.loads(one.answers).get("encryptedXmlFile")
    here = {file.name for file in _attachments(connection, one)}
    return NOT_DECRYPTED if name in here else NOT_HERE


def _media(one: StoredSubmission, names: set[str]) -> list[MediaFile]:
    """The files named by the shown answers."""
    here = orjson.loads(one.files)
    folder = folder_name(one.instance_id)
    return [MediaFile(f"{folder}/{own}", here[name]) for name, own in own_names(names & here.keys()).items()]


def _attachments(connection: Connection, one: StoredSubmission) -> Sequence[StoredAttachment]:
    revisions = submissions.list_revisions(connection, one.project_id, one.form_id, one.instance_id)
    names = {revision.instance_id for revision in revisions}
    return submissions.list_attachments(connection, one.project_id, one.form_id, names)

"""A form's submissions as rows and files, page by page, out of one reading transaction."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from server.exports.layout import Layout
from server.exports.names import folder_name, own_names
from server.exports.rows import Reader, Row, reader
from server.exports.scope import Scope
from server.exports.views import Records, Shown
from server.store import submissions
from server.store.forms import iso
from server.store.submissions import StoredAttachment, StoredSubmission

PAGE_ROWS = 25
"""Few rows stay in the processor's cache until they are written: 20 µs a submission."""
NOT_DECRYPTED = "not decrypted"
NOT_HERE = "missing encrypted form data"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file to hand out. path: below the folder `media`. key: of the record that names it. name: as it came."""

    path: str
    key: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by table, in the order of the scope's tables, and the files that the exported answers name."""

    rows: tuple[list[Row], ...]
    media: list[MediaFile]


def iter_pages(connection: Connection, scope: Scope, records: Records, *, media: bool) -> Generator[Page]:
    """Yield all rows in order of first receipt, one page in memory at a time. Raises Problem 400.18 for a filter."""
    readers: dict[str | None, Reader] = {}
    sealed = [""] * scope.tables[0].width
    page = _blank_page(scope)
    for shown in records:
        if len(page.rows[0]) == PAGE_ROWS:
            yield page
            page = _blank_page(scope)
        one = shown.one
        key = scope.name_of("record", one.instance_id)
        names: set[str] = set()
        if one.encrypted:
            cells, status = sealed, _sealed_status(connection, shown)
        else:
            read = _reader(readers, scope.layout, one.version).read
            cells, status = read(shown.answers, key, page.rows, names), ""
        page.rows[0].append(
            [iso(one.created_stamp), *cells, *_about(scope, one, key, status, shown.form_version)]
        )
        if media and names:
            page.media.extend(_media(one, names))
    yield page


def _blank_page(scope: Scope) -> Page:
    return Page(tuple([] for _ in scope.tables), [])


def _reader(readers: dict[str | None, Reader], found: Layout, version: str) -> Reader:
    """The reader of a version, made at its first submission; one for all versions that were never published."""
    known = version if version in found.spots else None
    if known not in readers:
        spots = found.elsewhere if known is None else found.spots[known]
        readers[known] = reader(found.tables, spots)
    return readers[known]


def _about(scope: Scope, one: StoredSubmission, key: str, status: str, version: str) -> Row:
    """The cells under `ROOT_AFTER`."""
    return [
        key,
        "" if one.submitter_id is None else scope.name_of("submitter", str(one.submitter_id)),
        "" if scope.key else one.submitter_name,
        str(one.attachments_present),
        str(one.attachments_expected),
        status,
        one.review_state or "",
        scope.name_of("device", one.device_id),
        str(one.edits),
        version,
    ]


def _sealed_status(connection: Connection, shown: Shown) -> str:
    """Why a sealed record has no answers here: nobody opened it, or its sealed file has not arrived."""
    name = shown.answers.get("encryptedXmlFile")
    here = {file.name for file in _attachments(connection, shown.one)}
    return NOT_DECRYPTED if name in here else NOT_HERE


def _media(one: StoredSubmission, names: set[str]) -> list[MediaFile]:
    """The files named by the shown answers."""
    here = orjson.loads(one.files)
    folder = folder_name(one.instance_id)
    return [
        MediaFile(f"{folder}/{own}", one.instance_id, name, here[name])
        for name, own in own_names(names & here.keys()).items()
    ]


def _attachments(connection: Connection, one: StoredSubmission) -> Sequence[StoredAttachment]:
    revisions = submissions.list_revisions(connection, one.project_id, one.form_id, one.instance_id)
    names = {one.current_id, *(revision.instance_id for revision in revisions)}
    return submissions.list_attachments(connection, one.project_id, one.form_id, names)

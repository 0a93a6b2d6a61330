"""Forms, their published versions and the files they read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from forms import xform
from forms.document import DocumentReader
from forms.lineage import Version
from forms.recheck import Recheck, recheck
from forms.sample import sample
from forms.schema import FormSchema
from server.merging import FormLine
from server.store import bodies
from server.store import journal as journals
from server.store.blobs import Blobs
from server.store.dialect import insert_ignore, upsert, upsert_latest
from server.store.engine import reading
from server.store.journal import Record
from server.store.tables import form, form_media, form_version, journal, project
from sync.clock import to_datetime
from sync.journal import Kind

SCHEMAS_CACHED = 256
LISTS = (".csv", ".geojson", ".xml")
"""How the names of files end that expressions look things up in."""


@dataclass(frozen=True, slots=True)
class PublishedForm:
    """One version of a form as it stands in the store. md5, sha256: hex, of the XForm's exact bytes.

    renames: JSON, path in the version before → path here.
    """

    project_id: int
    form_id: str
    version: str
    name: str
    md5: str
    sha256: str
    sheet_sha256: str
    sheet_name: str
    renames: str
    position: int
    stamp: int

    @property
    def published_at(self) -> str:
        """When, in ISO 8601 and UTC."""
        return iso(self.stamp)


@dataclass(frozen=True, slots=True)
class Media:
    """A file that a form reads. sha256, md5: hex, None unless somebody gave it. stamp: of the last change."""

    name: str
    sha256: str | None = None
    md5: str | None = None
    size: int = 0
    stamp: int = 0


class Schemas:
    """Schemas of published versions. Published bytes never change, so what is once read stays true."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._lock = threading.Lock()
        self._known: dict[tuple[int, str, str], FormSchema] = {}
        self._readers: dict[int, tuple[FormSchema, DocumentReader]] = {}
        self._lines: dict[tuple[int, str], FormLine] = {}
        self._logic: dict[tuple[object, ...], Recheck] = {}

    def find(self, connection: Connection, project_id: int, form_id: str, version: str) -> FormSchema | None:
        """Return the schema of this version, of the newest when there is no such version, None for no such form."""
        key = (project_id, form_id, version)
        if key in self._known:
            return self._known[key]
        published = find_version(connection, project_id, form_id, version)
        if published is None:
            current = find_current(connection, project_id, form_id)
            return self.find(connection, project_id, form_id, current.version) if current else None
        schema = read_schema(connection, published)
        with self._lock:
            if len(self._known) >= SCHEMAS_CACHED:
                self._known.clear()
            self._known[key] = schema
        return schema

    def reader(self, schema: FormSchema) -> DocumentReader:
        """Return what reads the instances of a version; `schema` as this object gave it."""
        key = id(schema)
        if key not in self._readers:
            with self._lock:
                if len(self._readers) >= SCHEMAS_CACHED:
                    self._readers.clear()
                self._readers[key] = (schema, DocumentReader(schema))
        return self._readers[key][1]

    def line(self, connection: Connection, project_id: int, form_id: str) -> FormLine:
        """Return all published versions of a form."""
        published = list_versions(connection, project_id, form_id)
        known = self._lines.get((project_id, form_id))
        if known is None or len(known.versions) != len(published):
            known = FormLine(read_versions(connection, self, project_id, form_id))
            with self._lock:
                if len(self._lines) >= SCHEMAS_CACHED:
                    self._lines.clear()
                self._lines[project_id, form_id] = known
        return known

    def logic(self, connection: Connection, project_id: int, form_id: str, version: str) -> Recheck:
        """Return what a published version calculates and allows, with the lists that are attached now."""
        given = [one for one in list_media(connection, project_id, form_id) if one.sha256]
        key = (project_id, form_id, version, *(f"{one.name}:{one.sha256}" for one in given))
        if key not in self._logic:
            published = find_version(connection, project_id, form_id, version)
            schema = self.find(connection, project_id, form_id, version)
            assert published is not None, "answers are merged in a published version"
            assert schema is not None, "as above"
            lists = read_lists(connection, self._blobs, project_id, form_id)
            read = recheck(schema, read_xform(connection, published), lists)
            if any(one.name.endswith(LISTS) and one.name not in lists for one in given):
                return read  # for now: a list is still on its way
            with self._lock:
                if len(self._logic) >= SCHEMAS_CACHED:
                    self._logic.clear()
                self._logic[key] = read
        return self._logic[key]


class KnownForms:
    """Which forms were ever published. Once published is for ever, so only the yes is remembered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: set[tuple[int, str]] = set()

    def recall(self, project_id: int, form_id: str) -> bool:
        """Return True from memory. Raises LookupError when the store has to be asked."""
        if (project_id, form_id) not in self._known:
            raise LookupError
        return True

    def ask(self, project_id: int, form_id: str) -> bool:
        """Return whether the form was ever published in this project."""
        with reading(self._engine) as connection:
            is_known = is_published(connection, project_id, form_id)
        if is_known:
            self._known.add((project_id, form_id))
        return is_known


def read_schema(connection: Connection, published: PublishedForm) -> FormSchema:
    """Return the schema of a published version, read from its XForm and the sheet's marks."""
    return xform.read(read_xform(connection, published), read_marks(connection, published))


def read_marks(connection: Connection, published: PublishedForm) -> xform.SheetMarks:
    """Return what the sheet of a published version marks."""
    marks = connection.execute(
        select(form_version.c.marks).where(
            *_is_version(published.project_id, published.form_id, published.version)
        )
    ).scalar_one()
    return xform.SheetMarks(**orjson.loads(marks))


def read_xform(connection: Connection, published: PublishedForm) -> bytes:
    """Return the exact bytes of the XForm."""
    return journals.read_entry(connection, published.position).body


def find_version(connection: Connection, project_id: int, form_id: str, version: str) -> PublishedForm | None:
    """Return this version, or None."""
    row = connection.execute(_versions().where(*_is_version(project_id, form_id, version))).mappings().first()
    return PublishedForm(**row) if row else None


def find_current(connection: Connection, project_id: int, form_id: str) -> PublishedForm | None:
    """Return the newest version of a form, or None."""
    found = [one for one in list_current(connection, project_id) if one.form_id == form_id]
    return found[0] if found else None


def list_current(connection: Connection, project_id: int) -> list[PublishedForm]:
    """Return every form in its newest version, by form ID."""
    rows = connection.execute(
        _versions()
        .join(
            form,
            (form.c.project_id == form_version.c.project_id)
            & (form.c.form_id == form_version.c.form_id)
            & (form.c.version == form_version.c.version),
        )
        .where(form_version.c.project_id == project_id)
        .order_by(form_version.c.form_id)
    )
    return [PublishedForm(**row) for row in rows.mappings()]


def list_versions(connection: Connection, project_id: int, form_id: str) -> list[PublishedForm]:
    """Return all published versions of a form, newest first."""
    rows = connection.execute(
        _versions()
        .where(form_version.c.project_id == project_id, form_version.c.form_id == form_id)
        .order_by(form_version.c.stamp.desc(), form_version.c.version)
    )
    return [PublishedForm(**row) for row in rows.mappings()]


def read_versions(
    connection: Connection, schemas: Schemas, project_id: int, form_id: str
) -> tuple[Version, ...]:
    """Return all published versions of a form with their renames, oldest first, for `forms.lineage`."""
    found = []
    for one in reversed(list_versions(connection, project_id, form_id)):
        schema = schemas.find(connection, project_id, form_id, one.version)
        assert schema is not None, "a published version has a schema"
        found.append(Version(schema, orjson.loads(one.renames)))
    return tuple(found)


def published_since(connection: Connection, project_id: int, form_id: str, position: int) -> int:
    """Count the entries after `position` that publish this form; the journal says it, also before state follows."""
    details = connection.execute(
        select(journal.c.detail).where(
            journal.c.position > position, journal.c.kind == Kind.FORM, journal.c.project_id == project_id
        )
    ).scalars()
    return sum(orjson.loads(detail)["form_id"] == form_id for detail in details if detail)


def is_published(connection: Connection, project_id: int, form_id: str) -> bool:
    """Return whether any version of the form was ever published in this project."""
    query = select(form.c.form_id).where(form.c.project_id == project_id, form.c.form_id == form_id)
    return connection.execute(query).first() is not None


def list_media(connection: Connection, project_id: int, form_id: str) -> list[Media]:
    """Return the files given for a form, by name."""
    rows = connection.execute(
        select(*(form_media.c[name] for name in Media.__slots__))
        .where(
            form_media.c.project_id == project_id,
            form_media.c.form_id == form_id,
            form_media.c.sha256 != "",  # taken away
        )
        .order_by(form_media.c.name)
    )
    return [Media(*row) for row in rows]


def list_reading(connection: Connection, digests: Collection[str]) -> list[tuple[int, str]]:
    """Return (project_id, form_id) of the forms that read a list of one of these SHA-256."""
    query = select(form_media.c.project_id, form_media.c.form_id, form_media.c.name)
    rows = connection.execute(query.where(form_media.c.sha256.in_(digests))).all()
    return sorted({(row.project_id, row.form_id) for row in rows if row.name.endswith(LISTS)})


def created_stamp(connection: Connection, project_id: int, form_id: str) -> int:
    """Return when the form was first published here. Raises NoResultFound for an unknown one."""
    query = select(form.c.created_stamp).where(form.c.project_id == project_id, form.c.form_id == form_id)
    return int(connection.execute(query).scalar_one())


def read_lists(connection: Connection, blobs: Blobs, project_id: int, form_id: str) -> dict[str, bytes]:
    """Return the lists that are attached to a form, by name; one whose blob is gone is left out."""
    found = {}
    for file in list_media(connection, project_id, form_id):
        if file.sha256 and file.name.endswith(LISTS):
            with suppress(FileNotFoundError):
                found[file.name] = b"".join(blobs.stream(file.sha256))
    return found


def project_exists(connection: Connection, project_id: int) -> bool:
    """Return whether there is such a project."""
    return connection.execute(select(project.c.id).where(project.c.id == project_id)).first() is not None


def list_projects(connection: Connection) -> Sequence[tuple[int, str]]:
    """Return (id, name) of every project."""
    return [
        tuple(row) for row in connection.execute(select(project.c.id, project.c.name).order_by(project.c.id))
    ]


def read_example(record: Record, detail: Mapping[str, Any]) -> bytes:
    """Return what instances of a published version will be compressed with; takes a while."""
    return sample(xform.read(record.body, xform.SheetMarks(**detail["marks"])), record.body)


def project_form(connection: Connection, record: Record, detail: Mapping[str, Any], example: bytes) -> None:
    """Derive the rows of a published version from its entry. example: see `read_example`."""
    key = {"project_id": record.project_id, "form_id": detail["form_id"]}
    row = key | {
        "name": detail["name"],
        "version": detail["version"],
        "md5": hashlib.md5(record.body, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(record.body).hexdigest(),
        "marks": orjson.dumps(detail["marks"]).decode(),
        "sheet_sha256": detail["sheet_sha256"],
        "sheet_name": detail["sheet_name"],
        "renames": orjson.dumps(detail.get("renames", {})).decode(),
        "position": record.position,
        "stamp": record.stamp,
    }
    insert_ignore(connection, form_version, [row])
    if example:
        bodies.add_dictionary(connection, record.project_id, detail["form_id"], record.stamp, example)
    found = list_versions(connection, record.project_id, detail["form_id"])
    newest, oldest = found[0], found[-1]
    shown = {"name": newest.name, "version": newest.version}
    upsert(connection, form, [key | shown | {"created_stamp": oldest.stamp, "updated_stamp": newest.stamp}])


def project_media(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive the row of a form's file from its entry, in whatever order they come; no digest takes the file away."""
    row = {name: detail[name] or "" for name in ("form_id", "name", "sha256", "md5")}
    row |= {"size": detail["size"], "project_id": record.project_id, "stamp": record.stamp}
    upsert_latest(connection, form_media, [row])


def project_project(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive the row of a project from its entry; of two with one number the first holds."""
    insert_ignore(connection, project, [{"id": record.project_id, "name": detail["name"]}])


@lru_cache(1024)
def iso(stamp: int) -> str:
    """A stamp's time in ISO 8601, UTC, to the millisecond, as ODK Central writes it."""
    return to_datetime(stamp).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _versions() -> Select[Any]:
    return select(*(form_version.c[name] for name in PublishedForm.__slots__))


def _is_version(project_id: int, form_id: str, version: str) -> tuple[ColumnElement[bool], ...]:
    return (
        form_version.c.project_id == project_id,
        form_version.c.form_id == form_id,
        form_version.c.version == version,
    )

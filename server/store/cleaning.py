"""The cleaning log as state: the rows of its entries, and reading them for records, for a batch and for lists."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, select

from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import cleaning_entry, revision
from sync.cleaning import Entry, EntryKind, digest

AT_ONCE_MAX = 0xFFFF
"""So many entries about one record may be entered as one."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry with who made it; see `server.store.tables.cleaning`. supersedes, remarks: JSON."""

    instance_id: str
    id: str
    position: int
    stamp: int
    batch: str
    kind: str
    version: str
    cell: str
    old: str
    new: str
    base: str
    reason: str
    check_id: str
    supersedes: str
    undoes: str
    remarks: str
    actor_id: int
    actor_name: str

    def entry(self, cell: str) -> Entry:
        """Return the domain value. cell: its name in the form version that the record is shown in."""
        supersedes = frozenset(orjson.loads(self.supersedes))
        kind = EntryKind(self.kind)
        return Entry(self.id, self.stamp, kind, cell, self.new, self.base, supersedes, self.undoes)


def entry_ids(detail: bytes, count: int) -> list[str]:
    """Return the ids of the entries of a fact: from its content, in the order of its entries."""
    name = hashlib.sha256(detail).hexdigest()[:28]
    return [f"{name}{place:04x}" for place in range(count)]


def entry_rows(record: Record, detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `cleaning_entry` for a fact: what one person entered at once about one record."""
    shared = {name: detail[name] for name in ("form_id", "instance_id", "batch", "actor_id", "actor_name")}
    shared |= {"project_id": record.project_id, "position": record.position, "stamp": record.stamp}
    given: Sequence[Mapping[str, Any]] = detail["entries"]
    names = ("kind", "version", "cell", "old", "new", "base", "reason", "check_id", "undoes")
    return [
        shared
        | {name: str(one[name]) for name in names}
        | {
            "id": entry_id,
            "kind": EntryKind(one["kind"]).value,
            "supersedes": orjson.dumps(one["supersedes"]).decode(),
            "remarks": orjson.dumps(one["remarks"]).decode(),
        }
        for entry_id, one in zip(entry_ids(record.detail, len(given)), given, strict=True)
    ]


def read_extent(connection: Connection, form: FormKey, up_to: int) -> tuple[int, str]:
    """Return how many entries a form's log has up to a position of the journal, and their SHA-256 (hex)."""
    query = select(cleaning_entry.c.stamp, cleaning_entry.c.id)
    rows = connection.execute(
        query.where(*of_form(cleaning_entry, form), cleaning_entry.c.position <= up_to)
    ).all()
    return len(rows), digest((row.stamp, row.id) for row in rows)


def list_entries(
    connection: Connection,
    form: FormKey,
    *,
    up_to: int | None = None,
    after: tuple[int, str] = (0, ""),
    limit: int | None = None,
    batch: str = "",
) -> list[StoredEntry]:
    """Return entries, oldest first: those behind `after` (stamp, id), up to a position of the journal."""
    place = (cleaning_entry.c.stamp, cleaning_entry.c.id)
    where: list[ColumnElement[bool]] = [
        (place[0] > after[0]) | ((place[0] == after[0]) & (place[1] > after[1]))
    ]
    if up_to is not None:
        where.append(cleaning_entry.c.position <= up_to)
    if batch:
        where.append(cleaning_entry.c.batch == batch)
    return _read(connection, form, *where, limit=limit)


def entries_of(
    connection: Connection, form: FormKey, roots: Iterable[str], up_to: int | None = None
) -> dict[str, list[StoredEntry]]:
    """Return the entries about these submissions, by their instanceIDs, under whatever name they were made."""
    names = {name: name for name in roots}
    for some in chunks(list(names)):
        columns = (revision.c.root_id, revision.c.instance_id, revision.c.deprecated_id)
        query = select(*columns).where(*of_form(revision, form), revision.c.root_id.in_(some))
        for row in connection.execute(query):
            names |= {name: row.root_id for name in (row.instance_id, row.deprecated_id) if name}
    found: dict[str, list[StoredEntry]] = {}
    for some in chunks(names):
        where: list[ColumnElement[bool]] = [cleaning_entry.c.instance_id.in_(some)]
        if up_to is not None:
            where.append(cleaning_entry.c.position <= up_to)
        for one in _read(connection, form, *where):
            found.setdefault(names[one.instance_id], []).append(one)
    return found


def find_entries(connection: Connection, form: FormKey, ids: Iterable[str]) -> list[StoredEntry]:
    """Return the entries with these ids."""
    found = []
    for some in chunks(ids):
        found += _read(connection, form, cleaning_entry.c.id.in_(some))
    return found


def _read(
    connection: Connection, form: FormKey, *where: ColumnElement[bool], limit: int | None = None
) -> list[StoredEntry]:
    names = [one.name for one in fields(StoredEntry)]
    query = select(*(cleaning_entry.c[name] for name in names)).where(*of_form(cleaning_entry, form), *where)
    rows = connection.execute(query.order_by(cleaning_entry.c.stamp, cleaning_entry.c.id).limit(limit))
    return [StoredEntry(*row) for row in rows]

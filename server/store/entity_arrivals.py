"""Deriving entities from what arrived: records that create or update them, and what people do over the API.

Computed on a connection that only reads; what it changes comes back as functions of one that writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson
from sqlalchemy import Connection, delete

from forms.entities import EntityAction
from forms.schema import Deed
from server.store import datasets, entities
from server.store.dialect import upsert
from server.store.journal import Record
from server.store.submissions import chunks
from server.store.tables import entity, entity_write
from sync.entities import Entity, versions, view
from sync.entity_write import Header

Change = Callable[[Connection], None]
Row = Mapping[str, Any]
Key = tuple[int, str, str]
"""project_id, dataset, uuid."""
WriteKey = tuple[int, str, int]
"""project_id, digest, place."""


def rows_of_record(record: Record, detail: Mapping[str, Any], actions: Sequence[EntityAction]) -> list[Row]:
    """Return the rows of `entity_write` for a revision of a form with entities; at least one."""
    shared = {
        "project_id": record.project_id,
        "digest": detail["digest"],
        "form_id": detail["form_id"],
        "instance_id": detail["instance_id"],
        "deprecated_id": detail["deprecated_id"] or "",
        "stamp": record.stamp,
        "origin": record.origin,
        "seen": "{}",
        "resolves": False,
        "actor_id": detail["submitter_id"],
        "actor_name": detail["submitter_name"],
        "position": record.position,
    }
    return [
        shared
        | {
            "place": place,
            "dataset": action.dataset,
            "uuid": action.uuid,
            "deed": action.deed,
            "base": action.base,
            "trunk": action.trunk,
            "branch": action.branch,
            "label": action.label,
            "data": _json(action.properties or {}),
            "fault": action.fault,
        }
        for place, action in enumerate(actions or [EntityAction("", Deed.NONE)])
    ]


def row_of_person(record: Record, detail: Mapping[str, Any]) -> Row:
    """Return the row of `entity_write` for what a person did; `server.entity_changes` writes the detail."""
    return {
        "project_id": record.project_id,
        "digest": hashlib.sha256(record.detail).hexdigest(),
        "place": 0,
        "dataset": detail["dataset"],
        "uuid": detail["uuid"],
        "deed": detail["deed"],
        "form_id": "",
        "instance_id": "",
        "deprecated_id": "",
        "stamp": record.stamp,
        "origin": record.origin,
        "base": 0,
        "trunk": None,
        "branch": "",
        "label": detail["label"],
        "data": _json(detail["data"]),
        "seen": _json(detail["seen"]),
        "resolves": detail["resolves"],
        "fault": "",
        "actor_id": detail["actor_id"],
        "actor_name": detail["actor_name"],
        "position": record.position,
    }


def changes(connection: Connection, rows: Sequence[Row]) -> list[Change]:
    """Return what these rows of `entity_write` change, themselves included, computed on `connection`."""
    return _derive(connection, _touched(connection, rows), rows) if rows else []


def derive_again(connection: Connection, project_id: int, touched: Iterable[tuple[str, str]]) -> None:
    """Derive entities, (dataset, uuid), whose writes left the table; one that has none left is gone."""
    by_dataset: dict[tuple[int, str], set[str]] = {}
    for name, uuid in touched:
        by_dataset.setdefault((project_id, name), set()).add(uuid)
    for change in _derive(connection, by_dataset, ()):
        change(connection)


def _derive(
    connection: Connection, touched: Mapping[tuple[int, str], set[str]], rows: Sequence[Row]
) -> list[Change]:
    known: dict[WriteKey, Row] = {}
    of_entity: dict[Key, dict[WriteKey, Row]] = {}
    links = _Links()
    for (project_id, name), uuids in touched.items():
        for row in entities.write_rows(connection, project_id, name, uuids):
            _keep(known, row)
    for project_id in {row["project_id"] for row in rows}:
        instances = {_instance(row) for row in known.values() if row["project_id"] == project_id}
        instances |= {_instance(row) for row in rows if row["project_id"] == project_id}
        for header in entities.headers(connection, project_id, instances):
            links.add(project_id, header)
    for new in rows:
        _keep(known, new)
        if new["form_id"]:
            links.add(new["project_id"], entities.header_of(new))
    for key, one in known.items():
        if one["uuid"]:
            of_entity.setdefault((one["project_id"], one["dataset"], one["uuid"]), {})[key] = one
    fresh = {_write_key(row) for row in rows}
    done: list[Change] = [partial(upsert, table=entity_write, rows=[known[key] for key in sorted(fresh)])]
    for (project_id, name), uuids in touched.items():
        before = entities.find_entities(connection, project_id, name, uuids)
        upserts = [
            _entity_row((project_id, name, uuid), list(of_entity[project_id, name, uuid].values()), links)
            for uuid in sorted(uuids)
            if (project_id, name, uuid) in of_entity
        ]
        gone = [one.uuid for one in before if (project_id, name, one.uuid) not in of_entity]
        moved = sum(_list_digest(row) for row in upserts) - sum(_list_digest(asdict(one)) for one in before)
        done.append(partial(upsert, table=entity, rows=upserts))
        done.append(partial(_forget, project_id=project_id, name=name, uuids=gone))
        done.append(partial(datasets.move_digest, project_id=project_id, name=name, by=moved))
    return done


def _forget(connection: Connection, project_id: int, name: str, uuids: Iterable[str]) -> None:
    for some in chunks(uuids):
        mine = (entity.c.project_id == project_id, entity.c.dataset == name, entity.c.uuid.in_(some))
        connection.execute(delete(entity).where(*mine))


class _Links:
    """Revisions by the instanceIDs that they carry and edit."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str, str], dict[Header, None]] = {}

    def add(self, project_id: int, header: Header) -> None:
        for instance in filter(None, (header.instance, header.edits)):
            self._found.setdefault((project_id, header.form, instance), {})[header] = None

    def around(self, rows: Iterable[Row]) -> list[Header]:
        """Return the revisions under, or editing, the instanceIDs of these rows."""
        wanted = {(row["project_id"], *_instance(row)) for row in rows}
        return list({header: None for instance in wanted for header in self._found.get(instance, ())})


def _touched(connection: Connection, rows: Iterable[Row]) -> dict[tuple[int, str], set[str]]:
    """The entities that the rows concern, by project and dataset: also those of the records that they edit."""
    found: dict[tuple[int, str], set[str]] = {}
    instances: dict[tuple[int, str], set[str]] = {}
    for row in rows:
        if row["uuid"]:
            found.setdefault((row["project_id"], row["dataset"]), set()).add(row["uuid"])
        names = {name for name in (row["instance_id"], row["deprecated_id"]) if name}
        instances.setdefault((row["project_id"], row["form_id"]), set()).update(names)
    for (project_id, form_id), names in instances.items():
        for name, uuid in entities.entities_of(connection, project_id, form_id, names):
            found.setdefault((project_id, name), set()).add(uuid)
    return found


def _entity_row(key: Key, rows: list[Row], links: _Links) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: (row["stamp"], row["digest"], row["place"]))
    found = view((entities.write_of(row) for row in rows), links.around(rows))
    first = next((row for row in rows if row["deed"] == Deed.CREATE), rows[0])
    newest = max(row["stamp"] for row in rows)
    deleted = max((row["stamp"] for row in rows if row["deed"] == Deed.DELETE), default=newest)
    return {
        "project_id": key[0],
        "dataset": key[1],
        "uuid": key[2],
        "version": found.version,
        "label": found.label,
        "data": _json(found.values),
        "conflict": found.conflict,
        "pending": found.is_pending,
        "created_stamp": first["stamp"],
        "updated_stamp": newest if len(rows) > 1 else None,
        "deleted_stamp": deleted if found.is_deleted else None,
        "creator_id": first["actor_id"],
        "creator_name": first["actor_name"],
        "current": _json(_current(found, rows)),
    }


def _current(found: Entity, rows: Sequence[Row]) -> dict[str, Any]:
    """What lists tell of the newest version, without its values."""
    listed = versions(found)
    if not listed:
        return {}
    newest = listed[-1]
    by_key = {(row["digest"], row["place"]): row for row in rows}
    row = by_key[newest.write.key]
    return {
        "stamp": newest.write.stamp,
        "actor_id": row["actor_id"],
        "actor_name": row["actor_name"],
        "base": newest.base,
        "properties": newest.properties,
        "is_missing": newest.is_missing,
        "branch": newest.write.branch,
        "trunk": newest.write.trunk,
        "branch_base": newest.write.base,
    }


def _list_digest(row: Mapping[str, Any]) -> int:
    """What an entity adds to the digest of its list; nothing unless tablets get it."""
    if row["pending"] or row["deleted_stamp"] is not None:
        return 0
    told = _json([row["uuid"], row["version"], row["label"], row["data"]])
    return int.from_bytes(hashlib.sha256(told.encode()).digest(), "big")


def _keep(known: dict[WriteKey, Row], row: Row) -> None:
    """Keep the write as first received."""
    before = known.setdefault(_write_key(row), row)
    if (row["stamp"], row["origin"]) < (before["stamp"], before["origin"]):
        known[_write_key(row)] = row


def _write_key(row: Row) -> WriteKey:
    return (row["project_id"], row["digest"], row["place"])


def _instance(row: Row) -> tuple[str, str]:
    return (row["form_id"], row["instance_id"])


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

"""Entities and their writes as state; `server.store.entity_arrivals` derives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, or_, select, tuple_

from forms.schema import Deed
from server.store.submissions import chunks
from server.store.tables import entity, entity_write
from sync.entity_write import Header, Write

PAGE = 1000
BEGINNING = (0, "")


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """An entity as lists read it. data: JSON, property → text. current: JSON, of its newest version.

    deleted_stamp: None when it stands. pending: what creates it is not here.
    """

    uuid: str
    version: int
    label: str
    data: str
    conflict: str | None
    pending: bool
    created_stamp: int
    updated_stamp: int | None
    deleted_stamp: int | None
    creator_id: int | None
    creator_name: str
    current: str

    @property
    def is_listed(self) -> bool:
        """Whether tablets get it."""
        return not self.pending and self.deleted_stamp is None

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands in its list."""
        return (self.created_stamp, self.uuid)


@dataclass(frozen=True, slots=True)
class WriteSource:
    """Where a write came from: a record of a form (form_id, instance_id), or a person."""

    write: Write
    actor_id: int | None
    actor_name: str
    form_id: str
    instance_id: str


@dataclass(frozen=True, slots=True)
class EntityFault:
    """What a record asked for and cannot have, or lacked. uuid: "" when nothing was done."""

    dataset: str
    uuid: str
    form_id: str
    instance_id: str
    fault: str
    stamp: int


def find_entity(connection: Connection, project_id: int, dataset: str, uuid: str) -> StoredEntity | None:
    """Return an entity, be it listed, deleted or pending; None when nothing is known of it."""
    query = _entities(project_id, dataset).where(entity.c.uuid == uuid)
    row = connection.execute(query).mappings().first()
    return StoredEntity(**row) if row else None


def list_entities(
    connection: Connection,
    project_id: int,
    dataset: str,
    after: tuple[int, str] = BEGINNING,
    *,
    deleted: bool = False,
    pending: bool = False,
) -> list[StoredEntity]:
    """Return one page in order of creation: those that are listed, or the deleted, or the pending ones."""
    is_deleted = entity.c.deleted_stamp.is_not(None) if deleted else entity.c.deleted_stamp.is_(None)
    rows = connection.execute(
        _entities(project_id, dataset)
        .where(
            entity.c.pending.is_(pending),
            is_deleted,
            tuple_(entity.c.created_stamp, entity.c.uuid) > after,
        )
        .order_by(entity.c.created_stamp, entity.c.uuid)
        .limit(PAGE)
    )
    return [StoredEntity(**row) for row in rows.mappings()]


def find_entities(
    connection: Connection, project_id: int, dataset: str, uuids: Iterable[str]
) -> list[StoredEntity]:
    """Return what is known of these entities, by uuid."""
    found = []
    for some in chunks(uuids):
        query = _entities(project_id, dataset).where(entity.c.uuid.in_(some)).order_by(entity.c.uuid)
        found += [StoredEntity(**row) for row in connection.execute(query).mappings()]
    return found


def list_writes(connection: Connection, project_id: int, dataset: str, uuid: str) -> list[WriteSource]:
    """Return every write of an entity in order of receipt."""
    return [
        WriteSource(write_of(row), row["actor_id"], row["actor_name"], row["form_id"], row["instance_id"])
        for row in write_rows(connection, project_id, dataset, [uuid])
    ]


def list_faults(connection: Connection, project_id: int) -> list[EntityFault]:
    """Return what records asked for and cannot have, in order of receipt."""
    names = [field.name for field in fields(EntityFault)]
    rows = connection.execute(
        select(*(entity_write.c[name] for name in names))
        .where(entity_write.c.project_id == project_id, entity_write.c.fault != "")
        .order_by(entity_write.c.stamp, entity_write.c.digest, entity_write.c.place)
    )
    return [EntityFault(*row) for row in rows]


def write_rows(
    connection: Connection, project_id: int, dataset: str, uuids: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of `entity_write` of these entities, each entity's in order of receipt."""
    for some in chunks(uuids):
        query = (
            select(entity_write)
            .where(
                entity_write.c.project_id == project_id,
                entity_write.c.dataset == dataset,
                entity_write.c.uuid.in_(some),
            )
            .order_by(entity_write.c.stamp, entity_write.c.digest, entity_write.c.place)
        )
        for row in connection.execute(query).mappings():
            yield dict(row)


def entities_of(
    connection: Connection, project_id: int, form_id: str, instances: Iterable[str]
) -> set[tuple[str, str]]:
    """Return (dataset, uuid) of the entities that records under these instanceIDs wrote."""
    found: set[tuple[str, str]] = set()
    for some in chunks(instances):
        query = select(entity_write.c.dataset, entity_write.c.uuid).where(
            entity_write.c.project_id == project_id,
            entity_write.c.form_id == form_id,
            entity_write.c.instance_id.in_(some),
            entity_write.c.uuid != "",
        )
        found.update(tuple(row) for row in connection.execute(query))
    return found


def headers(connection: Connection, project_id: int, instances: Iterable[tuple[str, str]]) -> list[Header]:
    """Return the revisions under, or editing, these instanceIDs. instances: (form_id, instanceID)."""
    of_form: dict[str, set[str]] = {}
    for form_id, instance in instances:
        of_form.setdefault(form_id, set()).add(instance)
    names = ("form_id", "instance_id", "digest", "deprecated_id", "stamp")
    found = []
    for form_id, wanted in of_form.items():
        for some in chunks(wanted):
            query = select(*(entity_write.c[name] for name in names)).where(
                entity_write.c.project_id == project_id,
                entity_write.c.form_id == form_id,
                or_(entity_write.c.instance_id.in_(some), entity_write.c.deprecated_id.in_(some)),
            )
            found += [Header(*row) for row in connection.execute(query.distinct())]
    return found


def write_of(row: Mapping[str, Any]) -> Write:
    """Return the write that a row of `entity_write` holds."""
    return Write(
        digest=row["digest"],
        stamp=row["stamp"],
        origin=row["origin"],
        deed=Deed(row["deed"]),
        index=row["place"],
        label=row["label"],
        values=orjson.loads(row["data"]),
        base=row["base"],
        trunk=row["trunk"],
        branch=row["branch"],
        revision=header_of(row) if row["form_id"] else None,
        seen=orjson.loads(row["seen"]),
        resolves=row["resolves"],
    )


def header_of(row: Mapping[str, Any]) -> Header:
    """Return the revision that a row of `entity_write` comes from."""
    return Header(row["form_id"], row["instance_id"], row["digest"], row["deprecated_id"], row["stamp"])


def _entities(project_id: int, dataset: str) -> Any:
    columns = [entity.c[field.name] for field in fields(StoredEntity)]
    known = entity.c.version > 0  # of what was deleted elsewhere, the rest may be still to come
    return select(*columns).where(entity.c.project_id == project_id, entity.c.dataset == dataset, known)

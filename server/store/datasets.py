"""Datasets (entity lists) as state: which there are, their properties, and what tells that a list has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import orjson
from sqlalchemy import ColumnElement, Connection, func, select, update

from forms.lineage import Version
from server import datasets
from server.store import forms, listed
from server.store.dialect import upsert
from server.store.journal import Record
from server.store.tables import dataset, dataset_property, entity

DIGEST_HEX = 64
NO_DIGEST = "0" * DIGEST_HEX
NEUTRAL_CHARS = 8


@dataclass(frozen=True, slots=True)
class Property:
    """A property of the entities. withheld: tablets, and most people, never get it. stamp: when it was declared."""

    name: str
    withheld: bool
    stamp: int


@dataclass(frozen=True)
class StoredDataset:
    """A dataset. label_withheld: labels may tell who it is. list_digest: changes with the list; told: with what
    the centre says of it."""

    project_id: int
    name: str
    created_stamp: int
    label_withheld: bool
    list_digest: str
    properties: tuple[Property, ...]
    told: str = ""

    @cached_property
    def md5(self) -> str:
        """Another one whenever the bytes for tablets change."""
        told = orjson.dumps(
            [self.name, self.columns(), self.label_withheld, self.list_digest, *filter(None, [self.told])]
        )
        return hashlib.md5(told, usedforsecurity=False).hexdigest()

    def columns(self, *, personal: bool = False) -> tuple[str, ...]:
        """Return the names of the properties to show, in order."""
        return tuple(one.name for one in self.properties if personal or not one.withheld)

    def label(self, uuid: str, label: str, *, personal: bool = False) -> str:
        """Return the label to show: a neutral one when it is withheld, or nobody gave one."""
        if label and (personal or not self.label_withheld):
            return label
        return f"{self.name} {uuid[:NEUTRAL_CHARS]}"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is listed, how much of that is in conflict, and when the last of it changed (None: never)."""

    entities: int
    conflicts: int
    newest_stamp: int | None


def find_dataset(connection: Connection, project_id: int, name: str) -> StoredDataset | None:
    """Return the dataset of this name, or None."""
    return next((one for one in list_datasets(connection, project_id) if one.name == name), None)


def list_datasets(connection: Connection, project_id: int) -> list[StoredDataset]:
    """Return every dataset of a project, by name."""
    properties: dict[str, list[Property]] = {}
    for row in connection.execute(
        select(dataset_property)
        .where(dataset_property.c.project_id == project_id)
        .order_by(dataset_property.c.stamp, dataset_property.c.place, dataset_property.c.name)
    ):
        properties.setdefault(row.dataset, []).append(Property(row.name, row.withheld, row.stamp))
    rows = connection.execute(
        select(dataset).where(dataset.c.project_id == project_id).order_by(dataset.c.name)
    )
    told = listed.read_marks(connection, project_id)
    return [
        StoredDataset(
            **row, properties=tuple(properties.get(row["name"], ())), told=told.get(row["name"], "")
        )
        for row in rows.mappings()
    ]


def count_entities(connection: Connection, project_id: int, name: str) -> Counts:
    """Count what a dataset lists."""
    changed = func.coalesce(entity.c.updated_stamp, entity.c.created_stamp)
    row = connection.execute(
        select(func.count(), func.count(entity.c.conflict), func.max(changed)).where(
            entity.c.project_id == project_id,
            entity.c.dataset == name,
            entity.c.pending.is_(False),
            entity.c.deleted_stamp.is_(None),
        )
    ).one()
    return Counts(*row)


def project_form(connection: Connection, schemas: forms.Schemas, record: Record, form_id: str) -> None:
    """Derive the datasets that a form declares, from all its versions, after `record` published one.

    Each is as old as the first version that declares it, whichever version arrived first.
    """
    versions = forms.read_versions(connection, schemas, record.project_id, form_id)
    stamps = [one.stamp for one in reversed(forms.list_versions(connection, record.project_id, form_id))]
    known = {one.name: one for one in list_datasets(connection, record.project_id)}
    since = _since(versions, stamps)
    for name, found in datasets.declared(versions).items():
        key = {"project_id": record.project_id, "name": name}
        created = min(stamp for (of, _), (stamp, _) in since.items() if of == name)
        before = known.get(name) or StoredDataset(record.project_id, name, created, False, NO_DIGEST, ())
        told = {
            "created_stamp": min(created, before.created_stamp),
            "label_withheld": found.label_withheld or before.label_withheld,
            "list_digest": before.list_digest,
        }
        upsert(connection, dataset, [key | told])
        _project_properties(connection, before, found.withheld, since)


def _project_properties(
    connection: Connection,
    before: StoredDataset,
    withheld: Mapping[str, bool],
    since: Mapping[tuple[str, str], tuple[int, int]],
) -> None:
    query = select(dataset_property).where(
        dataset_property.c.project_id == before.project_id, dataset_property.c.dataset == before.name
    )
    stored = {row["name"]: row for row in connection.execute(query).mappings()}
    rows = []
    for own, is_withheld in withheld.items():
        stamp, place = since[before.name, own]
        row = {"stamp": stamp, "place": place, "withheld": is_withheld}
        if own in stored:
            row["stamp"], row["place"] = min((stamp, place), (stored[own]["stamp"], stored[own]["place"]))
            row["withheld"] = is_withheld or stored[own]["withheld"]
        rows.append({"project_id": before.project_id, "dataset": before.name, "name": own} | row)
    upsert(connection, dataset_property, rows)


def _since(versions: Sequence[Version], stamps: Sequence[int]) -> dict[tuple[str, str], tuple[int, int]]:
    """When each property, (dataset, name), was first declared, and where it then stood; "" for the dataset itself."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for version, stamp in zip(versions, stamps, strict=True):
        for one in version.schema.entities:
            for place, own in enumerate(("", *one.properties), -1):
                found.setdefault((one.dataset, own), (stamp, place))
    return found


def move_digest(connection: Connection, project_id: int, name: str, by: int) -> None:
    """Add to the digest of a list what its new rows have and the old ones had not."""
    if by:
        query = select(dataset.c.list_digest).where(*_is(project_id, name))
        total = (int(connection.execute(query).scalar_one(), 16) + by) % 16**DIGEST_HEX
        connection.execute(
            update(dataset).where(*_is(project_id, name)).values(list_digest=f"{total:0{DIGEST_HEX}x}")
        )


def _is(project_id: int, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return dataset.c.project_id == project_id, dataset.c.name == name

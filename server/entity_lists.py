"""The entity lists that tablets download: a form that reads `cases.csv`, and was given no such file, gets the dataset.

Source: ODK Entities 2025.1; Collect wants `name`, `label` and `__version` in every row.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import orjson
from sqlalchemy import Connection, Engine

from server.exports.rows import csv_bytes
from server.node import Node
from server.problems import Problem
from server.store import datasets, entities, forms, listed
from server.store.datasets import StoredDataset
from server.store.engine import reading
from server.store.entities import BEGINNING, StoredEntity
from server.store.forms import PublishedForm, iso
from server.store.submissions import chunks
from sync.entity_write import Write
from sync.listed import Listed, shown

SUFFIX = ".csv"


def get(node: Node, project_id: int, name: str) -> StoredDataset:
    """Return a dataset as it is after all that came in. Raises Problem 404.1."""
    node.catch_up()
    with reading(node.engine) as connection:
        found = datasets.find_dataset(connection, project_id, name)
    if found is None:
        raise Problem(404.1, "There is no such dataset in this project.")
    return found


def list_read(connection: Connection, schemas: forms.Schemas, form: PublishedForm) -> list[StoredDataset]:
    """Return the datasets that a form version reads as files which nobody gave, by name."""
    schema = schemas.find(connection, form.project_id, form.form_id, form.version)
    assert schema is not None, "a published version has a schema"
    if not any(name.endswith(SUFFIX) for name in schema.media):
        return []
    given = {file.name for file in forms.list_media(connection, form.project_id, form.form_id) if file.sha256}
    wanted = set(schema.media) - given
    found = datasets.list_datasets(connection, form.project_id) if wanted else []
    return [one for one in found if file_name(one) in wanted]


def file_name(found: StoredDataset) -> str:
    """Return the name of the file that a form reads the dataset by."""
    return f"{found.name}{SUFFIX}"


def for_tablets(engine: Engine, found: StoredDataset) -> Generator[bytes]:
    """Yield the list as CSV, a page at a time: name, label, __version, and the properties that may leave the server.

    Each page is read by itself, so that a slow tablet holds no transaction open.
    """
    names = found.columns()
    yield csv_bytes([["name", "label", "__version", *names]])
    for page in iter_shown(engine, found):
        yield csv_bytes(
            [
                one.uuid,
                found.label(one.uuid, one.label),
                str(one.version),
                *(one.values.get(name, "") for name in names),
            ]
            for one in page
        )


def for_people(engine: Engine, found: StoredDataset, *, personal: bool) -> Generator[bytes]:
    """Yield the list as CSV with who made each entity and when, in ODK Central's columns."""
    names = found.columns(personal=personal)
    head, tail = (
        ("__id", "label"),
        ("__createdAt", "__creatorId", "__creatorName", "__updates", "__updatedAt"),
    )
    yield csv_bytes([[*head, *names, *tail, "__version"]])
    for page in iter_pages(engine, found):
        yield csv_bytes(
            [
                one.uuid,
                found.label(one.uuid, one.label, personal=personal),
                *_values(one, names),
                iso(one.created_stamp),
                "" if one.creator_id is None else str(one.creator_id),
                one.creator_name,
                str(one.version - 1),
                "" if one.updated_stamp is None else iso(one.updated_stamp),
                str(one.version),
            ]
            for one in page
        )


def iter_pages(
    engine: Engine, found: StoredDataset, *, deleted: bool = False, pending: bool = False
) -> Iterator[list[StoredEntity]]:
    """Yield the listed, deleted or pending entities in order of creation, a page at a time."""
    after = BEGINNING
    while True:
        with reading(engine) as connection:
            page = entities.list_entities(
                connection, found.project_id, found.name, after, deleted=deleted, pending=pending
            )
        if not page:
            return
        yield page
        after = page[-1].place


def iter_shown(engine: Engine, found: StoredDataset) -> Iterator[list[Listed]]:
    """Yield what the list shows at this node: its own entities, then those that only its centre can tell of."""
    with reading(engine) as connection:
        told = listed.read_told(connection, found.project_id, found.name)
    for page in iter_pages(engine, found):
        own = {
            one.uuid: Listed(one.uuid, one.version, one.label, orjson.loads(one.data))
            for one in page
            if one.uuid not in told
        }
        yield list(own.values())
    for uuids in chunks(told):
        with reading(engine) as connection:
            writes = entities.write_rows(connection, found.project_id, found.name, uuids)
            held: dict[str, list[Write]] = {}
            for row in writes:
                held.setdefault(row["uuid"], []).append(entities.write_of(row))
        now = (shown(told[uuid], held.get(uuid, ())) for uuid in uuids)
        yield [one for one in now if one.is_listed]


def _values(one: StoredEntity, names: Sequence[str]) -> list[str]:
    data = orjson.loads(one.data)
    return [data.get(name, "") for name in names]

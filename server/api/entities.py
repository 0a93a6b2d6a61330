"""Entities in the shape of ODK Central's API: reading them and their versions, and what people do to them."""

from __future__ import annotations

import uuid as uuids
from itertools import chain, islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict

from forms.entities import canonical_uuid
from forms.schema import Deed
from server import entity_changes, entity_lists
from server.api import datasets, entity_json
from server.api.deps import ActorDep, NodeDep
from server.api.entity_json import Shown
from server.entity_changes import EntityChange
from server.node import Node
from server.permissions import Action, Actor, may
from server.problems import Problem
from server.store import entities
from server.store.datasets import StoredDataset
from server.store.engine import reading
from server.store.entities import StoredEntity

BULK_MAX = 10_000

router = APIRouter(prefix="/projects/{project_id}/datasets/{name}", tags=["entities"])
Flag = Annotated[bool, Query()]


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("It holds a NUL.")
    return text


Value = Annotated[str, AfterValidator(_storable)]


class Wanted(BaseModel):
    """What a request says of an entity."""

    model_config = ConfigDict(extra="forbid", strict=True)
    uuid: str | None = None
    label: Value | None = None
    data: dict[str, Value] | None = None


class Source(BaseModel):
    """Where a bulk of entities came from; told for Central's sake and not kept."""

    name: str
    size: int | None = None


class Bulk(BaseModel):
    """Several entities at once."""

    model_config = ConfigDict(extra="forbid")
    entities: list[Wanted]
    source: Source


class Ids(BaseModel):
    """Entities to delete or restore."""

    ids: list[str]


@router.get("/entities")
def list_entities(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    name: str,
    deleted: Flag = False,
    pending: Flag = False,
    limit: Annotated[int | None, Query(ge=1)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[dict[str, Any]]:
    """List entities in order of creation. pending: those that wait for what creates them (not in Central's API)."""
    found = datasets.find(node, actor, Action.READ_ENTITIES, project_id, name)
    shown = Shown(found, personal=False)
    pages = entity_lists.iter_pages(node.engine, found, deleted=deleted, pending=pending)
    wanted = islice(chain.from_iterable(pages), offset, None if limit is None else offset + limit)
    return [shown.entity(one) for one in wanted]


@router.get("/entities/{uuid}")
def get_entity(
    node: NodeDep, actor: ActorDep, project_id: int, name: str, uuid: str, personal: Flag = False
) -> dict[str, Any]:
    """Tell about one entity, with its values."""
    found = datasets.find(node, actor, Action.READ_ENTITIES, project_id, name, personal=personal)
    return _whole(node, found, entity_changes.get(node, found, uuid), personal=personal)


@router.get("/entities/{uuid}/versions")
def list_versions(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    name: str,
    uuid: str,
    personal: Flag = False,
    relevant_to_conflict: Annotated[bool, Query(alias="relevantToConflict")] = False,
) -> list[dict[str, Any]]:
    """List the versions of an entity, oldest first, with what is in conflict."""
    found = datasets.find(node, actor, Action.READ_ENTITIES, project_id, name, personal=personal)
    listed = _versions(node, found, entity_changes.get(node, found, uuid), personal=personal)
    return [one for one in listed if one["relevantToConflict"]] if relevant_to_conflict else listed


@router.get("/entities/{uuid}/diffs")
def list_diffs(
    node: NodeDep, actor: ActorDep, project_id: int, name: str, uuid: str, personal: Flag = False
) -> list[list[dict[str, Any]]]:
    """List what each version changed against the one before it."""
    found = datasets.find(node, actor, Action.READ_ENTITIES, project_id, name, personal=personal)
    return entity_json.diffs(_versions(node, found, entity_changes.get(node, found, uuid), personal=personal))


@router.post("/entities")
def create_entities(
    node: NodeDep, actor: ActorDep, project_id: int, name: str, wanted: Bulk | Wanted
) -> dict[str, Any]:
    """Create one entity, or several: all or none."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    if isinstance(wanted, Bulk):
        if not 0 < len(wanted.entities) <= BULK_MAX:
            raise Problem(400.28, f"Send from one to {BULK_MAX} entities at once.")
        entity_changes.create(node, actor, found, [_new(actor, found, one) for one in wanted.entities])
        return {"success": True}
    new = _new(actor, found, wanted)
    entity_changes.create(node, actor, found, [new])
    return _whole(node, found, entity_changes.get(node, found, new.uuid), personal=False)


@router.patch("/entities/{uuid}")
def change_entity(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    name: str,
    uuid: str,
    wanted: Wanted | None = None,
    base_version: Annotated[int | None, Query(alias="baseVersion")] = None,
    force: Flag = False,
    resolve: Flag = False,
) -> dict[str, Any]:
    """Update an entity, settle what is in conflict, or both. baseVersion: the version that was read."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    known = _listed(node, found, uuid)
    wanted = wanted or Wanted()
    if wanted.label is None and wanted.data is None and not resolve:
        raise Problem(400.28, "Send a label, data, or both.")
    change = _change(actor, found, known.uuid, Deed.UPDATE, wanted, resolves=resolve)
    entity_changes.change(node, actor, found, change, base_version, force=force)
    return _whole(node, found, entity_changes.get(node, found, known.uuid), personal=False)


@router.delete("/entities/{uuid}")
def delete_entity(node: NodeDep, actor: ActorDep, project_id: int, name: str, uuid: str) -> dict[str, bool]:
    """Delete an entity; it can be restored."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    entity_changes.delete(node, actor, found, [_listed(node, found, uuid).uuid])
    return {"success": True}


@router.post("/entities/{uuid}/restore")
def restore_entity(node: NodeDep, actor: ActorDep, project_id: int, name: str, uuid: str) -> dict[str, bool]:
    """Bring a deleted entity back."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    known = entity_changes.get(node, found, uuid)
    if known.deleted_stamp is None:
        raise Problem(404.1, "This entity is not deleted.")
    entity_changes.restore(node, actor, found, [known.uuid])
    return {"success": True}


@router.post("/entities/bulk-delete")
def delete_entities(
    node: NodeDep, actor: ActorDep, project_id: int, name: str, wanted: Ids
) -> dict[str, int]:
    """Delete those of these entities that are listed."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    with reading(node.engine) as connection:
        known = entities.find_entities(connection, project_id, name, map(canonical_uuid, wanted.ids))
    listed = [one.uuid for one in known if one.is_listed]
    entity_changes.delete(node, actor, found, listed)
    return {"count": len(listed)}


@router.post("/entities/bulk-restore")
def restore_entities(
    node: NodeDep, actor: ActorDep, project_id: int, name: str, wanted: Ids
) -> dict[str, int]:
    """Bring those of these entities back that are deleted."""
    found = datasets.find(node, actor, Action.WRITE_ENTITIES, project_id, name)
    with reading(node.engine) as connection:
        known = entities.find_entities(connection, project_id, name, map(canonical_uuid, wanted.ids))
    deleted = [one.uuid for one in known if one.deleted_stamp is not None]
    entity_changes.restore(node, actor, found, deleted)
    return {"count": len(deleted)}


def _new(actor: Actor, dataset: StoredDataset, wanted: Wanted) -> EntityChange:
    if not (wanted.label or "").strip():
        raise Problem(400.28, "An entity needs a label that is not blank.")
    uuid = str(uuids.uuid4())
    if wanted.uuid:
        uuid = canonical_uuid(wanted.uuid)
        if not uuid:
            raise Problem(400.28, "The uuid is no UUID.")
    return _change(actor, dataset, uuid, Deed.CREATE, wanted)


def _change(
    actor: Actor, dataset: StoredDataset, uuid: str, deed: Deed, wanted: Wanted, *, resolves: bool = False
) -> EntityChange:
    data = wanted.data or {}
    unknown = sorted(data.keys() - set(dataset.columns(personal=True)))
    if unknown:
        raise Problem(400.28, f"The dataset has no property {', '.join(unknown)}.")
    if data.keys() - set(dataset.columns()) and not may(actor, Action.EXPORT_PERSONAL, dataset.project_id):
        raise Problem(403.1, "This account may not change restricted properties.")
    if wanted.label is not None and not wanted.label.strip():
        raise Problem(400.28, "A label must not be blank.")
    return EntityChange(uuid, deed, wanted.label or "", data, resolves)


def _listed(node: Node, dataset: StoredDataset, uuid: str) -> StoredEntity:
    found = entity_changes.get(node, dataset, uuid)
    if not found.is_listed:
        raise Problem(404.1, "This entity is deleted, or waits for the record that creates it.")
    return found


def _whole(node: Node, dataset: StoredDataset, one: StoredEntity, *, personal: bool) -> dict[str, Any]:
    newest = _versions(node, dataset, one, personal=personal)[-1]
    return Shown(dataset, personal).entity(one) | {"currentVersion": newest}


def _versions(
    node: Node, dataset: StoredDataset, one: StoredEntity, *, personal: bool
) -> list[dict[str, Any]]:
    seen, sources = entity_changes.read_history(node, dataset, one.uuid)
    return Shown(dataset, personal).versions(one.uuid, seen, sources)

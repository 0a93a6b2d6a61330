"""What people do to entities over the API: facts of the journal, merged like the writes of tablets.

Each says what its author had seen (of each origin, the last write), so that a change made at the same moment
elsewhere is not overwritten but stands beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import orjson

from forms.entities import canonical_uuid
from forms.schema import Deed
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import entities, journal
from server.store.datasets import StoredDataset
from server.store.engine import reading, writing
from server.store.entities import StoredEntity, WriteSource
from sync.entities import LABEL, Entity, view
from sync.journal import Fact, Kind


@dataclass(frozen=True, slots=True)
class EntityChange:
    """What a person wants. label: "" to leave it. data: property → text."""

    uuid: str
    deed: Deed
    label: str = ""
    data: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    resolves: bool = False


def get(node: Node, dataset: StoredDataset, uuid: str) -> StoredEntity:
    """Return an entity, be it listed, deleted or pending. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        found = entities.find_entity(connection, dataset.project_id, dataset.name, canonical_uuid(uuid))
    if found is None:
        raise Problem(404.1, "There is no such entity in this dataset.")
    return found


def read_history(node: Node, dataset: StoredDataset, uuid: str) -> tuple[Entity, list[WriteSource]]:
    """Return an entity with its whole history, and where its writes came from."""
    with reading(node.engine) as connection:
        sources = entities.list_writes(connection, dataset.project_id, dataset.name, uuid)
        writes = [one.write for one in sources]
        instances = {(one.form_id, one.instance_id) for one in sources if one.form_id}
        return view(writes, entities.headers(connection, dataset.project_id, instances)), sources


def create(node: Node, actor: Actor, dataset: StoredDataset, new: Sequence[EntityChange]) -> None:
    """Create entities, all or none. Raises Problem 409.3 for UUIDs in use, 409.19 for those of deleted entities."""
    node.catch_up()
    uuids = [one.uuid for one in new]
    with reading(node.engine) as connection:
        known = entities.find_entities(connection, dataset.project_id, dataset.name, uuids)
    if deleted := [one.uuid for one in known if one.deleted_stamp is not None]:
        raise Problem(
            409.19, f"Deleted entities have these UUIDs: {', '.join(deleted)}. Restore them instead."
        )
    if used := [one.uuid for one in known if one.is_listed]:
        raise Problem(409.3, f"Entities with these UUIDs are there already: {', '.join(used)}.")
    if len(set(uuids)) < len(uuids):
        raise Problem(409.3, "The same UUID stands twice in the request.")
    _append(node, actor, dataset, [(one, {}) for one in new])


def change(
    node: Node, actor: Actor, dataset: StoredDataset, wanted: EntityChange, base: int | None, *, force: bool
) -> None:
    """Update an entity, and settle what is in conflict if asked to.

    base: the version that the person saw. Raises Problem 409.15 when it is not the newest, unless forced; 400.32 when
    there is no conflict to settle.
    """
    seen, _ = read_history(node, dataset, wanted.uuid)
    if wanted.resolves and seen.conflict is None:
        raise Problem(400.32, "This entity has no conflict to resolve.")
    if base != seen.version and not force:
        raise Problem(
            409.15,
            f"The newest version of this entity is {seen.version}. Read it and send baseVersion={seen.version}, or "
            "force=true.",
            extra={"current": seen.version, "provided": base},
        )
    if wanted.resolves:
        shown = {name: candidates[0].value for name, candidates in seen.open.items()}
        label = wanted.label or shown.pop(LABEL, "")
        wanted = replace(wanted, label=label, data=shown | dict(wanted.data))
    _append(node, actor, dataset, [(wanted, seen.seen)])


def delete(node: Node, actor: Actor, dataset: StoredDataset, uuids: Sequence[str]) -> None:
    """Delete entities: a mark, that `restore` takes back."""
    _mark(node, actor, dataset, uuids, Deed.DELETE)


def restore(node: Node, actor: Actor, dataset: StoredDataset, uuids: Sequence[str]) -> None:
    """Bring deleted entities back."""
    _mark(node, actor, dataset, uuids, Deed.RESTORE)


def _mark(node: Node, actor: Actor, dataset: StoredDataset, uuids: Sequence[str], deed: Deed) -> None:
    wanted = [(EntityChange(uuid, deed), read_history(node, dataset, uuid)[0].seen) for uuid in uuids]
    _append(node, actor, dataset, wanted)


def _append(
    node: Node, actor: Actor, dataset: StoredDataset, wanted: Sequence[tuple[EntityChange, Mapping[str, int]]]
) -> None:
    facts = []
    for one, seen in wanted:
        detail = orjson.dumps(
            {
                "dataset": dataset.name,
                "uuid": one.uuid,
                "deed": one.deed,
                "label": one.label,
                "data": dict(one.data),
                "seen": dict(seen),
                "resolves": one.resolves,
                "actor_id": actor.id,
                "actor_name": actor.name,
            },
            option=orjson.OPT_SORT_KEYS,
        )
        key = hashlib.sha256(orjson.dumps([Kind.ENTITY, dataset.project_id]) + detail).digest()
        facts.append(Fact(Kind.ENTITY, dataset.project_id, key, detail))
    with writing(node.engine) as connection:
        journal.append(connection, facts)
    node.catch_up()

"""Entities and their versions as ODK Central's API writes them.

A version's `conflict` says what it was in conflict with when it came; `conflicts` (not in Central's API) lists what
is open now. Restricted properties are left out unless asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson

from server.store.datasets import StoredDataset
from server.store.entities import StoredEntity, WriteSource
from server.store.forms import iso
from sync.entities import LABEL, Entity, Version, versions

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a dataset's entities is told."""

    dataset: StoredDataset
    personal: bool

    def entity(self, one: StoredEntity) -> Json:
        """Return an entity as lists tell it: without its values."""
        current = orjson.loads(one.current)
        return {
            "uuid": one.uuid,
            "createdAt": iso(one.created_stamp),
            "updatedAt": one.updated_stamp and iso(one.updated_stamp),
            "deletedAt": one.deleted_stamp and iso(one.deleted_stamp),
            "creatorId": one.creator_id,
            "conflict": one.conflict,
            "pending": one.pending,
            "currentVersion": {
                "label": self._label(one.uuid, one.label),
                "version": one.version,
                "current": True,
                "createdAt": iso(current["stamp"]),
                "creatorId": current["actor_id"],
                "userAgent": None,
                "baseVersion": current["base"] or None,
                "branchId": current["branch"] or None,
                "trunkVersion": current["trunk"],
                "branchBaseVersion": current["branch_base"] if current["branch"] else None,
                "conflictingProperties": list(current["properties"]) or None,
            },
        }

    def versions(self, uuid: str, seen: Entity, sources: Sequence[WriteSource]) -> list[Json]:
        """Return every version, oldest first, the newest with what is open now."""
        by_key = {source.write.key: source for source in sources}
        listed = versions(seen)
        told = [self._version(uuid, one, by_key[one.write.key], listed) for one in listed]
        _mark_relevant(told)
        told[-1] |= {"current": True, "conflicts": self._open(seen)}
        return told

    def _version(self, uuid: str, one: Version, source: WriteSource, listed: Sequence[Version]) -> Json:
        write = one.write
        received = dict(write.values) | ({LABEL: write.label} if write.label else {})
        return {
            "label": self._label(uuid, one.label),
            "data": self._visible(one.values),
            "dataReceived": self._visible(received),
            "version": one.number,
            "current": False,
            "baseVersion": one.base or None,
            "branchId": write.branch or None,
            "trunkVersion": write.trunk,
            "branchBaseVersion": write.base if write.branch else None,
            "conflictingProperties": list(one.properties) or None,
            "conflict": one.conflict,
            "resolved": one.is_settled,
            "superseded": one.is_superseded,
            "ancestorsMissing": one.is_missing,
            "baseDiff": _differing(received, listed[one.base - 1] if one.base else None),
            "serverDiff": _differing(received, listed[one.number - 2] if one.number > 1 else None),
            "createdAt": iso(write.stamp),
            "creatorId": source.actor_id,
            "creator": {"id": source.actor_id, "displayName": source.actor_name},
            "userAgent": None,
            "source": _source(source),
        }

    def _open(self, seen: Entity) -> Json:
        return {
            name: [
                {"value": one.value, "createdAt": iso(one.write.stamp), "baseVersion": one.write.base or None}
                for one in candidates
            ]
            for name, candidates in seen.open.items()
            if name in self._visible(dict.fromkeys(seen.open, ""))
        }

    def _visible(self, values: Mapping[str, str]) -> dict[str, str]:
        columns = {*self.dataset.columns(personal=self.personal)}
        if self.personal or not self.dataset.label_withheld:
            columns.add(LABEL)
        return {name: value for name, value in values.items() if name in columns}

    def _label(self, uuid: str, label: str) -> str:
        return self.dataset.label(uuid, label, personal=self.personal)


def diffs(told: Sequence[Json]) -> list[list[Json]]:
    """Return what each version but the first changed: {old, new, propertyName}."""
    found = []
    for before, after in pairwise(told):
        old, new = ({LABEL: one[LABEL], **one["data"]} for one in (before, after))
        found.append(
            [
                {"old": old.get(name), "new": new.get(name), "propertyName": name}
                for name in dict.fromkeys([*old, *new])
                if old.get(name) != new.get(name)
            ]
        )
    return found


def _differing(received: Mapping[str, str], version: Version | None) -> list[str]:
    """The properties that say something else than a version did."""
    if version is None:
        return []
    known = {LABEL: version.label, **version.values}
    return [name for name, value in received.items() if known.get(name) != value]


def _mark_relevant(told: Sequence[Json]) -> None:
    """Mark the last version before open conflicts, and those that whoever settles them should read."""
    unsettled = [one["version"] for one in told if one["conflict"] and not one["resolved"]]
    good = min(unsettled) - 1 if unsettled else len(told)
    bases = {one["baseVersion"] for one in told if unsettled and one["version"] > good}
    for one in told:
        one["lastGoodVersion"] = one["version"] == good
        one["relevantToConflict"] = bool(unsettled) and (one["version"] >= good or one["version"] in bases)


def _source(source: WriteSource) -> Json:
    if not source.form_id:
        return {}
    return {"submission": {"xmlFormId": source.form_id, "instanceId": source.instance_id}}

"""The entity lists of posts: what a centre tells them of entities that they cannot derive by themselves. Pure.

A post holds only what was collected there. Of the cases of its crossing it gets what their list shows: no record, and
nothing that never leaves the server. What was written at the post since is shown on top of it, until the centre has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from forms.schema import Deed
from sync.entity_write import Write


@dataclass(frozen=True, slots=True)
class Listed:
    """An entity as a centre tells it. values: property → text. seen: of each origin, the stamp of the last write in it.

    is_listed: False when it is in the post's list no more.
    """

    uuid: str
    version: int
    label: str
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    seen: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    is_listed: bool = True


def shown(told: Listed, writes: Iterable[Write]) -> Listed:
    """Return what the post shows: what it was told, and on top what the centre had not seen. writes: those held here."""
    values, label, version, is_listed = dict(told.values), told.label, told.version, told.is_listed
    for one in sorted(writes, key=lambda one: one.rank):
        if one.stamp <= told.seen.get(one.origin, 0):
            continue
        values.update(one.values)
        label = one.label or label
        version += one.is_version
        is_listed = is_listed and one.deed is not Deed.DELETE
    return replace(told, values=values, label=label, version=version, is_listed=is_listed)


def news(wanted: Iterable[Listed], told: Mapping[str, Listed]) -> list[Listed]:
    """Return what a post is to be told. wanted: what its list shows now. told: by uuid, what it was told before."""
    now = {one.uuid: one for one in wanted}
    gone = [
        replace(one, values={}, label="", is_listed=False)
        for uuid, one in told.items()
        if one.is_listed and uuid not in now
    ]
    return [one for uuid, one in now.items() if told.get(uuid) != one] + gone

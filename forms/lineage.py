"""Which question of one version is which of another: a stable identity for every question and repeat of a form.

A question keeps its identity when a rename map says so, when it stands at the same path, or when the repeat around
it has one question of its name only (names say what is asked; groups only say where). A question that crosses the
border of a repeat is another one: its answers stand in another table. Read by `forms.evolve` and the exports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType

from forms.schema import Field, FormSchema, Group, Node, Repeat

Renames = Mapping[str, str]
"""Path in the version before → path in this one; of questions, repeats and groups."""

NO_RENAMES: Renames = MappingProxyType({})
FORM = 0
"""The identity of the form's own table."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a form. renames: what its designer said of the version before it."""

    schema: FormSchema
    renames: Renames = field(default_factory=lambda: NO_RENAMES)


@dataclass(frozen=True, slots=True)
class _Known:
    """A question or repeat as last seen. table: identity of the repeat around it."""

    identity: int
    table: int
    path: str
    is_repeat: bool

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def trace(versions: Sequence[Version]) -> tuple[Mapping[str, int], ...]:
    """Return, for each version, the identity of the question or repeat at every path.

    versions: oldest first. A question that comes back after versions without it is the one it was.
    """
    numbers = count(FORM + 1)
    gone: dict[int, _Known] = {}
    living: list[_Known] = []
    traced = []
    for version in versions:
        moved = sorted(
            (replace(one, path=translated(one.path, version.renames)) for one in living),
            key=lambda one: one.path in version.renames.values(),
        )
        candidates = (_last_at_each_place(moved), _last_at_each_place(gone.values()))
        found = _Tracer(candidates, numbers).trace(version.schema)
        here = {one.identity for one in found}
        gone |= {one.identity: one for one in living}
        gone = {identity: one for identity, one in gone.items() if identity not in here}
        living = found
        traced.append({one.path: one.identity for one in living})
    return tuple(traced)


def translated(path: str, renames: Renames) -> str:
    """Return the path after the renames; that of a group or repeat holds for all inside it."""
    head = path
    while head:
        if head in renames:
            return renames[head] + path.removeprefix(head)
        head = head.rpartition("/")[0]
    return path


def followed(old: FormSchema, new: FormSchema, renames: Renames = NO_RENAMES) -> Mapping[str, str]:
    """Return old path → new path of the questions and repeats that both versions have."""
    before, after = trace([Version(old), Version(new, renames)])
    paths = {identity: path for path, identity in after.items()}
    return {path: paths[identity] for path, identity in before.items() if identity in paths}


def renames_between(versions: Sequence[Version], old: int) -> Renames:
    """Return old path → newest path of what has another name in the newest version than in the version at `old`."""
    if old == len(versions) - 2:
        return versions[-1].renames
    traced = trace(versions)
    newest = {identity: path for path, identity in traced[-1].items()}
    pairs = {path: newest[identity] for path, identity in traced[old].items() if identity in newest}
    return {old: new for old, new in pairs.items() if old.rpartition("/")[2] != new.rpartition("/")[2]}


def _last_at_each_place(known: Iterable[_Known]) -> list[_Known]:
    return list({(one.table, one.path, one.is_repeat): one for one in known}.values())


class _Tracer:
    """Gives the nodes of one version their identities, table by table."""

    def __init__(self, candidates: tuple[Sequence[_Known], ...], numbers: Iterator[int]) -> None:
        self._candidates = candidates
        self._numbers = numbers

    def trace(self, schema: FormSchema) -> list[_Known]:
        return self._table(schema.children, FORM)

    def _table(self, children: tuple[Node, ...], table: int) -> list[_Known]:
        nodes = list(_own(children))
        found: dict[str, _Known] = {}
        for candidates in self._candidates:
            for by in ("path", "name"):
                self._match(nodes, [one for one in candidates if one.table == table], by, found)
        for node in nodes:
            if node.path not in found:
                found[node.path] = _Known(next(self._numbers), table, node.path, isinstance(node, Repeat))
        below = [
            known
            for node in nodes
            if isinstance(node, Repeat)
            for known in self._table(node.children, found[node.path].identity)
        ]
        return [*found.values(), *below]

    def _match(
        self, nodes: list[Field | Repeat], known: list[_Known], by: str, found: dict[str, _Known]
    ) -> None:
        """Add to `found` the nodes without identity that share path or name with one free candidate only."""
        taken = {one.identity for one in found.values()}
        free = {one for one in known if one.identity not in taken}
        waiting = [node for node in nodes if node.path not in found]
        wanted = Counter((getattr(node, by), isinstance(node, Repeat)) for node in waiting)
        offered = Counter((getattr(one, by), one.is_repeat) for one in free)
        unique = {key: one for one in free if offered[key := (getattr(one, by), one.is_repeat)] == 1}
        for node in waiting:
            key = (getattr(node, by), isinstance(node, Repeat))
            if wanted[key] == 1 and key in unique:
                found[node.path] = replace(unique[key], path=node.path)


def _own(nodes: tuple[Node, ...]) -> Iterable[Field | Repeat]:
    """The questions and repeats of one table, through its groups."""
    for node in nodes:
        if isinstance(node, Group):
            yield from _own(node.children)
        else:
            yield node

"""The history of one submission: which revisions belong together, what each was made upon, which are heads.

Pure functions of the *set* of revisions: order of arrival, repetition and route change nothing.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from sync.groups import Groups
from sync.revision import Revision, RevisionKind


@dataclass(frozen=True)
class History:
    """Connected revisions as a directed graph without circles.

    instance_id: names the submission: the instanceID that all edits go back to, here or not.
    order: parents before children, else in order of receipt; decisions that were undone are left out.
    parents: for each place in `order`, the places of what it was made upon. ancestors: the same through all
    generations, as bits. parent_missing: an edit stands without what it edits.
    """

    instance_id: str
    order: tuple[Revision, ...]
    parents: tuple[tuple[int, ...], ...]
    ancestors: tuple[int, ...]
    parent_missing: bool

    @cached_property
    def heads(self) -> tuple[int, ...]:
        """The places of revisions that nothing was made upon, the last received last."""
        inner = {parent for parents in self.parents for parent in parents}
        heads = [place for place in range(len(self.order)) if place not in inner]
        return tuple(sorted(heads, key=lambda place: self.order[place].rank))

    def is_before(self, one: int, other: int) -> bool:
        """Whether the revision at `other` was made knowing the one at `one`."""
        return bool(self.ancestors[other] >> one & 1)

    def latest(self, places: int) -> tuple[int, ...]:
        """Return the places, ascending, without those that another of them was made knowing. places: as bits."""
        kept: list[int] = []
        while places:
            newest = places.bit_length() - 1
            kept.append(newest)
            places &= ~(self.ancestors[newest] | 1 << newest)
        return tuple(reversed(kept))

    def apart(self, places: int) -> dict[int, int]:
        """Return, for each of the places (as bits), those of them that it and they were made without knowing."""
        known = {place: self.ancestors[place] & places | 1 << place for place in places_of(places)}
        for place in known:
            for before in places_of(self.ancestors[place] & places):
                known[before] |= 1 << place
        return {place: places & ~related for place, related in known.items()}


def bits_of(places: Iterable[int]) -> int:
    """Return the places as bits."""
    bits = 0
    for place in places:
        bits |= 1 << place
    return bits


def places_of(bits: int) -> Iterator[int]:
    """Yield the places that bits stand for, the last one first."""
    while bits:
        place = bits.bit_length() - 1
        yield place
        bits ^= 1 << place


def components(revisions: Iterable[Revision]) -> list[tuple[Revision, ...]]:
    """Group revisions that are linked by instanceID or deprecatedID, each group sorted by digest, each fact once."""
    links = Groups()
    known = list(revisions)
    for revision in known:
        if revision.deprecated_id:
            links.join(revision.instance_id, revision.deprecated_id)
    groups: dict[str, dict[tuple[str, str], Revision]] = defaultdict(dict)
    for revision in known:
        key = (revision.digest, revision.instance_id)
        kept = groups[links.find(revision.instance_id)].get(key)
        if kept is None or revision.stamp < kept.stamp:
            groups[links.find(revision.instance_id)][key] = revision
    return [tuple(group[key] for key in sorted(group)) for _, group in sorted(groups.items())]


def history(revisions: Iterable[Revision]) -> History:
    """Return the history of one connected group, as `components` gives it; at least one revision.

    An edit's parent is the first received of the revisions that carry the instanceID it deprecates; other revisions
    under that ID are siblings and stay beside it. Revisions that deprecate each other in a circle (hostile input)
    have no parents. What was made upon a decision that is undone stands upon what the decision was made upon.
    """
    ranked = sorted(revisions, key=lambda revision: revision.rank)
    by_instance: dict[str, Revision] = {}
    by_digest: dict[str, Revision] = {}
    for revision in ranked:
        by_instance.setdefault(revision.instance_id, revision)
        by_digest.setdefault(revision.digest, revision)
    undone = _undone(ranked)
    parents = _without_circles(
        {digest: _named(one, by_instance, by_digest) for digest, one in by_digest.items()}
    )
    order, places = _order(
        [one for digest, one in by_digest.items() if digest not in undone], _lifted(parents, undone)
    )
    ancestors: list[int] = []
    for found in places:
        bits = 0
        for parent in found:
            bits |= ancestors[parent] | 1 << parent
        ancestors.append(bits)
    return History(
        instance_id=_root(ranked, by_instance, parents),
        order=order,
        parents=places,
        ancestors=tuple(ancestors),
        parent_missing=any(_misses(one, by_instance, by_digest) for one in order),
    )


def _named(
    revision: Revision, by_instance: Mapping[str, Revision], by_digest: Mapping[str, Revision]
) -> tuple[str, ...]:
    """The digests of the parents that are here."""
    if revision.kind is not RevisionKind.EDIT:
        return tuple(sorted({digest for digest in revision.parents if digest in by_digest}))
    parent = by_instance.get(revision.deprecated_id or "")
    return (parent.digest,) if parent and parent.instance_id != revision.instance_id else ()


def _misses(
    revision: Revision, by_instance: Mapping[str, Revision], by_digest: Mapping[str, Revision]
) -> bool:
    if revision.kind is not RevisionKind.EDIT:
        return any(digest not in by_digest for digest in revision.parents)
    return bool(revision.deprecated_id) and revision.deprecated_id not in by_instance


def _undone(ranked: Sequence[Revision]) -> frozenset[str]:
    """The withdrawals, and the decisions that they name; a withdrawal that is itself withdrawn undoes nothing.

    Told from the last withdrawal back to the decision, whatever their stamps: the clocks of posts differ.
    """
    withdrawals = [one for one in ranked if one.kind is RevisionKind.WITHDRAWAL]
    if not withdrawals:
        return frozenset()
    decisions = {one.digest for one in ranked if one.kind is not RevisionKind.EDIT}
    named: dict[str, set[str]] = {}
    for one in withdrawals:
        for digest in decisions.intersection(one.parents):
            named.setdefault(digest, set()).add(one.digest)
    undone: set[str] = set()
    for digest in TopologicalSorter(named).static_order():
        if not named.get(digest, set()) <= undone:
            undone.add(digest)
    return frozenset(undone.union(one.digest for one in withdrawals))


def _without_circles(parents: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The same, but what stands in a circle has no parents."""
    waiting = {child: len(found) for child, found in parents.items()}
    children = _children(parents)
    free = [child for child, count in waiting.items() if not count]
    while free:
        done = free.pop()
        del waiting[done]
        for child in children[done]:
            waiting[child] -= 1
            if not waiting[child]:
                free.append(child)
    circular = _circular({child: parents[child] for child in waiting})
    return {child: () if child in circular else found for child, found in parents.items()}


def _circular(parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    """What stands in a circle, of what stands in one, below one or between two.

    Source: Kosaraju's strongly connected components (Sharir 1981): a circle is one of more than one.
    """
    children = _children(parents)
    circular: set[str] = set()
    grouped: set[str] = set()
    for start in reversed(_parents_first(parents)):
        group: list[str] = []
        waiting = [start]
        while waiting:
            one = waiting.pop()
            if one not in grouped:
                grouped.add(one)
                group.append(one)
                waiting += children[one]
        if len(group) > 1:
            circular.update(group)
    return circular


def _parents_first(parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """All of them, each after its parents unless a circle forbids it."""
    order: dict[str, None] = {}
    seen: set[str] = set()
    for start in parents:
        path = [start]
        while path:
            one = path[-1]
            if one in seen:
                order.setdefault(path.pop())
            else:
                seen.add(one)
                path += [parent for parent in parents[one] if parent in parents and parent not in seen]
    return list(order)


def _lifted(parents: Mapping[str, tuple[str, ...]], undone: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The same without what is undone: its children stand upon its parents."""
    found: dict[str, tuple[str, ...]] = {}
    for child, named in parents.items():
        if child in undone:
            continue
        above: set[str] = set()
        waiting, seen = list(named), set(named)
        while waiting:
            parent = waiting.pop()
            if parent not in undone:
                above.add(parent)
                continue
            waiting += [one for one in parents[parent] if one not in seen]
            seen.update(parents[parent])
        found[child] = tuple(sorted(above))
    return found


def _order(
    revisions: Sequence[Revision], parents: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Revision, ...], tuple[tuple[int, ...], ...]]:
    """The revisions, parents first, else by rank; and the places of each one's parents."""
    by_digest = {revision.digest: revision for revision in revisions}
    waiting = {digest: len(parents[digest]) for digest in by_digest}
    children = _children({digest: parents[digest] for digest in by_digest})
    ready = [(by_digest[digest].rank) for digest, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[Revision] = []
    place: dict[str, int] = {}
    while ready:
        _, digest = heapq.heappop(ready)
        place[digest] = len(order)
        order.append(by_digest[digest])
        for child in children[digest]:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, by_digest[child].rank)
    places = (tuple(sorted(place[parent] for parent in parents[one.digest])) for one in order)
    return tuple(order), tuple(places)


def _children(parents: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {digest: [] for digest in parents}
    for child, found in parents.items():
        for parent in found:
            if parent in children:
                children[parent].append(child)
    return children


def _root(
    ranked: Sequence[Revision],
    by_instance: Mapping[str, Revision],
    parents: Mapping[str, tuple[str, ...]],
) -> str:
    """The instanceID that nothing here goes back from: of a first revision, or of what an edit misses."""
    edits = [one for one in ranked if one.kind is RevisionKind.EDIT]
    origins = {
        one.deprecated_id if one.deprecated_id and one.deprecated_id not in by_instance else one.instance_id
        for one in edits or ranked
        if not parents.get(one.digest)
    }
    return min(origins or {one.instance_id for one in ranked})

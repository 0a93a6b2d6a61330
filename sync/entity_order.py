"""What the writers of an entity had seen: the order of its writes, and the ancestors of each.

Pure functions of the *set* of writes. Tablets name what they saw by a count: version N is the entity after N writes
in order of receipt at the server that gave it. Where the count proves nothing (a write relayed from elsewhere may or
may not have been among them), the write counts as not having seen: a false conflict, never a lost value.
Source: ODK Entities 2025.1; `docs/entities.md` explains the rules.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from forms.schema import Deed
from sync.entity_write import Header, Write
from sync.groups import Groups


@dataclass(frozen=True)
class Order:
    """The writes of one entity.

    writes: ancestors before descendants; their places are the bits of every mask. ancestors: of each write, those it
    had seen. served: the places in the order in which a server gave them versions. superseded: mask of the writes
    whose record was edited since. missing: mask of those that had seen more than is here. records: of each write, the
    mask of those of the same record and its edits. chains: the same, with those of its branch.
    """

    writes: tuple[Write, ...]
    ancestors: tuple[int, ...]
    served: tuple[int, ...]
    superseded: int
    missing: int
    records: tuple[int, ...]
    chains: tuple[int, ...]


def order(writes: Iterable[Write], revisions: Iterable[Header]) -> Order:
    """Return the order of an entity's writes. revisions: every known one under, or editing, the writes' instanceIDs."""
    unique = _unique(writes)
    edited = _edited(unique, revisions)
    known_at = _known_at(unique)
    ordered = sorted(
        unique,
        key=lambda one: (
            one.deed is not Deed.CREATE,
            known_at[one.key],
            one.is_edit,
            one.base if one.branch else 0,
            one.rank,
        ),
    )
    places = {one.key: place for place, one in enumerate(ordered)}
    seen = _Seen(ordered, known_at)
    ancestors: list[int] = []
    missing = 0
    for place, one in enumerate(ordered):
        mask, is_missing = seen.before(one)
        ancestors.append(mask)
        missing |= is_missing << place
        seen.add(place, one, mask)
    birth = seen.birth
    served = sorted(
        ordered,
        key=lambda one: (
            max(one.stamp, birth),
            one.deed is not Deed.CREATE or one.stamp > birth,
            one.base if one.stamp < birth else 0,
            one.rank,
        ),
    )
    return Order(
        writes=tuple(ordered),
        ancestors=tuple(ancestors),
        served=tuple(places[one.key] for one in served),
        superseded=sum(1 << place for place, one in enumerate(ordered) if one.key in edited),
        missing=missing,
        records=_together(ordered, branches=False),
        chains=_together(ordered, branches=True),
    )


def _unique(writes: Iterable[Write]) -> list[Write]:
    """Each write once, as first received."""
    found: dict[tuple[str, int], Write] = {}
    for one in writes:
        other = found.get(one.key)
        if other is None or (one.stamp, one.origin) < (other.stamp, other.origin):
            found[one.key] = one
    return list(found.values())


def _edited(writes: Sequence[Write], revisions: Iterable[Header]) -> set[tuple[str, int]]:
    """The writes whose record was edited since: of revisions under one instanceID, an edit means the first received.

    Revisions that edit each other in a circle (hostile input) are all as they were sent.
    """
    known = {(one.form, one.instance, one.digest): one for one in revisions}
    for write in writes:
        if own := write.revision:
            known.setdefault((own.form, own.instance, own.digest), own)
    first: dict[tuple[str, str], Header] = {}
    for one in sorted(known.values(), key=lambda one: (one.stamp, one.digest)):
        first.setdefault((one.form, one.instance), one)
    parents: dict[Header, Header] = {}
    edits: dict[Header, int] = {}
    for one in known.values():
        parent = first.get((one.form, one.edits)) if one.edits else None
        if parent is not None and parent.instance != one.instance:
            parents[one] = parent
            edits[parent] = edits.get(parent, 0) + 1
    ends = [one for one in known.values() if one not in edits]
    superseded: set[Header] = set()
    while ends:
        parent = parents.get(ends.pop())
        if parent is not None and parent not in superseded:
            superseded.add(parent)
            ends.append(parent)
    gone = {(one.form, one.instance, one.digest) for one in superseded}
    return {
        write.key
        for write in writes
        if (own := write.revision) and (own.form, own.instance, own.digest) in gone
    }


def _known_at(writes: Sequence[Write]) -> dict[tuple[str, int], int]:
    """When at the latest each writer had its list from a server: before any write of the same branch came in."""
    branches: dict[str, int] = {}
    for one in writes:
        if one.branch:
            branches[one.branch] = min(one.stamp, branches.get(one.branch, one.stamp))
    return {one.key: branches.get(one.branch, one.stamp) for one in writes}


def _together(ordered: Sequence[Write], *, branches: bool) -> tuple[int, ...]:
    """Of each write, the mask of those of the records that edit one another, and of its branch if asked for."""
    groups = Groups()
    for place, one in enumerate(ordered):
        if branches and one.branch:
            groups.join(f"write {place}", f"branch {one.branch}")
        if own := one.revision:
            for instance in filter(None, (own.instance, own.edits)):
                groups.join(f"write {place}", f"record {own.form} {instance}")
    found = [groups.find(f"write {place}") for place in range(len(ordered))]
    masks: dict[str, int] = {}
    for place, group in enumerate(found):
        masks[group] = masks.get(group, 0) | 1 << place
    return tuple(masks[group] for group in found)


class _Seen:
    """Says what each write had seen; asked in the order of places, so that those before are known."""

    def __init__(self, ordered: Sequence[Write], known_at: Mapping[tuple[str, int], int]) -> None:
        self._known_at = known_at
        creates = [(one, place) for place, one in enumerate(ordered) if one.deed is Deed.CREATE]
        self.birth = min((one.stamp for one, _ in creates), default=0)
        roots = [place for one, place in creates if not one.is_edit]
        self._only_create = 1 << roots[0] if len(roots) == 1 else 0
        self._is_born = bool(creates)
        self._logs: dict[str, _Log] = {}
        for one, place in sorted(
            ((one, place) for place, one in enumerate(ordered)), key=lambda pair: pair[0].rank
        ):
            self._logs.setdefault(one.origin, _Log()).add(one, place)
        self._branches: dict[str, _Branch] = {}

    def add(self, place: int, one: Write, ancestors: int) -> None:
        """Take a write in whose ancestors are found."""
        if one.branch and not one.is_edit:
            self._branches.setdefault(one.branch, _Branch()).add(one.base, ancestors | 1 << place)

    def before(self, one: Write) -> tuple[int, bool]:
        """Return the mask of what a write had seen, and whether it had seen what is not here."""
        if one.deed is Deed.CREATE:
            return 0, False
        if one.revision is None:
            return self._told(one), False
        if one.branch and one.trunk is None:
            mask, is_whole = 0, self._is_born
        else:
            mask, is_whole = self._served(one, min(one.base, one.trunk or one.base))
        if one.branch:
            chain = self._branches.get(one.branch, _Branch())
            found, is_chain_whole = chain.before(one.base, max(0, one.base - (one.trunk or 1)))
            mask, is_whole = mask | found, is_whole and is_chain_whole
        return mask | self._only_create, not is_whole

    def _told(self, one: Write) -> int:
        mask = 0
        for origin, stamp in one.seen.items():
            if origin in self._logs:
                mask |= self._logs[origin].until(min(stamp, one.stamp - 1))
        return mask

    def _served(self, one: Write, version: int) -> tuple[int, bool]:
        """What version N surely held: of each origin, as many as N leaves when all the others are taken away."""
        known_at = self._known_at[one.key]
        if not self._is_born:
            return 0, False
        if known_at <= self.birth:
            return 0, version <= 1
        counts = {origin: log.versions_before(known_at) for origin, log in self._logs.items()}
        total = sum(counts.values())
        if version > total:
            return 0, False
        mask = 0
        for origin, count in counts.items():
            mask |= self._logs[origin].first(version - (total - count))
        return mask, True


class _Log:
    """The writes of one origin by stamp, with the masks of its beginnings."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._masks: list[int] = []
        self._version_stamps: list[int] = []
        self._versions: list[int] = []

    def add(self, one: Write, place: int) -> None:
        mask = (self._masks[-1] if self._masks else 0) | 1 << place
        if one.is_version:
            self._version_stamps.append(one.stamp)
            self._versions.append(len(self._masks))
        self._stamps.append(one.stamp)
        self._masks.append(mask)

    def until(self, stamp: int) -> int:
        end = bisect_right(self._stamps, stamp)
        return self._masks[end - 1] if end else 0

    def versions_before(self, stamp: int) -> int:
        return bisect_left(self._version_stamps, stamp)

    def first(self, count: int) -> int:
        return self._masks[self._versions[min(count, len(self._versions)) - 1]] if count > 0 else 0


class _Branch:
    """A chain of updates on one tablet: how many there are up to each local version, and the mask of them and theirs."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._counts: list[int] = []
        self._masks: list[int] = []

    def add(self, base: int, mask: int) -> None:
        count = self._counts[-1] if self._counts else 0
        mask |= self._masks[-1] if self._masks else 0
        if self._bases and self._bases[-1] == base:
            self._counts[-1], self._masks[-1] = count + 1, mask
        else:
            self._bases.append(base)
            self._counts.append(count + 1)
            self._masks.append(mask)

    def before(self, base: int, steps: int) -> tuple[int, bool]:
        """Return the mask of the steps below a base, whole slots only, and whether they are all here.

        Two updates from one local version (two forms open at once) are seen both, or it is not known which.
        """
        end = bisect_left(self._bases, base)
        sure = min(end, bisect_right(self._counts, steps))
        return (self._masks[sure - 1] if sure else 0), (self._counts[sure - 1] if sure else 0) == steps

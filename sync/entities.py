"""The view of an entity: what is shown of its writes, and what waits for a person.

A pure function of the *set* of writes: order of arrival, repetition and route change nothing. Each property, and the
label, is a register with several values over the order in `sync.entity_order`: a write counts for a property when it
says something else than what its writer had seen; what nobody overwrote knowing it stays. Several values are a
*hard* conflict; writers who did not know of each other and touched different properties are a *soft* one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from forms.schema import Deed
from sync.entity_order import Order, order
from sync.entity_write import Header, Write

LABEL = "label"
"""The label's name among the properties; the specification reserves it."""


class Conflict(StrEnum):
    """How two writers who did not know of each other came into each other's way."""

    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of several values of a property."""

    value: str
    write: Write


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an entity, as a server gives it.

    label, values: what was shown after it. base: the newest version that its writer surely had seen, 0 for none.
    conflict: with versions before it. properties: those in hard conflict. is_settled: a person looked at it since.
    is_superseded: its record was edited, so that it says nothing any more. is_missing: it stands without all that
    its writer had seen.
    """

    number: int
    write: Write
    label: str
    values: Mapping[str, str]
    base: int
    conflict: Conflict | None
    properties: tuple[str, ...]
    is_settled: bool
    is_superseded: bool
    is_missing: bool


@dataclass(frozen=True)
class Entity:
    """What an entity is now.

    is_pending: nothing that created it is here (yet); what is here waits for it. is_deleted: also when the record
    that created it was edited and creates it no more. is_contested: it was deleted by somebody who did not know of an
    update; it is shown. label: "" when nobody gave one. values: shown, by property. open: for each contested property
    its candidates, the one shown first.
    """

    is_pending: bool
    is_deleted: bool
    is_contested: bool
    version: int
    label: str
    values: Mapping[str, str]
    conflict: Conflict | None
    open: Mapping[str, tuple[Candidate, ...]]
    order: Order

    @property
    def seen(self) -> dict[str, int]:
        """What a person has seen who looks at it now: of each origin, the stamp of the last write."""
        found: dict[str, int] = {}
        for one in self.order.writes:
            found[one.origin] = max(one.stamp, found.get(one.origin, 0))
        return found


def view(writes: Iterable[Write], revisions: Iterable[Header]) -> Entity:
    """Return the view of one entity. revisions: as for `sync.entity_order.order`."""
    return _Judge(order(writes, revisions)).entity()


def versions(entity: Entity) -> list[Version]:
    """Return the versions of an entity, oldest first; `Entity.version` of them."""
    return list(_Judge(entity.order).versions())


class _Register:
    """The writes of one property: which count, and which of them nobody overwrote knowing them."""

    def __init__(self, past: Order, name: str) -> None:
        self._past = past
        self._name = name
        self._further: dict[int, int] = {}
        self._last: tuple[int, tuple[int, ...]] = (0, ())
        self._saying: dict[str, int] = {}
        self.mask = 0
        self.given = 0

    def offer(self, place: int) -> None:
        """Take the write at a place when it says something new to its writer; asked in the order of places."""
        self.given |= 1 << place
        write = self._past.writes[place]
        before = self._past.ancestors[place] & self.mask
        if write.is_edit and not self._past.superseded >> place & 1:
            before &= ~(self._past.superseded & self._past.records[place])  # it speaks for what it edits
        known = self.latest(before)
        value = self.value(place)
        is_same = value == (self.value(known[0]) if known else "")
        if is_same and not (write.resolves and len(known) > 1):
            return
        further = 0
        for one in known:
            further |= self.overwritten(one)
        if further & ~before:
            self._further[place] = further & ~before
        self.mask |= 1 << place
        self._saying[value] = self._saying.get(value, 0) | 1 << place

    def latest(self, mask: int) -> tuple[int, ...]:
        """Return the places in a mask that none other in it overwrites, the one received last first."""
        if mask != self._last[0]:
            found = []
            left = mask
            while left:
                place = left.bit_length() - 1
                found.append(place)
                left &= ~(1 << place | self.overwritten(place))
            found.sort(key=lambda place: self._past.writes[place].rank, reverse=True)
            self._last = (mask, tuple(found))
        return self._last[1]

    def value(self, place: int) -> str:
        """Return what the write at a place says."""
        write = self._past.writes[place]
        return write.label if self._name == LABEL else write.values[self._name]

    def differs(self, place: int, mask: int) -> bool:
        """Whether the write at a place counts, and one of a mask counts and says something else."""
        if not self.mask >> place & 1:
            return False
        return bool(mask & self.mask & ~self._saying[self.value(place)])

    def overwritten(self, place: int) -> int:
        """Return the mask of the writes that the one at a place replaced, directly or through others."""
        return self._past.ancestors[place] & self.mask | self._further.get(place, 0)


class _Running:
    """What a register showed while its writes came in."""

    def __init__(self, register: _Register) -> None:
        self._register = register
        self._latest = 0
        self._overwritten = 0
        self._rank: tuple[int, str, int] = (0, "", 0)
        self.shown = ""

    def add(self, place: int, write: Write) -> None:
        """Take in a write that stands."""
        if not self._register.mask >> place & 1:
            return
        overwrites = self._register.overwritten(place)
        if not self._overwritten >> place & 1:
            self._latest = self._latest & ~overwrites | 1 << place
            if write.rank > self._rank:
                self._rank, self.shown = write.rank, self._register.value(place)
            else:  # it came before what created the entity: rank and the order served differ
                self.shown = self._register.value(self._register.latest(self._latest)[0])
        self._overwritten |= overwrites


class _Judge:
    """Says what an entity shows."""

    def __init__(self, past: Order) -> None:
        self._past = past
        self._standing = ~past.superseded & ((1 << len(past.writes)) - 1)
        self._versions = self._mask(place for place, one in enumerate(past.writes) if one.is_version)
        self._resolving = [place for place, one in enumerate(past.writes) if one.resolves]
        self._registers: dict[str, _Register] = {}
        for place, one in enumerate(past.writes):
            for name in _names(one):
                self._registers.setdefault(name, _Register(past, name)).offer(place)

    def entity(self) -> Entity:
        shown: dict[str, str] = {}
        contested: dict[str, tuple[Candidate, ...]] = {}
        for name, register in self._registers.items():
            if register.given & self._standing:
                places = register.latest(register.mask & self._standing)
                shown[name] = register.value(places[0]) if places else ""
                if len({register.value(place) for place in places}) > 1:
                    contested[name] = tuple(
                        Candidate(register.value(place), self._past.writes[place]) for place in places
                    )
        is_deleted, is_contested = self._deletion()
        creates = self._mask(place for place, one in enumerate(self._past.writes) if one.deed is Deed.CREATE)
        conflict = None
        if contested or is_contested:
            conflict = Conflict.HARD
        elif any(self._unsettled(place, apart) for place, apart in self._apart()):
            conflict = Conflict.SOFT
        return Entity(
            is_pending=not creates,
            is_deleted=is_deleted or (bool(creates) and not creates & self._standing),
            is_contested=is_contested,
            version=self._versions.bit_count(),
            label=shown.pop(LABEL, ""),
            values=shown,
            conflict=conflict,
            open=contested,
            order=self._past,
        )

    def versions(self) -> Iterator[Version]:
        numbers: dict[int, int] = {}
        running = {name: _Running(register) for name, register in self._registers.items()}
        values: dict[str, str] = {}
        for place, apart in self._apart():
            write = self._past.writes[place]
            numbers[place] = len(numbers) + 1
            for name in _names(write):
                if self._standing >> place & 1:
                    running[name].add(place, write)
                values[name] = running[name].shown
            properties = tuple(name for name in _names(write) if self._registers[name].differs(place, apart))
            conflict = Conflict.HARD if properties else Conflict.SOFT if apart else None
            yield Version(
                number=numbers[place],
                write=write,
                label=values.get(LABEL, ""),
                values={name: value for name, value in values.items() if name != LABEL},
                base=self._base(place, numbers),
                conflict=conflict,
                properties=properties,
                is_settled=conflict is not None and not self._unsettled(place, apart),
                is_superseded=bool(self._past.superseded >> place & 1),
                is_missing=bool(self._past.missing >> place & 1),
            )

    def _apart(self) -> Iterator[tuple[int, int]]:
        """Yield each version in the order served, with the versions served before that its writer had not seen.

        A write that came in after one made later on the same tablet is not apart from that one.
        """
        served = 0
        for place in self._past.served:
            bit = 1 << place
            if self._versions & bit:
                later = self._past.chains[place] & ~(bit - 1)
                apart = served & self._standing & ~self._past.ancestors[place] & ~later
                yield place, apart if self._standing & bit else 0
                served |= bit

    def _unsettled(self, place: int, apart: int) -> int:
        """Leave of the versions that one is apart from those that no person has seen beside it and settled."""
        for one in self._resolving:
            seen = self._past.ancestors[one] | 1 << one
            if seen >> place & 1:
                apart &= ~seen
        return apart

    def _base(self, place: int, numbers: Mapping[int, int]) -> int:
        """The number of the newest version that the writer surely had seen, 0 for none or one that came later."""
        seen = self._past.ancestors[place] & self._versions
        return numbers.get(seen.bit_length() - 1, 0)

    def _deletion(self) -> tuple[bool, bool]:
        """Whether the entity is deleted, and whether it was by somebody who did not know of a version."""
        undone = 0
        for place, one in enumerate(self._past.writes):
            if one.deed is not Deed.DELETE:
                undone |= self._past.ancestors[place]
        versions = self._versions & self._standing
        open_ends = [
            versions & ~self._past.ancestors[place]
            for place, one in enumerate(self._past.writes)
            if one.deed is Deed.DELETE and not undone >> place & 1
        ]
        is_deleted = any(not unseen for unseen in open_ends)
        return is_deleted, bool(open_ends) and not is_deleted

    @staticmethod
    def _mask(places: Iterable[int]) -> int:
        return sum(1 << place for place in places)


def _names(write: Write) -> tuple[str, ...]:
    """What a write gives a value, the label last."""
    return (*write.values, LABEL) if write.label else tuple(write.values)

"""What a node holds of each log, how it says so, and where an entry of another node belongs.

A log is what one origin wrote in one epoch. A node covers ranges of it: of some entries it was only told that they are
not for it. Two entries of one name are a fork: the one learnt of later opens a branch. Names of branches are each
node's own; between nodes a chain is known by the hashes that are said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync.journal import GENESIS, Entry

MAIN = ""
SAID_BYTES = 8
"""So much of a hash is said: enough to tell two chains apart."""

Log = tuple[str, str]
"""origin, epoch"""
HashAt = Callable[[int], bytes | None]
"""The hash of the entry with this seq on one chain, None where it is not known."""


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Entries `first` to `last` of a log are covered. hash: of `last`, or its first SAID_BYTES where it was said."""

    first: int
    last: int
    hash: bytes


Have = Mapping[Log, Sequence[Range]]
"""What a node says it holds; several ranges of a log may overlap: each is true by itself."""


@dataclass(slots=True)
class Chains:
    """What a node holds of one log, or of a window of it: ranges by branch, and the hashes of entries that are here.

    before: by branch and seq, the hash that an entry here names as the one before it.
    """

    ranges: dict[str, list[Range]] = field(default_factory=dict)
    here: dict[str, dict[int, bytes]] = field(default_factory=dict)
    before: dict[str, dict[int, bytes]] = field(default_factory=dict)

    @property
    def branches(self) -> list[str]:
        """The main branch first."""
        return [MAIN, *sorted(self.ranges.keys() - {MAIN})]

    def hash_at(self, branch: str, seq: int) -> bytes | None:
        """Return the hash of an entry on this branch itself, None where it is not known."""
        if seq == 0:
            return GENESIS
        if known := self.here.get(branch, {}).get(seq) or self.before.get(branch, {}).get(seq + 1):
            return known
        return next((one.hash for one in self.ranges.get(branch, ()) if one.last == seq), None)

    def goes_on(self, entry: Entry) -> bool:
        """Whether an entry is the next of the only branch, and nothing is known of what comes after it."""
        main = self.ranges.get(MAIN)
        if not main or len(self.ranges) > 1:
            return False
        end, here = main[-1], self.here.get(MAIN, {})
        is_next = (end.last + 1, end.hash) == (entry.seq, entry.previous)
        return is_next and entry.seq not in here and entry.seq + 1 not in here

    def find(self, entry: Entry) -> str | None:
        """Return the branch that holds this entry, None when none does."""
        return next((name for name in self.branches if self._has(name, entry)), None)

    def is_torn(self, branch: str, seq: int) -> bool:
        """Whether the entry after this one is here and does not name it: this one was here before."""
        return seq + 1 in self.here.get(branch, {}) and seq + 1 not in self.before.get(branch, {})

    def place(self, entry: Entry) -> str:
        """Return the branch to which an entry belongs that is not here; a name that is not there yet means a fork."""
        main = self._fits(MAIN, entry)
        for branch in self.branches[1:]:
            if self._fits(branch, entry) and (self._touches(branch, entry) or not main):
                return branch
        return MAIN if main else name_of_branch(entry.hash)

    def place_skip(self, last: int, digest: bytes) -> str:
        """Return the branch to which entries belong that are not for this node. digest: the hash of the last."""
        for branch in self.branches:
            if self.hash_at(branch, last) == digest:
                return branch
        return MAIN if self.hash_at(MAIN, last) is None else name_of_branch(digest)

    def add(self, branch: str, entry: Entry) -> None:
        """Take an entry in."""
        self.here.setdefault(branch, {})[entry.seq] = entry.hash
        self.before.setdefault(branch, {})[entry.seq] = entry.previous
        ranges = self.ranges.setdefault(branch, [])
        if ranges and ranges[-1].last + 1 == entry.seq:
            ranges[-1] = Range(ranges[-1].first, entry.seq, entry.hash)
        else:
            self.cover(branch, Range(entry.seq, entry.seq, entry.hash))

    def cover(self, branch: str, one: Range) -> None:
        """Take a range in."""
        self.ranges[branch] = join([*self.ranges.get(branch, ()), one])

    def _has(self, branch: str, entry: Entry) -> bool:
        return self.here.get(branch, {}).get(entry.seq) == entry.hash

    def _fits(self, branch: str, entry: Entry) -> bool:
        """Whether nothing that is known of the branch contradicts the entry; off the main one it has to touch it."""
        known = self.hash_at(branch, entry.seq)
        if known not in {None, entry.hash}:
            return False
        before = self.hash_at(branch, entry.seq - 1)
        if branch != MAIN:
            return self._touches(branch, entry)
        return before in {None, entry.previous}

    def _touches(self, branch: str, entry: Entry) -> bool:
        before = entry.seq > 1 and self.hash_at(branch, entry.seq - 1) == entry.previous
        return before or self.hash_at(branch, entry.seq) == entry.hash


def name_of_branch(first: bytes) -> str:
    """Return the name of a branch. first: the hash of the first entry of it that was learnt of."""
    return first[:8].hex()


def join(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges of one branch as few as they can be: sorted, those that touch or overlap as one."""
    joined: list[Range] = []
    for one in sorted(ranges):
        if joined and one.first <= joined[-1].last + 1:
            last = max(joined[-1], one, key=lambda some: some.last)
            joined[-1] = Range(joined[-1].first, last.last, last.hash)
        else:
            joined.append(one)
    return joined


def held(said: Iterable[Range], hash_at: HashAt, *, is_forked: bool) -> tuple[list[Range], bool]:
    """Return what of our chain a peer holds that says this of a log, and whether it has a chain that differs from ours.

    hash_at: of our chain. A range whose end we do not know is believed, unless chains of this log are known to differ
    (is_forked, or one of these ranges says so): then only what agrees counts.
    """
    agreed, beyond, differs = [], [], False
    for one in said:
        known = hash_at(one.last)
        if known is None:
            beyond.append(one)
        elif known[:SAID_BYTES] == one.hash[:SAID_BYTES]:
            agreed.append(one)
        else:
            differs = True
    return join(agreed if differs or is_forked else agreed + beyond), differs


def lacking(ours: Iterable[Range], theirs: Sequence[Range]) -> Iterator[tuple[int, int]]:
    """Yield what is in our ranges and not in theirs, as first and last seq. Both are joined."""
    for one in ours:
        first = one.first
        for other in theirs:
            if other.last < first or other.first > one.last:
                continue
            if other.first > first:
                yield first, other.first - 1
            first = max(first, other.last + 1)
        if first <= one.last:
            yield first, one.last


def points(one: Range, hash_at: HashAt, ends: Iterable[int] = ()) -> Iterator[Range]:
    """Yield the range and, ever further back, shorter ones from its start: where two chains part is between two.

    ends: where to say shorter ones too, since a peer says ranges that end there.
    """
    yield one
    wanted, back = {end for end in ends if one.first <= end < one.last}, 1
    while one.last - back >= one.first:
        wanted.add(one.last - back)
        back *= 2
    for last in sorted(wanted, reverse=True):
        if known := hash_at(last):
            yield Range(one.first, last, known)


def list_have(have: Have) -> list[list[object]]:
    """Return what is held as JSON has it: [origin, epoch, first, last, hash, first, last, hash, …] for each log."""
    return [
        [*log, *(value for one in ranges for value in (one.first, one.last, one.hash.hex()))]
        for log, ranges in sorted(have.items())
    ]


def unlist_have(listed: Iterable[Sequence[Any]]) -> dict[Log, list[Range]]:
    """Return what `list_have` made a list of. Raises ValueError, TypeError for anything else."""
    found: dict[Log, list[Range]] = {}
    for origin, epoch, *values in listed:
        triples = zip(values[::3], values[1::3], values[2::3], strict=True)
        ranges = [Range(int(first), int(last), bytes.fromhex(said)) for first, last, said in triples]
        if any(one.first > one.last or one.first < 1 for one in ranges):
            raise ValueError("a range ends before it begins")
        found[str(origin), str(epoch)] = ranges
    return found

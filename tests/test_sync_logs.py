"""What two nodes say that they hold, and what follows from it."""

from __future__ import annotations

from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sync.journal import Entry, Fact, Head, Kind, seal
from sync.logs import MAIN, Chains, Range, held, join, lacking, name_of_branch, points

LAST = 30


def chain(text: bytes, head: Head | None = None, length: int = LAST) -> list[Entry]:
    facts = [Fact(Kind.SUBMISSION, 1, None, b"{}", text)] * length
    return list(seal(head or Head("origin", "epoch"), facts, count(1)))


LOG = chain(b"a")
TWIN = [*LOG[:10], *chain(b"b", Head("origin", "epoch", 10, LOG[9].hash, 10), 20)]


def hash_at(seq: int, log: list[Entry] = LOG) -> bytes | None:
    return log[seq - 1].hash if 0 < seq <= len(log) else None


@st.composite
def ranges(draw: st.DrawFn) -> list[Range]:
    pairs = draw(st.lists(st.tuples(st.integers(1, LAST), st.integers(1, LAST)), max_size=6))
    return [Range(min(pair), max(pair), LOG[max(pair) - 1].hash) for pair in pairs]


def seqs(some: list[Range]) -> set[int]:
    return {seq for one in some for seq in range(one.first, one.last + 1)}


@given(ranges(), st.randoms())
def test_ranges_join_to_the_same_in_any_order_and_no_two_of_them_touch(some, chance):
    joined = join(some)
    chance.shuffle(some)
    assert join([*some, *some]) == join(joined) == joined
    assert seqs(joined) == seqs(some)
    assert all(before.last + 1 < after.first for before, after in pairwise(joined))
    assert all(one.hash == hash_at(one.last) for one in joined)


@given(ranges(), ranges())
def test_what_a_peer_lacks_is_what_it_does_not_say_it_has(ours, said):
    theirs, differs = held(said, hash_at, is_forked=False)
    missing = [Range(*pair, b"") for pair in lacking(join(ours), theirs)]
    assert seqs(missing) == seqs(ours) - seqs(said)
    assert not differs


@given(st.integers(1, LAST), st.integers(1, LAST))
def test_two_chains_find_where_they_part_within_twice_what_differs(ours, theirs):
    said = list(points(Range(1, theirs, TWIN[theirs - 1].hash), lambda seq: hash_at(seq, TWIN)))
    agreed, differs = held(said, lambda seq: hash_at(seq, LOG[:ours]), is_forked=False)
    assert differs == any(10 < one.last <= ours for one in said)
    if differs:
        last = agreed[-1].last if agreed else 0
        assert last <= 10
        assert theirs - last <= 2 * (theirs - 10)


@given(st.permutations([*LOG[:14], *TWIN[10:14]]))
def test_of_a_fork_every_entry_is_kept_once_whatever_comes_first(entries):
    chains = Chains()
    for entry in [*entries, *reversed(entries)]:
        if chains.find(entry) is None:
            chains.add(chains.place(entry), entry)
    stored = [digest for branch in chains.here.values() for digest in branch.values()]
    assert sorted(stored) == sorted(entry.hash for entry in entries)


def test_a_fork_is_named_by_its_first_entry_and_goes_on_there():
    chains = Chains()
    for entry in [*LOG[:14], *TWIN[10:14]]:
        chains.add(chains.place(entry), entry)
    branch = name_of_branch(TWIN[10].hash)
    assert chains.ranges == {MAIN: [Range(1, 14, LOG[13].hash)], branch: [Range(11, 14, TWIN[13].hash)]}

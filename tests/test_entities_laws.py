"""The laws of entities: the same writes in any order give the same view; nothing undominated disappears."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from forms.schema import Deed
from sync.entities import LABEL, Conflict, Entity, Version, versions, view
from sync.entity_write import Header, Write

PROPERTIES = ("a", "b", "c")
ORIGINS = ("post", "centre")
unhurried = settings(deadline=None)


@st.composite
def histories(draw: st.DrawFn) -> list[Write]:
    """Up to ten writes of one entity by tablets and people, some nonsense among them."""
    count = draw(st.integers(1, 10))
    writes: list[Write] = []
    for number in range(count):
        stamp = draw(st.integers(1, 40)) * 10 + number
        values = draw(st.dictionaries(st.sampled_from(PROPERTIES), st.sampled_from(["", "0", "1", "2"])))
        label = draw(st.sampled_from(["", "", "one", "two"]))
        shared = {"digest": f"{number:02x}", "stamp": stamp, "origin": draw(st.sampled_from(ORIGINS))}
        if draw(st.integers(0, 4)) == 0 and writes:
            deed = draw(st.sampled_from([Deed.UPDATE, Deed.DELETE, Deed.RESTORE]))
            seen = draw(st.dictionaries(st.sampled_from(ORIGINS), st.integers(0, 450)))
            resolves = deed is Deed.UPDATE and draw(st.booleans())
            if deed is Deed.UPDATE:
                shared |= {"values": values, "label": label}
            writes.append(Write(deed=deed, seen=seen, resolves=resolves, **shared))
            continue
        edits = draw(st.sampled_from(["", "", "", *(f"i{one}" for one in range(count))]))
        revision = Header("form", f"i{number}", f"{number:02x}", edits, stamp)
        deed = draw(st.sampled_from([Deed.CREATE, Deed.UPDATE, Deed.UPDATE, Deed.UPDATE]))
        more = {}
        if deed is Deed.UPDATE:
            more = {
                "base": draw(st.integers(0, 6)),
                "trunk": draw(st.sampled_from([None, 1, 2, 3])),
                "branch": draw(st.sampled_from(["", "", "x", "y"])),
            }
        writes.append(Write(deed=deed, values=values, label=label, revision=revision, **shared, **more))
    return writes


def told(entity: Entity) -> tuple[object, ...]:
    """All that a store keeps of an entity."""
    opened = {
        name: [(one.value, one.write.key) for one in candidates] for name, candidates in entity.open.items()
    }
    state = (entity.is_pending, entity.is_deleted, entity.is_contested, entity.version, entity.conflict)
    return (
        *state,
        entity.label,
        dict(sorted(entity.values.items())),
        opened,
        [_told(v) for v in versions(entity)],
    )


def _told(one: Version) -> tuple[object, ...]:
    marks = (one.conflict, one.properties, one.is_settled, one.is_superseded, one.is_missing)
    return (one.number, one.write.key, one.label, dict(sorted(one.values.items())), one.base, *marks)


@unhurried
@given(histories(), st.randoms(use_true_random=False))
def test_order_and_repetition_of_writes_change_nothing(writes: list[Write], chance: random.Random) -> None:
    again = [*writes, *chance.sample(writes, chance.randint(0, len(writes)))]
    chance.shuffle(again)
    assert told(view(again, [])) == told(view(writes, []))


@unhurried
@given(histories())
def test_no_writer_has_seen_itself_or_whoever_had_seen_it(writes: list[Write]) -> None:
    past = view(writes, []).order
    for place, ancestors in enumerate(past.ancestors):
        assert ancestors < 1 << place, "ancestors stand before their descendants"


@unhurried
@given(histories())
def test_what_nobody_overwrote_knowing_it_is_shown_or_open(writes: list[Write]) -> None:
    entity = view(writes, [])
    past = entity.order
    standing = [place for place in range(len(past.writes)) if not past.superseded >> place & 1]
    for place in standing:
        write = past.writes[place]
        later = [one for one in standing if past.ancestors[one] >> place & 1]
        for name, value in [*write.values.items(), (LABEL, write.label)]:
            known = [
                past.writes[one].label if name == LABEL else past.writes[one].values.get(name, value)
                for one in range(len(past.writes))
                if past.ancestors[place] >> one & 1
            ]
            overwritten = any(
                past.writes[one].label if name == LABEL else name in past.writes[one].values for one in later
            )
            if not value or overwritten or value in known:
                continue
            shown = entity.label if name == LABEL else entity.values[name]
            assert value == shown or value in {one.value for one in entity.open[name]}


@unhurried
@given(histories())
def test_the_last_version_shows_what_the_entity_shows(writes: list[Write]) -> None:
    entity = view(writes, [])
    listed = versions(entity)
    assert [one.number for one in listed] == list(range(1, entity.version + 1))
    if listed and all(not one.is_superseded for one in listed):
        assert (listed[-1].label, dict(listed[-1].values)) == (entity.label, dict(entity.values))


@unhurried
@given(histories())
def test_who_sees_everything_and_settles_leaves_no_conflict(writes: list[Write]) -> None:
    entity = view(writes, [])
    settled = {name: candidates[0].value for name, candidates in entity.open.items() if name != LABEL}
    label = entity.open[LABEL][0].value if LABEL in entity.open else ""
    person = Write(
        "ff", 1000, "post", Deed.UPDATE, values=settled, label=label, seen=entity.seen, resolves=True
    )
    after = view([*writes, person], [])
    assert after.conflict is None
    assert (after.label, dict(after.values)) == (entity.label, dict(entity.values))


@unhurried
@given(histories(), st.integers(2, 1000))
def test_only_the_order_of_receipts_counts_not_their_times(writes: list[Write], factor: int) -> None:
    def stretched(one: Write) -> Write:
        header = one.revision
        if header:
            header = Header(header.form, header.instance, header.digest, header.edits, one.stamp * factor)
        seen = {origin: stamp * factor for origin, stamp in one.seen.items()}
        return Write(
            one.digest, one.stamp * factor, one.origin, one.deed, one.index, one.label, one.values, one.base,
            one.trunk, one.branch, header, seen, one.resolves,
        )  # fmt: skip

    assert told(view([stretched(one) for one in writes], [])) == told(view(writes, []))


def tablet(number: int, deed: Deed = Deed.UPDATE, **more: object) -> Write:
    header = Header("form", f"i{number}", f"{number:08x}", "", number)
    return Write(f"{number:08x}", number, "post", deed, revision=header, **more)  # type: ignore[arg-type]


def test_ten_thousand_steps_of_a_branch_that_arrive_backwards_are_one_clean_chain() -> None:
    steps = [
        tablet(10_001 - step, base=step, trunk=1, branch="x", values={"a": str(step)})
        for step in range(1, 10_001)
    ]
    entity = view([tablet(0, Deed.CREATE, label="one"), *steps], [])
    assert (entity.version, entity.values, entity.conflict) == (10_001, {"a": "10000"}, None)
    assert versions(entity)[-1].number == 10_001


def test_ten_thousand_edits_of_one_record_leave_the_last() -> None:
    writes = [tablet(0, Deed.CREATE, label="one")]
    for number in range(1, 10_001):
        header = Header("form", f"i{number}", f"{number:08x}", f"i{number - 1}" if number > 1 else "", number)
        writes.append(
            Write(
                header.digest, number, "post", Deed.UPDATE, values={"a": str(number)}, base=1, revision=header
            )
        )
    entity = view(writes, [])
    assert (entity.values, entity.conflict) == ({"a": "10000"}, None)


def test_ten_thousand_tablets_that_knew_nothing_of_each_other_are_all_kept() -> None:
    others = [tablet(number, base=1, values={"a": str(number)}) for number in range(1, 10_001)]
    entity = view([tablet(0, Deed.CREATE, label="one"), *others], [])
    assert (len(entity.open["a"]), entity.conflict) == (10_000, Conflict.HARD)
    assert len(versions(entity)) == 10_001

"""The laws of merging (docs/merge.md), each a function of a drawn case that raises AssertionError where it is broken.

`test_merge_laws.py` tries each with many cases, `test_merge_mutations.py` shows that together they notice what
merges usually get wrong.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from forms.cells import BLANK, HERE, Cell, is_row, path_of, rows_of
from forms.merge_rules import MergeRules
from forms.schema import FieldType
from server import merging
from server.merging import Merged
from sync.registers import DELETED
from sync.revision import RevisionKind
from sync.view import Candidate, Conflict, ConflictKind, View, view
from tests.merge_cases import Case, Fact, decide, dump, edit, merge, read
from tests.merge_draws import drop, put, resaved, slots
from tests.merge_oracle import Oracle

Law = Callable[[Case, random.Random], None]
EXAMPLES = 200
"""How many histories `make test` tries each law with."""


def receiving_again_changes_nothing(case: Case, chance: random.Random) -> None:
    """Idempotent: also when another post receives the same bytes later."""
    again = [fact.stamped(fact.revision.stamp + chance.randint(0, 9)) for fact in case.facts]
    assert dump(merge(case.form, [*case.facts, *again])) == dump(merge(case.form, case.facts))


def the_order_of_receiving_changes_nothing(case: Case, chance: random.Random) -> None:
    """Commutative, associative, over any batches, routes and partitions: a node holds what it was given, no more."""
    nodes: list[dict[str, Fact]] = [{}, {}, {}]
    for fact in chance.sample(case.facts, len(case.facts)):
        receive(chance.choice(nodes), [fact])
    for one, other in pairwise(chance.choices(nodes, k=8)):
        batch = chance.sample(sorted(other), chance.randint(0, len(other)))
        receive(one, [other[digest] for digest in batch])
    for one, other in ((0, 1), (2, 0), (1, 2), (0, 1)):
        receive(nodes[one], list(nodes[other].values()))
    expected = dump(merge(case.form, case.facts))
    for node in nodes:
        assert dump(merge(case.form, list(node.values()))) == expected


def receive(node: dict[str, Fact], batch: Sequence[Fact]) -> None:
    for fact in batch:
        known = node.pop(fact.revision.digest, fact)
        node[fact.revision.digest] = min(fact, known, key=lambda one: one.revision.stamp)


def the_view_is_what_the_rules_say(case: Case, _: random.Random) -> None:
    """Registers, what is shown of each, and what is contested, as the slow oracle has them (questions stand alone)."""
    oracle, seen = ask(case)
    everybody = oracle.standing
    shown = {cell: oracle.shown(cell, everybody) for cell in oracle.cells(everybody)}
    gone = {cell for cell, answer in shown.items() if is_row(cell) and not answer.said}
    here = {
        cell: answer for cell, answer in shown.items() if cell not in gone and gone.isdisjoint(rows_of(cell))
    }
    told = {cell: answer for cell, answer in here.items() if answer.said and cell != DELETED}
    assert dict(seen.shown) == told
    contested: dict[str, dict[str, set[str]]] = {}
    for cell in {cell for cell in shown if gone.isdisjoint(rows_of(cell))}:
        sides: dict[str, set[str]] = {}
        for one in oracle.register(cell, everybody):
            sides.setdefault(oracle.written(one)[cell].said, set()).add(one)
        if len(sides) > 1 and cell != DELETED and path_of(cell) not in oracle.rules.unattended:
            contested[cell] = sides
    found = {
        one.cells[0]: {side.cells[one.cells[0]].said: set(side.writers) for side in one.candidates}
        for one in (*seen.conflicts, *seen.settled)
        if one.kind is not ConflictKind.DELETED
    }
    assert found == contested


def ask(case: Case) -> tuple[Oracle, View]:
    """The oracle of a case and its view, where no question depends on another."""
    line = case.form.line
    newest = max((line.place(one.version) for one in case.facts if one.document is not None), default=-1)
    newest %= len(line.versions)
    earliest: dict[str, Fact] = {}
    receive(earliest, case.facts)
    reads = [read(case.form, fact) for fact in earliest.values()]
    snapshots = {one.revision.digest: merging._snapshot(line, one, newest) for one in reads}
    rules = replace(line.rules[newest], controllers={})
    revisions = [one.revision for one in reads]
    return Oracle(revisions, snapshots, rules), view(revisions, snapshots.__getitem__, rules)


def no_answer_disappears(case: Case, _: random.Random) -> None:
    """Every answer that nobody knowingly replaced is shown, or a candidate, or was before a person's decision.

    What stands in a row is there with the row. But what nobody answers, and what stands in a row that somebody
    deleted who knew it.
    """
    merged = merge(case.form, case.facts)
    seen, past, ledger = merged.view, merged.view.history, merged.view.judge.ledger
    told = {(cell, answer.said) for cell, answer in seen.shown.items()}
    told |= {pair for one in (*seen.conflicts, *seen.settled) for pair in said_in(one.candidates)}
    for decision in seen.decisions:
        told |= {pair for sides in decision.candidates.values() for pair in said_in(sides)}
    everybody = (1 << len(past.order)) - 1
    for cell in ledger.writers:
        if cell == DELETED or path_of(cell) in case.form.line.rules[-1].unattended:
            continue
        for place in ledger.register(cell, everybody):
            said = ledger.value(place, cell).said
            is_told = (cell, said) in told or any((row, HERE.said) in told for row in rows_of(cell))
            if said and not is_told and not is_row(cell):
                deleters = [
                    other
                    for row in rows_of(cell)
                    for other in ledger.register(row, everybody)
                    if not ledger.value(other, row).said
                ]
                assert any(past.is_before(place, other) for other in deleters), (cell, said)


def said_in(candidates: Sequence[Candidate]) -> set[tuple[str, str]]:
    return {(cell, answer.said) for side in candidates for cell, answer in side.cells.items()}


def saving_again_changes_nothing(case: Case, chance: random.Random) -> None:
    """Not what is shown, nor contested, nor deleted, nor counted; only the times of the tablet."""
    before = merge(case.form, case.facts)
    standing = {one.digest for one in before.view.history.order}
    edits = [one for one in case.facts if one.document is not None and one.revision.digest in standing]
    firsts = [one for one in edits if not _has_elder(one, case.facts) and not _is_circular(one, before)]
    if not firsts:
        return
    after = merge(
        case.form, [*case.facts, resaved(chance.choice(firsts), "again", chance.randint(1, 9), case.facts)]
    )
    assert attended(after, case) == attended(before, case)
    assert [what(one) for one in after.view.conflicts] == [what(one) for one in before.view.conflicts]
    for name in ("is_deleted", "edits", "current"):
        assert getattr(after.view, name) == getattr(before.view, name)


def _has_elder(fact: Fact, facts: Sequence[Fact]) -> bool:
    return any(
        one.revision.instance_id == fact.revision.instance_id and one.revision.rank < fact.revision.rank
        for one in facts
    )


def _is_circular(fact: Fact, merged: Merged) -> bool:
    past = merged.view.history
    (place,) = (number for number, one in enumerate(past.order) if one.digest == fact.revision.digest)
    return not past.parents[place] and fact.revision.deprecated_id is not None


def attended(merged: Merged, case: Case) -> dict[str, str]:
    unattended = case.form.line.rules[-1].unattended
    return {
        cell: answer.said for cell, answer in merged.view.shown.items() if path_of(cell) not in unattended
    }


def what(one: Conflict) -> tuple[object, ...]:
    """A conflict but for who says so."""
    return (one.kind, one.cells, [sorted(side.cells.items()) for side in one.candidates])


def deciding_everything_leaves_no_conflict(case: Case, chance: random.Random) -> None:
    """And a late edit opens only what it changes, what depends on that, and what that depends on."""
    before = merge(case.form, case.facts)
    if before.view.current is None:
        return
    decided = decide_all(case, before, chance)
    resolved = merge(case.form, [*case.facts, *decided])
    assert resolved.view.conflicts == ()
    for cell, answer in decided[0].decided.items():
        if not is_row(cell) and all(row in resolved.view.shown for row in rows_of(cell)):
            assert resolved.view.shown.get(cell, BLANK).said == answer.said
    late = changed_once(case, chance, "late", 99)
    if late is None:
        return
    after = merge(case.form, [*case.facts, *decided, late])
    place = [one.digest for one in after.view.history.order].index(late.revision.digest)
    opened = set(after.view.judge.ledger.written[place])
    opened |= {row for cell in opened for row in rows_of(cell)}
    controllers = rules_of(case).controllers
    for conflict in after.view.conflicts:
        own = set(map(path_of, conflict.cells))
        reasons = own.union(*(controllers.get(path, ()) for path in own))
        if (
            conflict.kind is ConflictKind.CONSTRAINT
        ):  # named by one answer, it is about all that its rule speaks of
            reasons |= {path_of(cell) for side in conflict.candidates for cell in side.cells}
        if conflict.kind is ConflictKind.UNIT:  # all say the same of what was changed, beside other answers
            reasons |= {path for path, above in controllers.items() if above & own}
        assert conflict.kind is ConflictKind.DELETED or not reasons.isdisjoint(map(path_of, opened))
        assert any(late.revision.digest in side.writers for side in conflict.candidates)


def rules_of(case: Case) -> MergeRules:
    """The rules of the form version that a case is shown in."""
    line = case.form.line
    return line.rules[
        max((line.place(one.version) for one in case.facts if one.document is not None), default=-1)
    ]


def decide_all(case: Case, before: Merged, chance: random.Random) -> list[Fact]:
    """Decisions of a person who sees everything: a side of every conflict, and whether the record stays."""
    heads = {before.view.history.order[place].digest for place in before.view.history.heads}
    upon = [fact for fact in case.facts if fact.revision.digest in heads]
    cells: dict[str, Cell] = {}
    for conflict in before.view.conflicts:
        if conflict.kind is not ConflictKind.DELETED:
            cells |= chance.choice(conflict.candidates).cells
    resolution = decide(RevisionKind.RESOLUTION, "all", upon, 50, cells, before.schema.version)
    fate = chance.choice([RevisionKind.RESTORE, RevisionKind.TOMBSTONE])
    return [resolution, decide(fate, "fate", [resolution], 51)]


def changed_once(case: Case, chance: random.Random, name: str, stamp: int) -> Fact | None:
    """An edit of one of the edits that changes one answer, or deletes a row; None where there is no edit."""
    edits = [fact for fact in case.facts if fact.document is not None and not _has_elder(fact, case.facts)]
    if not edits:
        return None
    base = chance.choice(edits)
    document = copy.deepcopy(base.document or {})
    slot = chance.choice(list(slots(case.form.name, base.version).values()))
    row = chance.randint(1, 2)
    if slot.repeats and chance.random() < 0.3:
        drop(document, slot, row)
    else:
        put(document, slot, row, chance.choice(slot.answers))
    return edit(name, base.revision.instance_id, stamp, document, base.version)


def the_clocks_of_tablets_decide_nothing(case: Case, chance: random.Random) -> None:
    """Every tablet hours off: the same answers shown and contested. (Stamps differ, so that no tie asks the bytes.)"""
    stamps = chance.sample(range(1, 99), len(case.facts))
    timed = []
    for is_wrong in (False, True):
        renamed: dict[str, str] = {}
        facts: list[Fact] = []
        for fact, stamp in zip(case.facts, stamps, strict=True):
            old = fact.revision
            if fact.document is not None:
                year = chance.randint(10, 40) if is_wrong else 26
                moment = f"20{year}-01-01T08:{stamp % 60:02}:{stamp // 60:02}.000+03:30"
                document = fact.document | {"start": moment, "end": moment}
                fact = edit(old.instance_id, old.deprecated_id, stamp, document, fact.version, fact.files)
            else:
                parents = tuple(sorted(renamed.get(digest, digest) for digest in old.parents))
                fact = replace(fact, revision=replace(old, stamp=stamp, parents=parents))
            renamed[old.digest] = fact.revision.digest
            facts.append(fact)
        merged = merge(case.form, facts)
        seen = merged.view
        current = seen.current and seen.current.instance_id
        conflicts = [what(one) for one in (*seen.conflicts, *seen.settled)]
        timed.append((attended(merged, case), conflicts, current, seen.edits, seen.is_deleted))
    assert timed[0] == timed[1]


def an_undone_decision_was_never_made(case: Case, chance: random.Random) -> None:
    """For whatever was not built upon it; and undone twice it holds again."""
    before = merge(case.form, case.facts)
    upon = chance.sample(case.facts, chance.randint(1, len(case.facts)))
    kind = chance.choice([RevisionKind.RESOLUTION, RevisionKind.TOMBSTONE, RevisionKind.RESTORE])
    cells = dict.fromkeys(list(before.view.shown)[:2], BLANK) if kind is RevisionKind.RESOLUTION else {}
    stamps = [chance.randint(1, 9) for _ in range(3)]
    made = decide(kind, "made", upon, stamps[0], cells, before.schema.version)
    undone = decide(RevisionKind.WITHDRAWAL, "undone", [made], stamps[1])
    again = decide(RevisionKind.WITHDRAWAL, "again", [undone], stamps[2])
    assert dump(merge(case.form, [*case.facts, made, undone])) == dump(before)
    held = merge(case.form, [*case.facts, made])
    assert dump(merge(case.form, [*case.facts, made, undone, again])) == dump(held)


def rows_are_known_by_their_key(case: Case, chance: random.Random) -> None:
    """In whatever order they stand: the same is shown and contested. And an edit of one leaves the others alone."""
    before = merge(case.form, case.facts)
    keyed = {path for rules in case.form.line.rules for path in rules.keys}
    shuffled = [
        replace(fact, document=shuffle(fact.document, keyed, chance)) if fact.document is not None else fact
        for fact in case.facts
    ]
    after = merge(case.form, shuffled)
    assert dict(after.view.shown) == dict(before.view.shown)
    assert sorted(map(str, map(what, after.view.conflicts))) == sorted(
        map(str, map(what, before.view.conflicts))
    )
    late = changed_once(case, chance, "late", 99)
    if late is None:
        return
    seen = merge(case.form, [*case.facts, late]).view
    place = [one.digest for one in seen.history.order].index(late.revision.digest)
    rows = {next(rows_of(cell), cell) for cell in seen.judge.ledger.written[place] if "[" in cell}
    is_first = seen.history.parents[place] == ()
    assert is_first or len(rows) <= 1


def shuffle(document: object, keyed: set[str], chance: random.Random, path: str = "") -> object:
    match document:
        case dict():
            return {name: shuffle(child, keyed, chance, f"{path}/{name}") for name, child in document.items()}
        case list() if path in keyed:
            rows = [shuffle(row, keyed, chance, path) for row in document]
            return chance.sample(rows, len(rows))
    return document


def deleting_hides_no_edit_made_apart(case: Case, chance: random.Random) -> None:
    """Delete against edit: shown and flagged; a deletion that knows everything holds."""
    before = merge(case.form, case.facts)
    if before.view.current is None:
        return
    heads = {before.view.history.order[place].digest for place in before.view.history.heads}
    upon = [fact for fact in case.facts if fact.revision.digest in heads]
    gone = decide(RevisionKind.TOMBSTONE, "gone", upon, chance.randint(1, 99))
    assert merge(case.form, [*case.facts, gone]).view.is_deleted
    late = changed_once(case, chance, "late", chance.randint(1, 99))
    if late is None:
        return
    after = merge(case.form, [*case.facts, gone, late]).view
    place = [one.digest for one in after.history.order].index(late.revision.digest)
    if any(
        path_of(cell) not in case.form.line.rules[-1].unattended for cell in after.judge.ledger.written[place]
    ):
        assert not after.is_deleted
        assert any(one.kind is ConflictKind.DELETED for one in after.conflicts)


def answers_that_depend_stand_together(case: Case, _: random.Random) -> None:
    """What is shown of a question beside what decides that it is asked, one person saw together."""
    merged = merge(case.form, case.facts)
    seen, past, ledger = merged.view, merged.view.history, merged.view.judge.ledger
    rules = rules_of(case)
    shown = {cell: answer.said for cell, answer in seen.shown.items()}
    for path, above in rules.controllers.items():
        for cell in (cell for cell in ledger.writers if path_of(cell) == path):
            for controller in (one for one in ledger.writers if path_of(one) in above - rules.unattended):
                if path in rules.unattended or "[" in cell or "[" in controller:
                    continue
                pair = (shown.get(controller, ""), shown.get(cell, ""))
                assert any(
                    _saw(merged, place, controller) == pair[0] and _saw(merged, place, cell) == pair[1]
                    for place in range(len(past.order))
                ), (controller, cell, pair)


def _saw(merged: Merged, place: int, cell: str) -> str:
    """What somebody saw in a cell, their own answer included; of an open conflict what was shown."""
    judge = merged.view.judge
    return judge.ledger.saw(place, cell, judge.pick).said


def choices_ticked_apart_are_joined(case: Case, chance: random.Random) -> None:
    """Of a select_multiple that no other question depends on, whoever ticks what."""
    edits = [fact for fact in case.facts if fact.document is not None and not _has_elder(fact, case.facts)]
    if not edits:
        return
    base = chance.choice(edits)
    schema = case.form.schema(base.version)
    for field in schema.fields:
        if field.type is not FieldType.SELECT_MULTIPLE or field.merge not in {"", "union"} or field.relevant:
            continue
        if not field.choices or field.path.count("/") > 1:
            continue
        ticked = str((base.document or {}).get(field.name, "")).split()
        free = [one.name for one in field.choices.choices if one.name not in ticked]
        facts = list(case.facts)
        for number, choice in enumerate(free[:2]):
            document = (base.document or {}) | {field.name: " ".join([*ticked, choice])}
            facts.append(
                edit(f"tick{number}", base.revision.instance_id, 90 + number, document, base.version)
            )
        shown = str(merge(case.form, facts).document.get(field.name, "")).split()
        assert set(shown).issuperset(free[:2])


LAWS: tuple[Law, ...] = (
    receiving_again_changes_nothing,
    the_order_of_receiving_changes_nothing,
    the_view_is_what_the_rules_say,
    no_answer_disappears,
    saving_again_changes_nothing,
    deciding_everything_leaves_no_conflict,
    the_clocks_of_tablets_decide_nothing,
    an_undone_decision_was_never_made,
    rows_are_known_by_their_key,
    deleting_hides_no_edit_made_apart,
    answers_that_depend_stand_together,
    choices_ticked_apart_are_joined,
)

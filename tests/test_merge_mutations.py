"""What merges usually get wrong, planted: each is noticed within what `make test` tries, by a law or by the machine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from forms import cells
from forms.instance import Answer
from sync import history, view
from sync.erasure import FOLLOWS, Names
from sync.history import History
from sync.journal import BrokenChainError, Kind
from sync.judge import Judge
from sync.registers import Ledger
from sync.revision import RevisionKind
from tests import merge_cases, merge_draws, merge_world, test_merge_laws, test_merge_machine
from tests import merge_laws as laws
from tests.merge_world import Node, is_erasure

Plant = Callable[[pytest.MonkeyPatch], None]
NOTICED = AssertionError | BrokenChainError


def last_arrival_wins(patch):
    def components(revisions):
        latest = {one.digest: one for one in revisions}
        return grouped(latest.values())

    grouped = history.components
    patch.setattr(merge_cases, "components", components)


def ties_go_to_who_came_last(patch):
    def components(revisions):
        known = list(revisions)
        arrived.update({one.digest: number for number, one in enumerate(known)})
        return grouped(known)

    def rank(self, place):
        one = self.ledger.history.order[place]
        return (one.stamp, arrived[one.digest])

    arrived: dict[str, int] = {}
    grouped = history.components
    patch.setattr(merge_cases, "components", components)
    patch.setattr(Judge, "rank", rank)


def saving_again_is_a_write(patch):
    patch.setattr(Ledger, "_changed", lambda self, place, snapshot, shown, units: dict(snapshot.cells))


def nothing_is_ever_replaced(patch):
    patch.setattr(History, "latest", lambda self, places: tuple(reversed([*history.places_of(places)])))


def only_the_last_answer_counts(patch):
    real = History.latest
    patch.setattr(History, "latest", lambda self, places: real(self, places)[-1:])


def rows_are_matched_by_position(patch):
    def read(rows, place, path, key_name, found, shape):
        numbered = tuple({**row, key_name: Answer(f"n{number}")} for number, row in enumerate(rows))
        real(numbered, place, path, key_name, found, shape)

    real = cells._read_rows
    patch.setattr(cells, "_read_rows", read)


def a_row_is_not_changed_by_what_changes_in_it(patch):
    def changed(self, place, snapshot, shown, units):
        found = real(self, place, snapshot, shown, units)
        return {name: cell for name, cell in found.items() if not (cells.is_row(name) and shown.get(name))}

    real = Ledger._changed
    patch.setattr(Ledger, "_changed", changed)


def a_select_multiple_is_replaced_whole(patch):
    line = merge_cases.form("laws").line
    patch.setitem(line.__dict__, "rules", tuple(replace(one, sets=frozenset()) for one in line.rules))


def a_deletion_beats_an_edit_made_apart(patch):
    patch.setattr(view, "_deletion", lambda judge, said: ())


def a_winner_hides_the_others(patch):
    patch.setattr(view, "_conflict", lambda judge, rules, cell: None)


def questions_that_depend_are_merged_alone(patch):
    patch.setattr(Judge, "_units", lambda self: ())


def an_undone_decision_is_only_marked(patch):
    real = history._undone
    marks = RevisionKind.WITHDRAWAL
    patch.setattr(
        history, "_undone", lambda ranked: real(ranked) & {one.digest for one in ranked if one.kind is marks}
    )


def a_decision_needs_no_parents(patch):
    real = merge_cases.decide

    def decide(kind, name, upon, *rest):
        made = real(kind, name, upon, *rest)
        return replace(made, revision=replace(made.revision, parents=made.revision.parents[:1]))

    patch.setattr(laws, "decide", decide)


CAUGHT_BY: dict[Plant, laws.Law] = {
    last_arrival_wins: laws.receiving_again_changes_nothing,
    ties_go_to_who_came_last: laws.the_order_of_receiving_changes_nothing,
    saving_again_is_a_write: laws.saving_again_changes_nothing,
    nothing_is_ever_replaced: laws.the_view_is_what_the_rules_say,
    only_the_last_answer_counts: laws.the_view_is_what_the_rules_say,
    rows_are_matched_by_position: laws.rows_are_known_by_their_key,
    a_row_is_not_changed_by_what_changes_in_it: laws.the_view_is_what_the_rules_say,
    a_select_multiple_is_replaced_whole: laws.choices_ticked_apart_are_joined,
    a_deletion_beats_an_edit_made_apart: laws.deleting_hides_no_edit_made_apart,
    a_winner_hides_the_others: laws.no_answer_disappears,
    questions_that_depend_are_merged_alone: laws.answers_that_depend_stand_together,
    an_undone_decision_is_only_marked: laws.an_undone_decision_was_never_made,
    a_decision_needs_no_parents: laws.deciding_everything_leaves_no_conflict,
}


def the_last_to_reach_a_node_wins(patch):
    def groups_of(entries):
        return grouped(replace(entry, stamp=at) for at, entry in enumerate(entries, 1))

    grouped = merge_world.groups_of
    patch.setattr(merge_world, "groups_of", groups_of)


def a_kill_loses_what_was_acknowledged_last(patch):
    def kill(self):
        own = [place for place, entry in self.disk.items() if entry.origin == self.name]
        for place in own[-1:]:
            del self.disk[place]
        killed(self)

    killed = Node.kill
    patch.setattr(Node, "kill", kill)


def a_restored_node_goes_on_under_its_epoch(patch):
    def come_back(self, disk):
        self.epochs = 0
        came_back(self, disk)

    came_back = Node.come_back
    patch.setattr(Node, "come_back", come_back)


def stamps_follow_the_clock_of_the_wall(patch):
    patch.setattr(merge_world, "tick", lambda last, now_ms: now_ms << 16)


def only_the_newest_of_each_instance_is_taken(patch):
    def take(self, entries):
        told = {(entry.fact.kind, entry.fact.detail and named(entry)): entry for entry in entries}
        taken(self, told.values())

    def named(entry):
        return orjson.loads(entry.fact.detail).get("instance_id") or entry.hash

    taken = Node.take
    patch.setattr(Node, "take", take)


def an_old_copy_brings_back_what_was_erased(patch):
    def take(self, entries):
        known = list(entries)
        news = any(merge_world.place_of(entry) not in self.disk for entry in filter(is_erasure, known))
        self.disk.update({merge_world.place_of(entry): entry for entry in known})
        self.promised.update(entry.fact.key for entry in known)
        if news:
            self.drop_erased()

    patch.setattr(Node, "take", take)


def a_tablet_brings_back_what_was_erased(patch):
    def receive(self, fact):
        self.append(fact)
        self.promised.add(fact.key)
        if fact.kind is Kind.ERASURE:
            self.drop_erased()

    patch.setattr(Node, "receive", receive)


def what_edits_an_erased_record_stays(patch):
    real = merge_world.names_in
    patch.setattr(merge_world, "names_in", lambda entry: Names({*sorted(real(entry).instance_ids)[:1]}))


def what_follows_an_erasure_is_not_told(patch):
    real = Node.append
    patch.setattr(
        Node,
        "append",
        lambda self, fact: real(self, fact) if FOLLOWS.encode() not in fact.detail else None,
    )


CAUGHT_BY_THE_MACHINE: tuple[Plant, ...] = (
    last_arrival_wins,
    the_last_to_reach_a_node_wins,
    a_kill_loses_what_was_acknowledged_last,
    a_restored_node_goes_on_under_its_epoch,
    stamps_follow_the_clock_of_the_wall,
    only_the_newest_of_each_instance_is_taken,
    an_old_copy_brings_back_what_was_erased,
    a_tablet_brings_back_what_was_erased,
    what_edits_an_erased_record_stays,
    what_follows_an_erasure_is_not_told,
)


@pytest.mark.parametrize("plant", CAUGHT_BY, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_noticed(plant, monkeypatch):
    cases = [(merge_draws.draw_case(random.Random(seed)), seed) for seed in range(laws.EXAMPLES)]
    plant(monkeypatch)
    faults = (test_merge_laws.fault_of(CAUGHT_BY[plant], case, seed) for case, seed in cases)
    assert any(isinstance(fault, NOTICED) for fault in faults)


@pytest.mark.parametrize("plant", CAUGHT_BY_THE_MACHINE, ids=lambda plant: plant.__name__)
def test_a_bug_planted_in_a_node_is_noticed(plant, monkeypatch):
    schedules = [
        merge_world.draw_schedule(random.Random(seed), test_merge_machine.DEEDS)
        for seed in range(test_merge_machine.RUNS)
    ]
    plant(monkeypatch)
    assert any(isinstance(fault, NOTICED) for fault in map(test_merge_machine.fault_of, schedules))

"""What merges usually get wrong, planted: each is noticed by a law within the histories that `make test` tries."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forms import cells
from forms.instance import Answer
from sync import history, view
from sync.history import History
from sync.judge import Judge
from sync.registers import Ledger
from sync.revision import RevisionKind
from tests import merge_cases
from tests import merge_laws as laws

Plant = Callable[[pytest.MonkeyPatch], None]


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


@pytest.mark.parametrize("plant", CAUGHT_BY, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_noticed(plant, monkeypatch):
    law = CAUGHT_BY[plant]

    @settings(
        max_examples=laws.EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(merge_cases.cases("laws"), st.integers(0, 2**32))
    def holds(case, seed):
        law(case, random.Random(seed))

    merge_cases.form("laws")
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        holds()

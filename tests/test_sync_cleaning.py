"""The cleaning log by itself: what a set of entries makes of a merged record."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from forms.compile import compile_form
from forms.schema import FormSchema
from sync.cleaning import (
    Cleaned,
    Entry,
    EntryKind,
    Status,
    base_of,
    digest,
    fold,
    read,
    standing_ids,
    text_of,
)

SHEET = """
| survey   |                      |        |        |             |
|          | type                 | name   | label  | chapar::key |
|          | begin_group          | house  | House  |             |
|          | integer              | size   | Size   |             |
|          | select_multiple need | needs  | Needs  |             |
|          | end_group            |        |        |             |
|          | begin_repeat         | member | Member | m_id        |
|          | text                 | m_id   | Id     |             |
|          | integer              | m_age  | Age    |             |
|          | end_repeat           |        |        |             |
|          | begin_repeat         | visit  | Visit  |             |
|          | integer              | days   | Days   |             |
|          | end_repeat           |        |        |             |
| choices  |                      |        |        |
|          | list_name            | name   | label  |
|          | need                 | food   | Food   |
|          | need                 | water  | Water  |
| settings |                      |        |        |
|          | form_title           | form_id | version |
|          | H                    | h       | 1       |
"""
RECORD: dict[str, Any] = {
    "house": {"size": "5", "needs": "food"},
    "member": [{"m_id": "a", "m_age": "30"}, {"m_id": "b", "m_age": "4"}],
    "visit": [{"days": "1"}, {"days": "2"}],
}
SIZE, NEEDS, AGE = "/house/size", "/house/needs", "/member[b]/m_age"
_stamps = count(1)


@cache
def schema() -> FormSchema:
    return compile_form(SHEET.encode(), "h.md").schema


def entry(kind: str, cell: str, new: str = "", log: tuple[Entry, ...] = (), **given: Any) -> Entry:
    """An entry by somebody who knows the record as received, and `log`."""
    stamp = next(_stamps)
    base = base_of(read(RECORD, schema()), cell)
    made = Entry("", stamp, EntryKind(kind), cell, new, base, standing_ids(log, cell))
    made = replace(made, **given)
    return replace(made, id=hashlib.sha256(repr(made).encode()).hexdigest()[:32])


def undo(one: Entry) -> Entry:
    return entry("undo", one.cell, undoes=one.id, supersedes=frozenset())


def clean(*log: Entry, record: dict[str, Any] = RECORD) -> Cleaned:
    return fold(record, log, schema())


def said(done: Cleaned, cell: str) -> str | None:
    return text_of(done.document, schema(), cell)


def test_a_change_shows_in_the_clean_record_and_leaves_the_merged_one_alone():
    done = clean(entry("change", SIZE, "6"))
    assert (said(done, SIZE), RECORD["house"]["size"]) == ("6", "5")


def test_an_empty_log_gives_the_merged_record():
    assert clean().document == RECORD
    assert clean(entry("no_action", SIZE)).document == RECORD


def test_blank_takes_an_answer_away():
    assert said(clean(entry("blank", AGE)), AGE) == ""


def test_a_row_is_known_by_its_key_wherever_it_stands():
    moved = RECORD | {"member": RECORD["member"][::-1]}
    done = clean(entry("change", AGE, "5"), record=moved)
    assert [row["m_age"] for row in done.document["member"]] == ["5", "30"]


def test_a_row_without_a_key_is_known_by_its_place_while_its_list_stays_the_same():
    one = entry("change", "/visit[@2]/days", "9")
    assert clean(one).document["visit"] == [{"days": "1"}, {"days": "9"}]
    grown = RECORD | {"visit": [{"days": "0"}, *RECORD["visit"]]}
    done = clean(one, record=grown)
    assert (done.document["visit"], done.status[one.id]) == (grown["visit"], Status.CHANGED)


def test_rows_are_removed_after_all_changes_so_that_places_stay():
    first, second = entry("remove_row", "/visit[@1]"), entry("change", "/visit[@2]/days", "9")
    assert clean(first, second).document["visit"] == [{"days": "9"}]
    assert [row["m_id"] for row in clean(entry("remove_row", "/member[a]")).document["member"]] == ["b"]


def test_choices_are_added_and_removed_each_by_itself():
    done = clean(entry("add_option", f"{NEEDS}#water"), entry("remove_option", f"{NEEDS}#food"))
    assert said(done, NEEDS) == "water"


def test_a_later_whole_answer_covers_choices_and_an_earlier_one_is_changed_by_them():
    whole, choice = entry("change", NEEDS, "food water"), entry("remove_option", f"{NEEDS}#food")
    assert said(clean(whole, choice), NEEDS) == "water"
    later = entry("change", NEEDS, "food")
    assert said(clean(whole, choice, later), NEEDS) == "food"


def test_an_entry_upon_an_answer_that_was_edited_since_is_left_and_told():
    one = entry("change", SIZE, "6")
    edited = RECORD | {"house": {"size": "50", "needs": "food"}}
    done = clean(one, record=edited)
    assert (said(done, SIZE), done.status[one.id]) == ("50", Status.CHANGED)
    same = RECORD | {"house": {"size": " 05", "needs": "food"}}
    assert said(clean(one, record=same), SIZE) == "6"


def test_of_two_who_did_not_know_of_each_other_the_later_is_shown_and_the_other_told():
    one, two = entry("change", SIZE, "6"), entry("change", SIZE, "7")
    done = clean(one, two)
    assert (said(done, SIZE), done.status[one.id]) == ("7", Status.CONTESTED)
    knowing = entry("change", SIZE, "8", (one, two))
    assert clean(one, two, knowing).status[one.id] is Status.SUPERSEDED
    alike = entry("change", SIZE, "7")
    assert clean(two, alike).status[two.id] is Status.SUPERSEDED


def test_what_is_taken_back_uncovers_what_it_replaced_and_taking_that_back_restores_it():
    one = entry("change", SIZE, "6")
    two = entry("change", SIZE, "7", (one,))
    back = undo(two)
    again = undo(back)
    assert [said(clean(*log), SIZE) for log in ((one, two), (one, two, back), (one, two, back, again))] == [
        "7",
        "6",
        "7",
    ]
    assert said(clean(one, two, undo(one)), SIZE) == "7"


def test_restore_shows_the_merged_answer_again():
    one = entry("change", SIZE, "6")
    assert said(clean(one, entry("restore", SIZE, log=(one,))), SIZE) == "5"


def test_a_record_is_removed_and_restored():
    one = entry("remove_record", "")
    assert clean(one).removal == one
    assert clean(one, entry("restore", "", log=(one,))).removal is None
    assert clean(one, undo(one)).removal is None


def test_an_entry_about_a_row_that_is_gone_changes_nothing():
    one = entry("change", "/member[z]/m_age", "5")
    assert (clean(one).document, clean(one).status[one.id]) == (RECORD, Status.NO_PLACE)


def test_an_answer_in_a_group_that_was_not_asked_can_be_given():
    bare = {"member": [], "visit": []}
    assert said(clean(entry("change", SIZE, "3", base=""), record=bare), SIZE) == "3"
    assert clean(entry("blank", SIZE, base=""), record=bare).document == bare


CELLS = (
    SIZE,
    NEEDS,
    f"{NEEDS}#food",
    f"{NEEDS}#water",
    AGE,
    "/member[a]",
    "/visit[@1]/days",
    "/visit[@2]",
    "",
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Logs of people each of whom knew some of what was entered before."""
    done: tuple[Entry, ...] = ()
    for _ in range(draw(st.integers(1, 9))):
        known = tuple(one for one in done if draw(st.booleans()))
        if known and draw(st.booleans()):
            done += (undo(draw(st.sampled_from(known))),)
            continue
        cell = draw(st.sampled_from(CELLS))
        kinds = ["restore"]
        if "#" in cell:
            kinds += ["add_option", "remove_option"]
        elif cell.endswith("]"):
            kinds += ["remove_row"]
        else:
            kinds += ["change", "blank"] if cell else ["remove_record"]
        base = {} if draw(st.integers(0, 4)) else {"base": "stale"}
        done += (entry(draw(st.sampled_from(kinds)), cell, draw(st.sampled_from("67")), known, **base),)
    return done


@given(logs(), st.randoms(use_true_random=False))
def test_the_same_entries_in_any_order_and_repetition_give_the_same_record(log, chance):
    shuffled = [*log, *chance.choices(log, k=3)]
    chance.shuffle(shuffled)
    one, two = clean(*log), clean(*shuffled)
    assert (one.document, one.removal, one.status) == (two.document, two.removal, two.status)
    assert digest((e.stamp, e.id) for e in log) == digest((e.stamp, e.id) for e in log[::-1])


@given(logs())
def test_taking_everything_back_gives_the_merged_record(log):
    standing = [one for one in log if clean(*log).status[one.id] is not Status.UNDONE]
    done = clean(*log, *(undo(one) for one in standing if one.kind is not EntryKind.UNDO))
    assert (done.document, done.removal) == (RECORD, None)


@given(logs(), st.data())
def test_an_entry_that_is_taken_back_counts_as_if_it_had_never_been(log, data):
    one = data.draw(st.sampled_from([entry for entry in log if entry.kind is not EntryKind.UNDO] or [log[0]]))
    without = [entry for entry in log if entry.id != one.id and entry.undoes != one.id]
    if any(entry.undoes == one.id for entry in log):
        return
    assert clean(*log, undo(one)).document == clean(*without).document

"""What is shown of a submission that several people changed apart, and what waits for a person."""

from tests.merging import answers, contested, decide, edit, merge, rules

BASE = edit("a", stamp=1, head="Zahra", age=30, status="new")


def test_edits_of_different_fields_are_joined():
    seen = merge(
        [
            BASE,
            edit("b", "a", 2, head="Zahra", age=31, status="new"),
            edit("c", "a", 3, head="Zahra", age=30, status="met"),
        ]
    )
    assert answers(seen) == {"/head": "Zahra", "/age": "31", "/status": "met"}
    assert contested(seen) == {}
    assert seen.edits == 2


def test_two_answers_to_one_question_are_a_conflict_that_shows_the_later_received():
    seen = merge(
        [
            BASE,
            edit("b", "a", 2, head="Zahra", age=31, status="new"),
            edit("c", "a", 3, head="Zahra", age=32, status="new"),
        ]
    )
    assert answers(seen)["/age"] == "32"
    assert contested(seen) == {"value /age": [{"/age": "32"}, {"/age": "31"}]}


def test_a_blanked_answer_against_a_changed_one_is_a_conflict():
    seen = merge(
        [BASE, edit("b", "a", 2, age=30, status="new"), edit("c", "a", 3, head="Zohra", age=30, status="new")]
    )
    assert contested(seen) == {"value /head": [{"/head": "Zohra"}, {"/head": ""}]}


def test_saving_again_without_a_change_does_not_compete_with_a_change():
    seen = merge(
        [
            BASE,
            edit("b", "a", 2, head="Zahra", age=31, status="new"),
            edit("c", "a", 3, head="Zahra", age=30, status="new"),
        ]
    )
    assert (answers(seen)["/age"], contested(seen), seen.edits) == ("31", {}, 1)


def test_the_same_change_on_two_tablets_is_no_conflict():
    same = {"head": "Zahra", "age": 31, "status": "new"}
    assert contested(merge([BASE, edit("b", "a", 2, **same), edit("c", "a", 3, **same)])) == {}


def test_a_chain_of_edits_is_its_last_answer():
    seen = merge([BASE, edit("b", "a", 2, head="Zahra", age=31), edit("c", "b", 3, head="Zahra", age=32)])
    assert answers(seen) == {"/head": "Zahra", "/age": "32"}
    assert (seen.current.instance_id, seen.history.instance_id, seen.edits) == ("c", "a", 2)


def test_choices_of_a_select_multiple_are_joined_one_by_one():
    base = edit("a", answers={"/needs#food": "food", "/needs#water": "water"})
    one = edit("b", "a", 2, answers={"/needs#food": "food", "/needs#water": "water", "/needs#cash": "cash"})
    two = edit("c", "a", 3, answers={"/needs#water": "water"})
    assert answers(merge([base, one, two])) == {"/needs#water": "water", "/needs#cash": "cash"}


def test_rows_with_a_key_are_joined_row_by_row_and_field_by_field():
    base = edit("a", answers={"/member[1]": "yes", "/member[1]/name": "Ali", "/member[1]/age": "3"})
    older = edit("b", "a", 2, answers={"/member[1]": "yes", "/member[1]/name": "Ali", "/member[1]/age": "4"})
    named = edit("c", "a", 3, answers={"/member[1]": "yes", "/member[1]/name": "Aly", "/member[1]/age": "3"})
    more = edit(
        "d",
        "a",
        4,
        answers={
            **{k: v.text for k, v in base[1].cells.items()},
            "/member[2]": "yes",
            "/member[2]/name": "Sara",
        },
    )
    seen = merge([base, older, named, more])
    assert contested(seen) == {}
    found = answers(seen)
    assert (found["/member[1]/name"], found["/member[1]/age"], found["/member[2]/name"]) == (
        "Aly",
        "4",
        "Sara",
    )


ROW = {"/member[1]": "yes", "/member[1]/name": "Ali", "/member[1]/age": "3"}
ROW_OLDER = {"/member[1]": "yes", "/member[1]/name": "Ali", "/member[1]/age": "4"}


def test_a_row_deleted_by_one_stays_deleted():
    assert answers(merge([edit("a", answers=ROW), edit("b", "a", 2, head="x")])) == {"/head": "x"}


def test_a_row_deleted_by_one_and_changed_by_another_is_kept_and_contested():
    for deleted, changed in ((2, 3), (3, 2)):
        seen = merge(
            [edit("a", answers=ROW), edit("b", "a", deleted), edit("c", "a", changed, answers=ROW_OLDER)]
        )
        assert answers(seen) == ROW_OLDER
        assert contested(seen) == {"row /member": [{"/member[1]": "yes"}, {"/member[1]": ""}]}


def test_a_resolution_that_deletes_the_row_leaves_no_conflict():
    sides = [edit("a", answers=ROW), edit("b", "a", 2), edit("c", "a", 3, answers=ROW_OLDER)]
    seen = merge([*sides, decide("resolution", sides[1:], 4, {"/member[1]": ""})])
    assert (answers(seen), contested(seen)) == ({}, {})


def test_a_resolution_closes_the_conflict_and_undoing_it_opens_it_again():
    one = edit("b", "a", 2, head="Zahra", age=31, status="new")
    two = edit("c", "a", 3, head="Zahra", age=32, status="new")
    resolved = decide("resolution", [one, two], 4, {"/age": "33"})
    seen = merge([BASE, one, two, resolved])
    assert (answers(seen)["/age"], contested(seen)) == ("33", {})
    (decision,) = seen.decisions
    assert [side.cells["/age"].text for side in decision.candidates["/age"]] == ["32", "31"]
    undone = merge([BASE, one, two, resolved, decide("withdrawal", [resolved], 5)])
    assert contested(undone) == contested(merge([BASE, one, two]))
    again = decide("withdrawal", [decide("withdrawal", [resolved], 5)], 6)
    assert contested(merge([BASE, one, two, resolved, decide("withdrawal", [resolved], 5), again])) == {}


def test_an_edit_made_upon_an_undone_resolution_stands_upon_its_sides():
    one = edit("b", "a", 2, head="Zahra", age=31, status="new")
    two = edit("c", "a", 3, head="Zahra", age=32, status="new")
    resolved = decide("resolution", [one, two], 4, {"/age": "31"}, name="r")
    later = edit("d", "r", 5, head="Zohra", age=31, status="new")
    seen = merge([BASE, one, two, resolved, later, decide("withdrawal", [resolved], 6)])
    assert answers(seen)["/head"] == "Zohra"
    assert seen.history.parents[-1]


def test_resolving_one_field_leaves_the_other_open():
    one = edit("b", "a", 2, head="Zahra", age=31, status="met")
    two = edit("c", "a", 3, head="Zahra", age=32, status="gone")
    seen = merge([BASE, one, two, decide("resolution", [one, two], 4, {"/age": "31"})])
    assert list(contested(seen)) == ["value /status"]


def test_a_late_edit_opens_only_its_own_fields_again():
    one = edit("b", "a", 2, head="Zahra", age=31, status="met")
    two = edit("c", "a", 3, head="Zahra", age=32, status="gone")
    resolved = decide("resolution", [one, two], 4, {"/age": "31", "/status": "met"})
    late = edit("d", "a", 5, head="Zahra", age=30, status="left")
    seen = merge([BASE, one, two, resolved, late])
    assert contested(seen) == {"value /status": [{"/status": "left"}, {"/status": "met"}]}


def test_an_edit_of_a_contested_record_that_leaves_the_field_alone_leaves_it_contested():
    one = edit("b", "a", 2, head="Zahra", age=31, status="new")
    two = edit("c", "a", 3, head="Zahra", age=32, status="new")
    seen = merge([BASE, one, two, edit("d", "c", 4, head="Zohra", age=32, status="new")])
    assert list(contested(seen)) == ["value /age"]


def test_what_is_asked_because_of_an_answer_is_not_shown_against_it():
    unit = rules(controllers={"/school": ("/child",)})
    base = edit("a", child="yes")
    no = edit("b", "a", 2, child="no")
    school = edit("c", "a", 3, child="yes", school="Milak 2")
    seen = merge([base, no, school], unit)
    assert contested(seen) == {
        "unit /child": [{"/child": "yes", "/school": "Milak 2"}, {"/child": "no", "/school": ""}]
    }
    assert answers(seen) == {"/child": "yes", "/school": "Milak 2"}
    first = merge([base, edit("b", "a", 4, child="no"), school], unit)
    assert answers(first) == {"/child": "no"}
    keep = decide("resolution", [no, school], 5, {"/child": "no", "/school": ""})
    assert contested(merge([base, no, school, keep], unit)) == {}


def test_a_side_that_is_shown_is_shown_with_all_that_its_answers_depend_on():
    unit = rules(controllers={"/food": ("/child", "/hungry")})
    base = edit("a", child="yes", food="rice")
    fed = edit("b", "a", 2, child="yes", hungry="yes", food="bread")
    seen = merge([base, fed, edit("c", "a", 3, child="no", food="rice")], unit)
    assert answers(seen) == {"/child": "no", "/food": "rice"}
    assert contested(seen) == {
        "unit /child": [
            {"/child": "no", "/food": "rice", "/hungry": ""},
            {"/child": "yes", "/food": "bread", "/hungry": "yes"},
        ]
    }


def test_two_answers_below_one_question_that_nobody_changed_are_joined():
    unit = rules(controllers={"/school": ("/child",), "/grade": ("/child",)})
    one = edit("b", "a", 2, child="yes", school="x")
    two = edit("c", "a", 3, child="yes", grade="4")
    assert contested(merge([edit("a", child="yes"), one, two], unit)) == {}


def test_a_question_in_another_row_does_not_decide():
    unit = rules(controllers={"/member/school": ("/member/child",)})
    row1 = {"/member[1]": "yes", "/member[1]/child": "yes"}
    row2 = {"/member[2]": "yes", "/member[2]/child": "yes"}
    base = edit("a", answers=row1 | row2)
    one = edit("b", "a", 2, answers=row1 | row2 | {"/member[1]": "yes", "/member[1]/child": "no"})
    two = edit("c", "a", 3, answers=row1 | row2 | {"/member[2]": "yes", "/member[2]/school": "M"})
    assert contested(merge([base, one, two], unit)) == {}
    three = edit("d", "a", 4, answers=row1 | row2 | {"/member[1]": "yes", "/member[1]/school": "M"})
    assert list(contested(merge([base, one, three], unit))) == ["unit /member/child"]


def test_policies_settle_without_people_and_keep_every_candidate():
    one, two = edit("b", "a", 2, f="7"), edit("c", "a", 3, f="12")
    shown = {}
    for policy in ("later", "first", "larger", "smaller"):
        seen = merge([edit("a", f="1"), one, two], rules(policies={"/f": policy}))
        assert contested(seen) == {}
        (settled,) = seen.settled
        assert settled.policy == policy
        assert {side.cells["/f"].text for side in settled.candidates} == {"7", "12"}
        shown[policy] = answers(seen)["/f"]
    assert shown == {"later": "12", "first": "7", "larger": "12", "smaller": "7"}


def test_what_nobody_answers_is_never_contested():
    one, two = edit("b", "a", 2, deviceid="x"), edit("c", "a", 3, deviceid="y")
    seen = merge([edit("a", deviceid="w"), one, two], rules(unattended=("/deviceid",)))
    assert (answers(seen), contested(seen), seen.settled, seen.edits) == ({"/deviceid": "y"}, {}, (), 0)


def test_the_same_file_name_with_other_content_on_two_sides_is_a_conflict():
    base = edit("a", photo="p.jpg", files={"p.jpg": "1"})
    again = edit("b", "a", 2, photo="p.jpg")
    assert contested(merge([base, again, edit("c", "a", 3, photo="p.jpg", head="x")])) == {}
    one = edit("d", "a", 4, photo="p.jpg", files={"p.jpg": "2"})
    two = edit("e", "a", 5, photo="p.jpg", files={"p.jpg": "3"})
    assert list(contested(merge([base, one, two]))) == ["value /photo"]
    assert merge([base, one]).shown["/photo"].said == "p.jpg\x002"


def test_a_deleted_submission_is_gone_and_can_be_restored():
    gone = decide("tombstone", [BASE], 2)
    assert merge([BASE, gone]).is_deleted
    back = decide("restore", [gone], 3)
    assert not merge([BASE, gone, back]).is_deleted
    assert merge([BASE, gone, back, decide("withdrawal", [back], 4)]).is_deleted
    assert not merge([BASE, gone, edit("b", "tombstone-2", 3, head="Zohra")]).is_deleted


def test_an_edit_made_apart_from_a_deletion_beats_it_and_is_flagged():
    gone = decide("tombstone", [BASE], 3)
    late = edit("b", "a", 2, head="Zohra", age=30, status="new")
    seen = merge([BASE, gone, late])
    assert not seen.is_deleted
    assert list(contested(seen)) == ["deleted "]
    assert merge([BASE, gone, late, decide("tombstone", [gone, late], 4)]).is_deleted
    kept = merge([BASE, gone, late, decide("restore", [gone, late], 4)])
    assert (kept.is_deleted, contested(kept)) == (False, {})


def test_correcting_a_deleted_record_does_not_bring_it_back():
    gone = decide("tombstone", [BASE], 2)
    assert merge([BASE, gone, decide("resolution", [gone], 3, {"/age": "31"})]).is_deleted
    late = edit("b", "a", 4, head="Zohra", age=30, status="new")
    corrected = decide("resolution", [gone, late], 5, {"/age": "31"})
    assert contested(merge([BASE, gone, late, corrected])) == contested(merge([BASE, gone, late]))


def test_saving_again_without_a_change_does_not_bring_a_deleted_record_back():
    same = edit("b", "a", 2, head="Zahra", age=30, status="new")
    assert merge([BASE, decide("tombstone", [BASE], 3), same]).is_deleted


def test_a_version_without_the_question_cannot_blank_it():
    newer = edit("b", "a", 2, head="Zahra", lacks=("/age", "/status"))
    assert answers(merge([BASE, newer]))["/age"] == "30"


def test_other_content_under_one_instance_id_keeps_both():
    seen = merge([edit("a", age=1, head="x"), edit("a", stamp=2, age=2)])
    assert contested(seen) == {"value /age": [{"/age": "2"}, {"/age": "1"}]}
    assert answers(seen)["/head"] == "x"


def test_an_edit_before_its_parent_stands_and_joins_later():
    early = edit("b", "a", 1, head="Zohra", age=30, status="new")
    alone = merge([early])
    assert (alone.history.instance_id, alone.history.parent_missing) == ("a", True)
    joined = merge([early, edit("a", stamp=2, head="Zahra", age=30, status="new")])
    assert (answers(joined)["/head"], contested(joined), joined.history.parent_missing) == (
        "Zohra",
        {},
        False,
    )


def test_a_criss_cross_of_resolutions_keeps_what_they_disagree_on():
    one, two = edit("b", "a", 2, f="x"), edit("c", "a", 3, f="y")
    left = decide("resolution", [one, two], 4, {"/f": "x"})
    right = decide("resolution", [one, two], 5, {"/f": "y"})
    seen = merge([edit("a", f="w"), one, two, left, right])
    assert contested(seen) == {"value /f": [{"/f": "y"}, {"/f": "x"}]}


def test_circles_and_long_chains_from_hostile_input_are_borne():
    circle = [edit("a", "b", 1, f="x"), edit("b", "a", 2, f="y")]
    assert list(contested(merge(circle))) == ["value /f"]
    chain = [edit("0", f="0"), *(edit(str(n), str(n - 1), n + 1, f=str(n)) for n in range(1, 3000))]
    assert answers(merge(chain)) == {"/f": "2999"}


def test_saving_a_joined_row_again_does_not_keep_it_from_being_deleted():
    older = edit("b", "a", 2, answers=ROW_OLDER)
    named = edit("c", "a", 3, answers=ROW | {"/member[1]/name": "Aly"})
    joined = decide("resolution", [older, named], 4, name="j")
    again = edit("d", "j", 5, answers=ROW_OLDER | {"/member[1]/name": "Aly"})
    gone = decide("resolution", [joined], 6, {"/member[1]": ""})
    seen = merge([edit("a", answers=ROW), older, named, joined, again, gone])
    assert (answers(seen), contested(seen)) == ({}, {})


def test_whoever_sets_a_row_back_changes_it():
    older = edit("b", "a", 2, answers=ROW_OLDER)
    back = edit("c", "b", 3, answers=ROW)
    gone = decide("resolution", [older], 4, {"/member[1]": ""})
    assert list(contested(merge([edit("a", answers=ROW), older, back, gone]))) == ["row /member"]


def test_a_resolution_inside_a_row_is_not_deleted_with_it_unseen():
    base = edit("a", answers=ROW)
    typed = decide("resolution", [base], 2, {"/member[1]/age": "9"})
    seen = merge([base, typed, edit("b", "a", 3)])
    assert answers(seen)["/member[1]/age"] == "9"
    assert list(contested(seen)) == ["row /member"]


def test_what_nobody_answers_does_not_bring_a_deleted_record_back():
    gone = decide("tombstone", [BASE], 2, name="t")
    again = edit("b", "t", 3, head="Zahra", age=30, status="new", end="later")
    assert merge([BASE, gone, again], rules(unattended=("/end",))).is_deleted


def test_a_picture_that_people_chose_stays_when_the_record_is_saved_again_without_it():
    base = edit("a", photo="p.jpg", files={"p.jpg": "0"})
    one = edit("b", "a", 2, photo="p.jpg", files={"p.jpg": "1"})
    two = edit("c", "a", 3, photo="p.jpg", files={"p.jpg": "2"})
    chosen = decide("resolution", [one, two], 4, {"/photo": "p.jpg\x001"}, name="r")
    seen = merge([base, one, two, chosen, edit("d", "r", 5, photo="p.jpg", head="x")])
    assert seen.shown["/photo"].said == "p.jpg\x001"
    back = merge([base, edit("b", "a", 2, photo="q.jpg"), edit("c", "b", 3, photo="p.jpg")])
    assert back.shown["/photo"].said == "p.jpg\x000"


def test_an_undone_withdrawal_undoes_nothing_whatever_the_clocks_of_posts_say():
    one, two = edit("b", "a", 2, f="x"), edit("c", "a", 3, f="y")
    chosen = decide("resolution", [one, two], 9, {"/f": "x"})
    undone = decide("withdrawal", [chosen], 8)
    again = decide("withdrawal", [undone], 7)
    assert contested(merge([edit("a", f="w"), one, two, chosen, undone, again])) == {}


def test_an_edit_or_a_decision_made_upon_a_withdrawal_stands():
    chosen = decide("resolution", [BASE], 2, {"/age": "31"})
    undone = decide("withdrawal", [chosen], 3, name="w")
    later = edit("d", "w", 4, head="Zohra", age=30, status="new")
    seen = merge([BASE, chosen, undone, later, decide("resolution", [undone], 5, {"/status": "met"})])
    assert answers(seen) == {"/head": "Zohra", "/age": "30", "/status": "met"}
    assert contested(seen) == {}


SCHOOL = rules(controllers={"/school": ("/child",), "/grade": ("/child",)})


def test_a_side_of_a_unit_is_shown_with_all_that_its_author_saw():
    base = edit("a", child="yes", school="M")
    seen = merge(
        [base, edit("b", "a", 2, child="no"), edit("c", "a", 3, child="yes", school="M", grade="4")], SCHOOL
    )
    assert answers(seen) == {"/child": "yes", "/school": "M", "/grade": "4"}
    assert contested(seen) == {
        "unit /child": [
            {"/child": "yes", "/grade": "4", "/school": "M"},
            {"/child": "no", "/grade": "", "/school": ""},
        ]
    }


def test_a_decision_about_another_field_leaves_a_unit_contested():
    base, no = edit("a", child="yes"), edit("b", "a", 2, child="no")
    school = edit("c", "a", 3, child="yes", school="M")
    aside = decide("resolution", [no, school], 4, {"/head": "x"}, name="r")
    seen = merge([base, no, school, aside], SCHOOL)
    assert answers(seen) == {"/child": "yes", "/school": "M", "/head": "x"}
    assert list(contested(seen)) == ["unit /child"]
    again = edit("d", "r", 5, child="yes", school="M", head="x")
    assert contested(merge([base, no, school, aside, again], SCHOOL)) == contested(seen)
    settled = merge([base, no, school, aside, edit("d", "r", 5, child="yes", head="x", grade="4")], SCHOOL)
    assert answers(settled) == {"/child": "yes", "/head": "x", "/grade": "4"}
    assert contested(settled) == {}


def test_choices_with_brackets_are_choices():
    base = edit("a", answers={"/needs#[x]": "[x]", "/needs#y]/z": "y]/z"})
    seen = merge([base, edit("b", "a", 2, answers={"/needs#y]/z": "y]/z", "/needs#w": "w"})])
    assert answers(seen) == {"/needs#y]/z": "y]/z", "/needs#w": "w"}

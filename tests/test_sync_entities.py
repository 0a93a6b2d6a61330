"""What writers of an entity had seen, and what is shown: the rules of docs/entities.md one by one."""

from __future__ import annotations

from forms.schema import Deed
from sync.entities import Conflict, Entity, versions, view
from sync.entity_write import Header, Write


def write(
    number: int, deed: Deed = Deed.UPDATE, *, origin: str = "post", edits: str = "", **more: object
) -> Write:
    """A write by the record `i<number>`, received as the number says."""
    header = Header("form", f"i{number}", f"{number:04x}", edits, number)
    return Write(header.digest, number, origin, deed, revision=header, **more)  # type: ignore[arg-type]


def step(number: int, base: int, **values: str) -> Write:
    """An offline update in the branch that began at version 1."""
    return write(number, base=base, trunk=1, branch="x", values=values)


BORN = write(1, Deed.CREATE, label="Case", values={"need": "food", "status": "open"})


def candidates(entity: Entity, name: str) -> set[str]:
    return {one.value for one in entity.open.get(name, ())}


def test_an_online_update_had_seen_the_version_it_names_and_no_later_one():
    first, second = write(2, base=1, values={"status": "a"}), write(3, base=2, values={"status": "b"})
    late = write(4, base=2, values={"status": "c"})
    assert view([BORN, first, second], []).conflict is None
    assert candidates(view([BORN, first, second, late], []), "status") == {"b", "c"}


def test_a_later_step_of_a_branch_had_seen_a_step_that_comes_in_after_it():
    entity = view([BORN, step(2, 2, status="b"), step(3, 1, status="a", need="cash")], [])
    assert (entity.conflict, entity.values) == (None, {"status": "b", "need": "cash"})


def test_two_forms_open_at_once_had_not_seen_each_other_and_the_third_had_seen_both():
    both = [BORN, step(2, 1, status="a"), step(3, 1, status="b")]
    assert candidates(view(both, []), "status") == {"a", "b"}
    after = view([*both, step(4, 3, status="c")], [])
    assert (after.values["status"], candidates(after, "status")) == ("c", set())
    unsure = view([*both, step(4, 2, status="c")], [])
    assert candidates(unsure, "status") == {"a", "b", "c"}


def test_a_step_after_an_edited_one_takes_the_correction_over():
    first, second = step(2, 1, status="a", need="cash"), step(3, 2, status="a", need="water")
    edit = write(4, base=1, trunk=1, branch="x", edits="i2", values={"status": "corrected", "need": "cash"})
    entity = view([BORN, first, second, edit], [])
    assert entity.values["status"] == "corrected"
    assert candidates(entity, "status") == set()
    assert candidates(entity, "need") == {"cash", "water"}


def test_an_edit_that_says_the_same_keeps_what_it_edits():
    entity = view(
        [
            BORN,
            write(2, base=1, values={"status": "a"}),
            write(3, base=1, edits="i2", values={"status": "a"}),
        ],
        [],
    )
    assert (entity.values["status"], entity.conflict) == ("a", None)


def test_records_that_edit_each_other_in_a_circle_all_count():
    one = write(2, base=1, edits="i3", values={"status": "a"})
    other = write(3, base=1, edits="i2", values={"need": "cash"})
    assert view([BORN, one, other], []).values == {"status": "a", "need": "cash"}


def test_at_another_server_a_number_proves_only_what_it_leaves_no_choice_about():
    here = [write(2, base=1, values={"need": "cash"}), write(3, base=2, values={"need": "water"})]
    there = write(4, base=1, origin="centre", values={"status": "x"})
    proven = write(5, base=3, values={"need": "none"})
    assert candidates(view([BORN, *here, proven], []), "need") == set()
    unsure = view([BORN, *here, there, proven], [])
    assert candidates(unsure, "need") == {"water", "none"}, (
        "version 3 may have been there's and only one of here's"
    )
    assert (
        candidates(view([BORN, *here, there, write(5, base=4, values={"need": "none"})], []), "need") == set()
    )


def test_every_update_had_seen_the_only_create_wherever_it_was_received():
    entity = view([BORN, write(2, base=7, origin="centre", values={"status": "closed"})], [])
    assert (entity.values["status"], entity.conflict) == ("closed", None)


def test_what_came_after_a_person_settled_and_had_not_seen_it_is_open_again():
    writes = [BORN, write(2, base=1, values={"status": "a"}), write(3, base=1, values={"status": "b"})]
    person = Write("ff01", 4, "post", Deed.UPDATE, values={"status": "a"}, seen={"post": 3}, resolves=True)
    settled = view([*writes, person], [])
    assert (settled.values["status"], settled.conflict) == ("a", None)
    late = view([*writes, person, write(5, base=1, values={"status": "c"})], [])
    assert (late.conflict, candidates(late, "status")) == (Conflict.HARD, {"a", "c"})


def test_a_tablet_that_sends_the_shown_value_again_settles_nothing():
    writes = [BORN, write(2, base=1, values={"status": "a"}), write(3, base=1, values={"status": "b"})]
    entity = view([*writes, write(4, base=3, values={"status": "b", "need": "cash"})], [])
    assert candidates(entity, "status") == {"a", "b"}


def test_a_deletion_that_had_seen_everything_holds_and_one_that_had_not_is_contested():
    seen = view([BORN, Write("ff01", 2, "post", Deed.DELETE, seen={"post": 1})], [])
    assert (seen.is_deleted, seen.conflict) == (True, None)
    writes = [
        BORN,
        Write("ff01", 2, "post", Deed.DELETE, seen={"post": 1}),
        write(3, base=1, values={"status": "a"}),
    ]
    assert (view(writes, []).is_deleted, view(writes, []).conflict) == (False, Conflict.HARD)
    again = view([*writes, Write("ff02", 4, "post", Deed.DELETE, seen={"post": 3})], [])
    assert (again.is_deleted, again.conflict) == (True, None)
    restored = view([*writes[:2], Write("ff03", 4, "post", Deed.RESTORE, seen={"post": 2})], [])
    assert (restored.is_deleted, restored.conflict, restored.version) == (False, None, 1)


def test_version_numbers_already_given_never_change_at_one_server():
    writes = [BORN, step(2, 3, status="c"), write(3, base=2, values={"need": "cash"}), step(4, 1, status="a")]
    writes += [step(5, 2, status="b"), write(6, base=1, edits="i3", values={"need": "water"})]
    for count in range(1, len(writes)):
        before = [one.write.key for one in versions(view(writes[:count], []))]
        assert [one.write.key for one in versions(view(writes, []))][:count] == before

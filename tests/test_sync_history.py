"""The history of a submission is a function of the set of its revisions, whatever order they came in."""

from hypothesis import given
from hypothesis import strategies as st

from sync.history import components, history
from sync.revision import Revision


def revision(instance_id, content, deprecates=None, stamp=1):
    return Revision(instance_id, f"{instance_id}:{content}:{deprecates}", content, deprecates, stamp)


def test_one_revision_is_its_own_submission():
    only = history([revision("a", "x")])
    assert (only.instance_id, only.in_conflict, only.edits) == ("a", False, 0)


def test_an_edit_is_shown_and_the_submission_keeps_its_first_name():
    edited = history([revision("a", "x"), revision("b", "y", "a", stamp=2)])
    assert (edited.instance_id, edited.shown.instance_id, edited.edits) == ("a", "b", 1)
    assert not edited.in_conflict


def test_two_edits_of_one_revision_are_a_conflict_that_keeps_both():
    torn = history([revision("a", "x"), revision("b", "y", "a", 2), revision("c", "z", "a", 3)])
    assert [head.instance_id for head in torn.heads] == ["c", "b"]


def test_two_edits_that_say_the_same_are_no_conflict():
    agreed = history([revision("a", "x"), revision("b", "y", "a", 2), revision("c", "y", "a", 3)])
    assert not agreed.in_conflict


def test_saving_again_without_a_change_does_not_compete_with_a_change():
    saved = history([revision("a", "x"), revision("b", "y", "a", 2), revision("c", "x", "a", 3)])
    assert (saved.shown.instance_id, saved.in_conflict, saved.edits) == ("b", False, 1)


def test_other_content_under_one_instance_id_is_a_conflict():
    siblings = history([revision("a", "x"), revision("a", "y", stamp=2)])
    assert siblings.in_conflict
    assert siblings.edits == 0


def test_an_edit_before_its_parent_stands_and_joins_later():
    early = revision("b", "y", "a", 1)
    assert history([early]).parent_missing
    joined = history([early, revision("a", "x", stamp=2)])
    assert (joined.instance_id, joined.shown, joined.parent_missing) == ("a", early, False)


def test_revisions_that_deprecate_each_other_all_stay_visible():
    circle = [revision("a", "x", "b"), revision("b", "y", "a", 2)]
    assert {head.instance_id for head in history(circle).heads} == {"a", "b"}
    assert history([revision("a", "x", "b"), revision("b", "x", "a", 2)]).shown.content_digest == "x"
    assert history([revision("a", "x", "a")]).shown.instance_id == "a"


IDS = st.sampled_from("abcde")
REVISIONS = st.lists(
    st.builds(revision, IDS, st.sampled_from("xyz"), st.none() | IDS, st.integers(1, 9)),
    min_size=1,
    max_size=9,
)


@given(REVISIONS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(revisions, random):
    again = revisions + random.choices(revisions, k=3)
    random.shuffle(again)
    assert [history(group) for group in components(again)] == [
        history(group) for group in components(revisions)
    ]


@given(REVISIONS)
def test_every_revision_is_in_one_component_and_every_head_was_received(revisions):
    groups = components(revisions)
    assert {r.digest for group in groups for r in group} == {r.digest for r in revisions}
    for group in groups:
        assert set(history(group).heads) <= set(group)


@given(REVISIONS)
def test_content_that_nobody_edited_is_always_a_head(revisions):
    deprecated = {r.deprecated_id for r in revisions}
    for group in components(revisions):
        heads = {head.content_digest for head in history(group).heads}
        untouched = {
            r.content_digest for r in group if not r.deprecated_id and r.instance_id not in deprecated
        }
        assert untouched <= heads

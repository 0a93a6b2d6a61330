"""The history of a submission is a function of the set of its revisions, whatever order they came in."""

from hypothesis import given
from hypothesis import strategies as st

from sync.history import components, history
from sync.revision import Revision, RevisionKind


def revision(instance_id, content, deprecates=None, stamp=1):
    return Revision(instance_id, f"{instance_id}:{content}:{deprecates}", deprecates, stamp)


def decision(name, kind, parents, stamp=9):
    digests = tuple(parent.digest for parent in parents)
    return Revision(name, f"{name}:{digests}", parents[0].instance_id, stamp, kind, digests)


def parents_of(past):
    return {
        one.instance_id: [past.order[place].instance_id for place in places]
        for one, places in zip(past.order, past.parents, strict=True)
    }


def test_the_submission_keeps_the_name_of_its_first_revision():
    edited = history([revision("b", "y", "a", stamp=2), revision("a", "x")])
    assert (edited.instance_id, parents_of(edited)) == ("a", {"a": [], "b": ["a"]})


def test_an_edit_before_its_parent_bears_its_parents_name():
    early = revision("b", "y", "a")
    assert (history([early]).instance_id, history([early]).parent_missing) == ("a", True)
    joined = history([early, revision("a", "x", stamp=2)])
    assert (joined.instance_id, joined.parent_missing) == ("a", False)


def test_two_edits_of_what_is_missing_are_one_submission():
    (group,) = components([revision("b", "y", "a"), revision("c", "z", "a")])
    assert history(group).instance_id == "a"


def test_an_edit_stands_upon_the_first_received_of_siblings():
    first, second = revision("a", "x", stamp=1), revision("a", "y", stamp=2)
    past = history([second, revision("b", "z", "a", 3), first])
    assert past.order[past.parents[2][0]] == first


def test_revisions_that_deprecate_each_other_have_no_parents():
    circle = [revision("a", "x", "b"), revision("b", "y", "a", 2)]
    assert parents_of(history(circle)) == {"a": [], "b": []}
    assert parents_of(history([revision("a", "x", "a")])) == {"a": []}
    below = history([*circle, revision("c", "z", "b", 3)])
    assert parents_of(below) == {"a": [], "b": [], "c": ["b"]}


def test_a_decision_that_is_withdrawn_leaves_its_parents_to_what_stood_upon_it():
    one, two = revision("a", "x"), revision("a", "y", stamp=2)
    chosen = decision("r", RevisionKind.RESOLUTION, [one, two], 3)
    later = revision("d", "z", "r", 4)
    past = history([one, two, chosen, later, decision("u", RevisionKind.WITHDRAWAL, [chosen], 5)])
    assert parents_of(past) == {"a": [], "d": ["a", "a"]}


def test_only_decisions_can_be_withdrawn():
    one = revision("a", "x")
    assert history([one, decision("u", RevisionKind.WITHDRAWAL, [one])]).order == (one,)


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
def test_every_revision_is_in_one_history_and_after_its_parents(revisions):
    pasts = [history(group) for group in components(revisions)]
    assert {r.digest for past in pasts for r in past.order} == {r.digest for r in revisions}
    for past in pasts:
        for place, parents in enumerate(past.parents):
            assert all(parent < place for parent in parents)
            assert all(past.is_before(parent, place) for parent in parents)

"""What went wrong in other systems, as named tests through the real server: nobody's answer is lost here that way."""

from __future__ import annotations

import itertools
import random
import threading

import pytest
from conftest import Live, household, send, state_of
from orjson import loads

from server import projection
from server.deciding import decide
from server.permissions import OPERATOR
from server.resolving import resolve
from server.store import conflicts, submissions
from server.store.conflicts import Wanted
from server.store.engine import reading
from sync.choosing import Side
from sync.revision import RevisionKind


def head(name: str) -> str:
    return f"<head>{name}</head>"


def send_at_once(live: Live, instances: list[bytes]) -> list[int]:
    """Send each from a thread of its own, all at the same moment; return the statuses."""
    statuses: list[int] = []
    gate = threading.Barrier(len(instances))

    def post(xml: bytes) -> None:
        gate.wait()
        statuses.append(send(live, xml).status_code)

    threads = [threading.Thread(target=post, args=(xml,)) for xml in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.node.catch_up()
    return statuses


def told(live: Live, xml: bytes) -> None:
    assert send(live, xml).status_code == 201
    live.node.catch_up()


def only(live: Live) -> submissions.StoredSubmission:
    with reading(live.node.engine) as connection:
        (one,) = submissions.iter_submissions(connection, 1, "household")
    return one


def contested(live: Live) -> list[conflicts.StoredConflict]:
    with reading(live.node.engine) as connection:
        return conflicts.list_conflicts(connection, 1, Wanted(state="open"), None, 100)


def test_six_identical_posts_at_once_are_one_record_and_six_201s(live):
    assert send_at_once(live, [household("uuid:1")] * 6) == [201] * 6
    assert only(live).edits == 0


def test_the_original_sent_again_after_its_edit_is_201_and_changes_nothing(live):
    told(live, household("uuid:1", "5"))
    told(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    before = only(live)
    told(live, household("uuid:1", "5"))
    assert only(live) == before
    assert loads(before.answers)["size"] == "6"


def test_five_edits_of_one_base_at_once_are_one_view_with_its_conflict(live):
    told(live, household("uuid:base", "1"))
    edits = [household(f"uuid:{n}", str(n), deprecated_id="uuid:base") for n in range(2, 7)]
    assert send_at_once(live, edits) == [201] * 5
    (one,) = contested(live)
    sizes = {answer.text for side in one.about.candidates for answer in side.cells.values()}
    assert sizes == {"2", "3", "4", "5", "6"}
    assert only(live).edits == 5


def test_who_syncs_first_decides_no_value_of_different_questions(live):
    """Tangerine-Community/Tangerine#2484: the result depended on who synced first."""
    shown = []
    for record, order in (("a", (0, 1, 2)), ("b", (2, 1, 0)), ("c", (1, 0, 2))):
        edits = [
            household(f"uuid:{record}0", "1", head("Zahra")),
            household(f"uuid:{record}1", "2", head("Zahra"), f"uuid:{record}0"),
            household(f"uuid:{record}2", "1", head("Zohra"), f"uuid:{record}0"),
        ]
        for place in order:
            told(live, edits[place])
        with reading(live.node.engine) as connection:
            found = submissions.find_submission(connection, 1, "household", f"uuid:{record}0")
        assert found is not None
        shown.append(
            (found.open_conflicts, loads(found.answers)["size"] == "2", "Zohra" in str(loads(found.answers)))
        )
    assert shown == [(0, True, True)] * 3


def test_no_record_or_answer_is_lost_without_a_conflict_that_tells(live):
    """Tangerine-Community/Tangerine#2722: a record was replaced and no conflict was listed."""
    told(live, household("uuid:1", "5", head("Zahra")))
    told(live, household("uuid:1", "7", head("Zohra")))
    assert {one.about.path for one in contested(live)} == {"/size", "/head"}


def test_a_correction_at_the_office_is_not_overwritten_by_a_tablet_that_missed_it(live):
    """Tangerine-Community/Tangerine#2441: a tablet's sync overwrote what the office had corrected."""
    told(live, household("uuid:1", "5", head("Zahra")))
    told(live, household("uuid:office", "6", head("Zahra"), "uuid:1"))
    told(live, household("uuid:tablet", "5", head("Zohra"), "uuid:1"))
    assert loads(only(live).answers)["size"] == "6"
    assert contested(live) == []
    told(live, household("uuid:other", "9", head("Zahra"), "uuid:1"))
    assert [one.about.path for one in contested(live)] == ["/size"]


def test_two_edits_of_one_question_are_both_kept(live):
    """primeroIMS/primero#508: of two edits of one field the earlier was lost."""
    told(live, household("uuid:1", "5"))
    told(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    told(live, household("uuid:3", "7", deprecated_id="uuid:1"))
    (one,) = contested(live)
    assert [side.cells["/size"].text for side in one.about.candidates] == ["7", "6"]


def test_a_deletion_does_not_beat_an_edit_silently(live):
    """MerginMaps/geodiff: a delete wins over an update made apart, and nothing tells."""
    told(live, household("uuid:1", "5"))
    about = only(live)
    decide(live.node, OPERATOR, about, RevisionKind.TOMBSTONE)
    told(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    assert loads(only(live).answers)["size"] == "6"
    assert [one.about.kind for one in contested(live)] == ["deleted"]


@pytest.mark.parametrize("seed", range(1))
def test_state_is_the_same_one_by_one_in_batches_and_from_scratch(live, monkeypatch, seed):
    """The incremental view is the view from scratch, whatever arrived in between."""
    chance = random.Random(seed)
    for number in range(25):
        known = [f"uuid:{n}" for n in range(number)]
        opened = chance.choice(["", *known, "uuid:99", f"uuid:{number + 1}"])
        name = chance.choice([f"uuid:{number}"] * 4 + ["uuid:0"])
        told(live, household(name, str(chance.randint(1, 3)), head(chance.choice("ab")), opened))
        if number % 5 == 4:
            decide_something(live, chance)
    before = state_of(live.node)
    assert before["conflict"]
    for most in (1, 7, 256):
        monkeypatch.setattr(projection, "STEP_MAX", most)
        projection.rebuild(live.node.engine, live.node.schemas)
        assert state_of(live.node) == before


def decide_something(live: Live, chance: random.Random) -> None:
    with reading(live.node.engine) as connection:
        found = list(submissions.iter_submissions(connection, 1, "household"))
    kinds = [RevisionKind.TOMBSTONE, RevisionKind.RESTORE]
    for kind, about in zip(kinds, itertools.cycle(found), strict=False):
        if chance.random() < 0.5:
            decide(live.node, OPERATOR, about, kind)
    for one in contested(live)[:2]:
        if one.about.kind == "value":
            resolve(live.node, OPERATOR, 1, one.id, Side(0), one.seen)

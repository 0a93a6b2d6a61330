"""Submissions of very many revisions: hostile or broken tablets cost what they send, and nobody else waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest
from conftest import HOUSEHOLD, Live, household, wait_for

from server import intake, projection, receiving
from server.node import Node
from server.publishing import publish
from server.receiving import Sender, StoredFile
from server.store import arrivals, journal, submissions
from server.store.engine import reading, writing
from server.store.submissions import StoredSubmission

SENDER = Sender(None, "tablet", "device", "openrosa")
MANY = arrivals.AT_ONCE_MAX + 10


def edits(count: int, start: int = 1) -> list[bytes]:
    """So many edits of uuid:1, each with another size."""
    numbers = range(start, start + count)
    return [household(f"uuid:1-{number}", str(number + 10), deprecated_id="uuid:1") for number in numbers]


def arrive(node: Node, xmls: Sequence[bytes]) -> None:
    arrived = [receiving.examine(1, xml, [], SENDER, lambda *_: True) for xml in xmls]
    intake.record(node.engine, arrived)


def find(node: Node, name: str) -> StoredSubmission | None:
    with reading(node.engine) as connection:
        return submissions.find_submission(connection, 1, "household", name)


def names(node: Node) -> list[str]:
    with reading(node.engine) as connection:
        return [one.instance_id for one in submissions.iter_submissions(connection, 1, "household")]


def edits_of(node: Node) -> int:
    found = find(node, "uuid:1")
    return found.edits if found else 0


@pytest.fixture
def shown(node: Node) -> Node:
    """A node with one record of the form `household`."""
    publish(node, 1, HOUSEHOLD.encode(), "household.md", {})
    arrive(node, [household()])
    node.catch_up()
    return node


def test_five_hundred_edits_of_one_record_are_read_again_once(shown, monkeypatch):
    read: list[int] = []

    def read_entries(connection, positions):
        read.extend(positions)
        return real(connection, positions)

    real = journal.read_entries
    monkeypatch.setattr(journal, "read_entries", read_entries)
    for start in range(0, 500, 25):
        arrive(shown, edits(25, start + 1))
        projection.step(shown.engine, shown.schemas)
    while_it_was_small = 1 + 26
    assert len(read) <= while_it_was_small
    shown.catch_up()
    assert edits_of(shown) == 500
    assert len(read) <= while_it_was_small + 501 + arrivals.AHEAD


def test_nobody_waits_until_very_many_edits_are_joined(shown):
    arrive(shown, [*edits(MANY), household("uuid:other")])
    projection.step(shown.engine, shown.schemas)
    assert find(shown, "uuid:other")
    assert edits_of(shown) == 0
    assert projection.join(shown.engine, shown.schemas)
    assert edits_of(shown) == MANY
    assert not projection.join(shown.engine, shown.schemas)


def test_what_comes_while_they_are_joined_is_joined_next(shown):
    arrive(shown, edits(MANY))
    projection.step(shown.engine, shown.schemas)
    with reading(shown.engine) as connection:
        waiting = arrivals.find_unjoined(connection)
    arrive(shown, edits(1, MANY + 1))
    projection.step(shown.engine, shown.schemas)
    with writing(shown.engine) as connection:
        assert not arrivals.take_up(connection, waiting)
    shown.catch_up()
    assert edits_of(shown) == MANY + 1


def test_two_records_that_turn_out_to_be_one_are_joined_as_one(shown):
    arrive(shown, [household(f"uuid:2-{n}", str(n + 10), deprecated_id="uuid:2") for n in range(MANY)])
    shown.catch_up()
    assert names(shown) == ["uuid:1", "uuid:2"]
    arrive(shown, [household("uuid:2", deprecated_id="uuid:1")])
    shown.catch_up()
    assert names(shown) == ["uuid:1"]
    assert edits_of(shown) == MANY


def test_a_file_counts_from_its_first_receipt_whichever_is_learnt_of_first(shown):
    """Of two pictures of one name the one received later is shown; the other came by a second way, later still."""
    for sha256, stamp in (("a" * 64, 9), ("b" * 64, 5), ("a" * 64, 1)):
        photo = StoredFile("1.jpg", sha256, 5, "image/jpeg")
        xml = household("uuid:photo", extra="<shelter>1.jpg</shelter>")
        facts = receiving.facts_of(receiving.examine(1, xml, [photo], SENDER, lambda *_: True))
        with writing(shown.engine) as connection:
            elsewhere = [replace(fact, key=str(stamp).encode() * 32) for fact in facts[1:]]
            journal.append(connection, facts[:1], iter([stamp << 20]))
            journal.append(connection, elsewhere, iter([stamp << 20]))
        shown.catch_up()
    found = find(shown, "uuid:photo")
    assert found
    assert orjson.loads(found.files) == {"1.jpg": "b" * 64}


def test_a_submission_that_cannot_be_joined_stops_nobody(shown, monkeypatch, caplog):
    def joined(*_):
        raise KeyError

    arrive(shown, edits(MANY))
    projection.step(shown.engine, shown.schemas)
    monkeypatch.setattr(arrivals.arrival_rows, "joined", joined)
    shown.catch_up()
    assert "could not be joined (KeyError)" in caplog.text
    assert edits_of(shown) == 0


def test_a_server_joins_them_by_itself(live: Live):
    arrive(live.node, [household(), *edits(MANY)])
    wait_for(lambda: edits_of(live.node) == MANY, timeout_s=60)

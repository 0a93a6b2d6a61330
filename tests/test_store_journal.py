"""The journal: dense positions, one chain, exact repeats left out, on both databases and from many threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import HOUSEHOLD, household
from sqlalchemy import select

from server import intake, receiving
from server.intake import Outcome
from server.publishing import publish, release_waiting
from server.receiving import Sender
from server.store import journal, submissions
from server.store.engine import reading, writing
from server.store.tables import journal as journal_table
from sync.journal import GENESIS, Fact, Kind, hash_header, hash_payload

SENDER = Sender(1, "tablet", "collect:x", "test")


def fact(number: int) -> Fact:
    return Fact(Kind.SUBMISSION, 1, bytes([number]) * 32, b"{}", b"body %d" % number)


def rows(node):
    with reading(node.engine) as connection:
        return connection.execute(select(journal_table).order_by(journal_table.c.position)).all()


def test_positions_and_sequence_numbers_are_dense_and_the_chain_holds(node):
    def write(start: int) -> None:
        for number in range(start, start + 10):
            with writing(node.engine) as connection:
                journal.append(connection, [fact(number), fact(number + 100)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, 40, 10)))
    found = rows(node)
    assert [row.position for row in found] == [row.seq for row in found] == list(range(1, 82))
    previous = GENESIS
    for row in found:
        assert row.payload_hash == hash_payload(row.detail, row.body)
        assert row.hash == hash_header(
            row.origin, row.epoch, row.seq, previous, row.kind, row.stamp, row.payload_hash
        )
        previous = row.hash


def test_an_exact_repeat_gets_no_position_in_this_batch_or_a_later_one(node):
    with writing(node.engine) as connection:
        first = journal.append(connection, [fact(1), fact(2), fact(1)])
    with writing(node.engine) as connection:
        later = journal.append(connection, [fact(2), fact(3)])
    assert first[2] is None
    assert later == [None, first[1] + 1]


def test_a_transaction_that_fails_leaves_no_hole(node):
    before = len(rows(node))
    try:
        with writing(node.engine) as connection:
            journal.append(connection, [fact(1)])
            raise RuntimeError
    except RuntimeError:
        pass
    with writing(node.engine) as connection:
        assert journal.append(connection, [fact(2)]) == [before + 1]


def test_stamps_rise_even_when_the_wall_clock_falls_back(node, monkeypatch):
    clock = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000, 1_000_000_000_000_000_000])
    monkeypatch.setattr("server.store.journal.time.time_ns", lambda: next(clock))
    for number in range(3):
        with writing(node.engine) as connection:
            journal.append(connection, [fact(number)])
    stamps = [row.stamp for row in rows(node)]
    assert stamps == sorted(set(stamps))


def test_only_one_process_moves_a_cursor_from_where_it_stood(node):
    with writing(node.engine) as connection:
        assert journal.advance(connection, "test", 0, 5)
    with writing(node.engine) as connection:
        assert not journal.advance(connection, "test", 0, 4)
    with reading(node.engine) as connection:
        assert journal.cursor(connection, "test") == 5


def test_what_was_set_aside_while_its_form_was_published_is_taken_up_at_the_next_start(node):
    publish(node, 1, HOUSEHOLD.encode(), "household.md", {})
    late = receiving.examine(1, household(), [], SENDER, lambda *_: False)
    assert intake.record(node.engine, [late]) == [Outcome.QUARANTINED]
    node.catch_up()
    assert (release_waiting(node), release_waiting(node)) == (1, 0)
    with reading(node.engine) as connection:
        assert submissions.find_submission(connection, 1, "household", "uuid:1")


def test_a_submission_and_its_files_are_one_transaction_and_a_new_file_is_news(node):
    photo = receiving.StoredFile("1.jpg", "ab" * 32, 3, "image/jpeg")
    alone = receiving.examine(1, household(), [], SENDER, lambda *_: True)
    with_photo = receiving.examine(1, household(), [photo], SENDER, lambda *_: True)
    assert intake.record(node.engine, [alone, alone]) == [Outcome.STORED, Outcome.REPEAT]
    assert intake.record(node.engine, [with_photo]) == [Outcome.STORED]
    assert intake.record(node.engine, [with_photo]) == [Outcome.REPEAT]
    assert [row.kind for row in rows(node)][1:] == ["submission", "attachment"]


def test_what_a_thread_still_holds_when_the_store_closes_is_closed_when_it_comes_back(node):
    connection = node.engine.connect()
    held = connection.connection.dbapi_connection
    node.close()
    connection.close()
    with pytest.raises(node.engine.dialect.loaded_dbapi.Error, match="closed"):
        held.execute("SELECT 1")

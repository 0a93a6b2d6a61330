"""Behind pgbouncer in transaction mode: nothing is expected of a connection beyond the transaction."""

from __future__ import annotations

import random
from collections.abc import Iterator

import psycopg
import pytest
from conftest import state_of
from load import check_chain
from pooler import Pooler, pooled
from sqlalchemy.engine import make_url
from test_durability import mixed_load

from server import projection
from server.settings import Settings


@pytest.fixture
def behind(new_database: str) -> Iterator[tuple[str, Pooler]]:
    with pooled(new_database) as found:
        yield found


@pytest.fixture
def settings(behind: tuple[str, Pooler], tmp_path) -> Settings:
    return Settings(data=tmp_path / "data", database_url=behind[0])


def test_a_statement_prepared_in_one_transaction_is_not_there_in_the_next(behind):
    """That the pooler does what it says: else what follows would show nothing."""
    url = make_url(behind[0]).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, prepare_threshold=0) as connection:
        connection.execute("SELECT 1")
        connection.commit()
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            connection.execute("SELECT 1")
        connection.rollback()


def test_a_node_takes_all_kinds_of_records_and_derives_the_same_state(live, behind):
    mixed_load(live, random.Random(12))
    live.node.catch_up()
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before
    assert len(before["submission"]) > 20
    check_chain(live.node)
    assert behind[1].transactions > 100

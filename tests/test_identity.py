"""No name of an entry is ever given twice: a store that turns up in another place starts a new epoch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import household
from sqlalchemy import create_engine, select
from sqlalchemy.engine import URL, make_url

from server.intake import record
from server.node import open_node
from server.receiving import Sender, examine
from server.settings import Settings
from server.setup import ensure_project
from server.store import identity
from server.store.chain import iter_entries
from server.store.engine import reading, writing
from server.store.tables import journal as entries
from sync.journal import verify


@pytest.fixture
def settings_of_copy(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Where a copy of the store is going to be; made by `copy_store`."""
    if not settings.database_url:
        yield Settings(data=tmp_path / "copy")
        return
    url = make_url(settings.database_url)
    copy = url.set(database=f"{url.database}_copy")
    yield Settings(data=tmp_path / "copy", database_url=copy.render_as_string(hide_password=False))
    administer(url, f"DROP DATABASE IF EXISTS {copy.database} WITH (FORCE)")


def copy_store(settings: Settings, target: Settings) -> None:
    """As somebody does it who knows nothing of Chapar: `cp -r`, or a new database from the old one."""
    if settings.database_url:
        old, new = make_url(settings.database_url), make_url(target.database_url)
        administer(old, f"CREATE DATABASE {new.database} TEMPLATE {old.database}")
    else:
        shutil.copytree(settings.data, target.data)


def administer(url: URL, statement: str) -> None:
    engine = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def add(settings: Settings, name: str) -> None:
    """Open the store, take one record in, and close it."""
    node = open_node(settings)
    try:
        ensure_project(node)
        record(node.engine, [examine(1, household(name), (), Sender(None, "", "", "test"), lambda *_: False)])
    finally:
        node.close()


def names_of(settings: Settings) -> list[tuple[str, str, int]]:
    """The names of all entries, in order, after a look at the whole chain."""
    node = open_node(settings)
    try:
        with reading(node.engine) as connection:
            verify(iter_entries(connection))
            columns = (entries.c.origin, entries.c.epoch, entries.c.seq)
            return [tuple(row) for row in connection.execute(select(*columns).order_by(entries.c.position))]
    finally:
        node.close()


def test_a_copied_store_gives_no_name_that_the_other_gives(settings, settings_of_copy):
    add(settings, "uuid:1")
    before = names_of(settings)
    copy_store(settings, settings_of_copy)
    add(settings, "uuid:2")
    add(settings_of_copy, "uuid:3")
    here, there = names_of(settings), names_of(settings_of_copy)
    assert here[: len(before)] == there[: len(before)] == before
    assert not set(here[len(before) :]) & set(there[len(before) :])
    assert len({name[0] for name in here + there}) == 1
    assert [name[2] for name in here] == [1, 2, 3]
    assert [name[2] for name in there] == [1, 2, 1]


def test_a_store_that_stays_where_it_is_keeps_its_epoch(settings):
    for number in range(3):
        add(settings, f"uuid:{number}")
    assert len({name[:2] for name in names_of(settings)}) == 1


def test_a_store_whose_records_were_moved_away_is_not_opened_by_mistake(settings):
    node = open_node(settings)
    with writing(node.engine) as connection:
        identity.move_away(connection, "postgresql://centre/chapar")
    node.close()
    with pytest.raises(identity.StoreMovedError, match="postgresql://centre/chapar"):
        open_node(settings)

"""Moving to another database: every row arrives and is compared, or nothing changes; the old store is left behind."""

from __future__ import annotations

import random

import orjson
import pytest
from child import chapar
from conftest import household, send, state_of
from load import check_chain
from sqlalchemy import select, text
from test_durability import mixed_load

from server import moving
from server.auth import Authenticator
from server.moving import copy_store, reopen_store
from server.node import DataDirectoryInUseError, lock_data, open_node
from server.progress import unseen
from server.settings import Settings
from server.store import accounts, journal
from server.store.copying import CopyDiffersError, StoreNotEmptyError
from server.store.engine import migrate, open_engine, reading, writing
from server.store.identity import StoreMovedError
from server.store.tables import journal as entries
from sync.journal import Fact, Kind


@pytest.fixture
def elsewhere(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The same node with the other database, which is empty."""
    url = "" if settings.database_url else request.getfixturevalue("new_database")
    return Settings(data=settings.data, database_url=url)


def test_a_node_goes_on_from_the_other_database_with_every_row(live, elsewhere, sign_in):
    mixed_load(live, random.Random(11))
    live.node.catch_up()
    session = sign_in("coordinator")["Authorization"]
    state, old = state_of(live.node), live.node.settings
    rows = copy_store(old, elsewhere.database_url, unseen)
    assert rows > 300
    moved = open_node(elsewhere)
    try:
        assert state_of(moved) == state
        assert Authenticator(moved.engine).by_authorization(session).name == "coordinator@example.org"
        with writing(moved.engine) as connection:
            accounts.add_user(connection, "next@example.org", "-", "coordinator", one_time=False)
            assert len(accounts.list_users(connection)) == 2
            journal.append(connection, [Fact(Kind.PROJECT, 2, None, b'{"name": "second"}')])
        check_chain(moved)
        with reading(moved.engine) as connection:
            epochs = connection.execute(select(entries.c.epoch).order_by(entries.c.position)).scalars().all()
        assert len(set(epochs)) == 2
        assert epochs.index(epochs[-1]) == len(epochs) - 1
    finally:
        moved.close()


def test_what_comes_in_at_the_old_store_is_refused_until_it_is_taken_into_use_again(live, elsewhere):
    old = live.node.settings
    copy_store(old, elsewhere.database_url, unseen)
    assert send(live, household("uuid:late")).status_code >= 500
    with pytest.raises(StoreMovedError):
        open_node(old)
    reopen_store(old)
    open_node(old).close()
    assert send(live, household("uuid:late")).status_code == 201


def test_a_copy_that_is_kept_beside_leaves_the_store_in_use(live, elsewhere):
    copy_store(live.node.settings, elsewhere.database_url, unseen, keep=True)
    assert send(live, household("uuid:here")).status_code == 201
    open_node(live.node.settings).close()


def test_a_move_that_fails_leaves_all_where_it_was(live, elsewhere, monkeypatch):
    assert send(live, household()).status_code == 201

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moving, "verify_journal", cut_off)
        with pytest.raises(KeyboardInterrupt):
            copy_store(live.node.settings, elsewhere.database_url, unseen)
    assert send(live, household("uuid:2")).status_code == 201
    copy_store(live.node.settings, elsewhere.database_url, unseen)
    with pytest.raises(StoreNotEmptyError):
        copy_store(elsewhere, live.node.settings.database_url, unseen)


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
def test_a_row_that_does_not_arrive_as_it_was_is_noticed(live, elsewhere):
    engine = open_engine(elsewhere.data)
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(
            text(
                "CREATE TRIGGER t AFTER INSERT ON journal WHEN new.position = 2 BEGIN "
                "UPDATE journal SET stamp = stamp + 1 WHERE position = 2; END"
            )
        )
    engine.dispose()
    with pytest.raises(CopyDiffersError, match="journal"):
        copy_store(live.node.settings, "", unseen)
    assert send(live, household()).status_code == 201


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_command_moves_a_node_that_is_stopped(live, elsewhere):
    settings = live.node.settings
    with lock_data(settings.data), pytest.raises(DataDirectoryInUseError):
        copy_store(settings, elsewhere.database_url, unseen)
    done = chapar(settings, "db", "copy", elsewhere.database_url, "--json")
    assert done.returncode == 0
    assert orjson.loads(done.stdout)["rows"] > 5
    lost = chapar(settings, "forms", "list")
    assert (lost.returncode, "chapar db reopen" in lost.stderr) == (1, True)
    assert chapar(settings, "db", "reopen").returncode == 0

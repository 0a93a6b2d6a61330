"""The migrations make the schema that the tables declare, on both databases."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from migrations import HEAD
from server.store.engine import migrate, open_engine
from server.store.tables import METADATA


def test_the_migrated_schema_is_the_declared_one(node):
    with node.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrating_again_changes_nothing(node):
    migrate(node.engine)
    migrate(node.engine)


def test_postgresql_does_not_compress_answers_in_its_slow_way(new_database):
    engine = open_engine(Path(), new_database)
    migrate(engine)
    with engine.connect() as connection:
        how = connection.exec_driver_sql(
            "SELECT attstorage, attcompression FROM pg_attribute"
            " WHERE attrelid = 'submission'::regclass AND attname = 'answers'"
        )
        storage, compression = how.one()
    engine.dispose()
    assert storage == "e" or compression == "l"


def test_head_names_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "migrations:")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD

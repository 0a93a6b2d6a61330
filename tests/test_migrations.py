"""The migrations make the schema that the tables declare, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from migrations import HEAD
from server.store.engine import migrate
from server.store.tables import METADATA


def test_the_migrated_schema_is_the_declared_one(node):
    with node.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrating_again_changes_nothing(node):
    migrate(node.engine)
    migrate(node.engine)


def test_head_names_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "migrations:")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD

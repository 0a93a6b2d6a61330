"""entities

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dataset",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_stamp", sa.BigInteger(), nullable=False),
        sa.Column("label_withheld", sa.Boolean(), nullable=False),
        sa.Column("list_digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name"),
    )
    op.create_table(
        "dataset_property",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("withheld", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "dataset", "name"),
    )
    op.create_table(
        "entity",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("conflict", sa.String(), nullable=True),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("created_stamp", sa.BigInteger(), nullable=False),
        sa.Column("updated_stamp", sa.BigInteger(), nullable=True),
        sa.Column("deleted_stamp", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("creator_name", sa.String(), nullable=False),
        sa.Column("current", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "dataset", "uuid"),
    )
    op.create_index("entity_page", "entity", ["project_id", "dataset", "created_stamp", "uuid"])

    op.create_table(
        "entity_write",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("deed", sa.String(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("deprecated_id", sa.String(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("trunk", sa.Integer(), nullable=True),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("resolves", sa.Boolean(), nullable=False),
        sa.Column("fault", sa.String(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "digest", "place"),
    )
    op.create_index("entity_write_deprecated", "entity_write", ["project_id", "form_id", "deprecated_id"])
    op.create_index("entity_write_entity", "entity_write", ["project_id", "dataset", "uuid"])
    op.create_index("entity_write_instance", "entity_write", ["project_id", "form_id", "instance_id"])


def downgrade() -> None:
    op.drop_index("entity_write_instance", table_name="entity_write")
    op.drop_index("entity_write_entity", table_name="entity_write")
    op.drop_index("entity_write_deprecated", table_name="entity_write")

    op.drop_table("entity_write")
    op.drop_index("entity_page", table_name="entity")

    op.drop_table("entity")
    op.drop_table("dataset_property")
    op.drop_table("dataset")

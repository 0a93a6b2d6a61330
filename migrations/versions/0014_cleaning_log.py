"""cleaning log

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cleaning_entry",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("check_id", sa.String(), nullable=False),
        sa.Column("supersedes", sa.Text(), nullable=False),
        sa.Column("undoes", sa.String(), nullable=False),
        sa.Column("remarks", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "form_id", "instance_id", "id"),
    )
    op.create_index("cleaning_entry_page", "cleaning_entry", ["project_id", "form_id", "stamp", "id"])
    op.create_index("cleaning_entry_batch", "cleaning_entry", ["project_id", "form_id", "batch"])


def downgrade() -> None:
    op.drop_index("cleaning_entry_batch", table_name="cleaning_entry")
    op.drop_index("cleaning_entry_page", table_name="cleaning_entry")

    op.drop_table("cleaning_entry")

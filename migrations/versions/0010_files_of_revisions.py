"""files of revisions

A file belongs to the bytes that it came with. What is derived is dropped, and derived again at the next start.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DERIVED = (
    *("project", "form", "form_state", "form_version", "form_media", "submission", "revision", "form_tally"),
    *("conflict", "conflict_side", "quarantine", "dataset", "dataset_property", "entity", "entity_write"),
    *("review", "comment", "distinction", "key_conflict", "erased", "erasing", "app_user", "cursor"),
)


def upgrade() -> None:
    for table in DERIVED:
        op.execute(sa.delete(sa.table(table)))
    op.drop_table("attachment")
    op.create_table(
        "attachment",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "form_id", "instance_id", "digest", "name", "sha256"),
    )


def downgrade() -> None:
    raise NotImplementedError("the journal is kept; derive the state again with the older release")

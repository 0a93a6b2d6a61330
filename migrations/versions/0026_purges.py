"""purges

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purge_policy",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("after_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "form_id"),
    )
    op.create_table(
        "purged",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
    )
    op.create_index("purged_instance", "purged", ["project_id", "form_id", "instance_id"], unique=False)
    op.create_table(
        "held_file",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.add_column("peer", sa.Column("unsendable", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("peer", "unsendable")
    op.drop_table("held_file")
    op.drop_index("purged_instance", table_name="purged")
    op.drop_table("purged")
    op.drop_table("purge_policy")

"""what is asked

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "asked_again",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("log_origin", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "log_origin", "epoch", "seq", "hash"),
    )
    op.create_table(
        "unsure",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "sha256"),
    )


def downgrade() -> None:
    op.drop_table("unsure")
    op.drop_table("asked_again")

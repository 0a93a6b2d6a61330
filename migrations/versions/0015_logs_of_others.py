"""logs of others

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# The epochs that this node ended: what it holds of them is whole.
ENDED = """
INSERT INTO log_range (origin, epoch, branch, first, last, hash)
SELECT origin, epoch, '', 1, seq, hash FROM journal WHERE position IN (
    SELECT max(position) FROM journal WHERE epoch <> (SELECT epoch FROM node) GROUP BY origin, epoch
)
"""


def upgrade() -> None:
    op.add_column("journal", sa.Column("previous", sa.LargeBinary(), nullable=True))
    op.create_table(
        "log_range",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "epoch", "branch", "first"),
    )
    op.create_table(
        "fork",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "epoch", "branch"),
    )
    op.create_table(
        "mention",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("is_receipt", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("position", "name"),
    )
    op.create_index("mention_name", "mention", ["project_id", "name"])
    op.create_table(
        "due",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "position"),
    )
    op.execute(ENDED)


def downgrade() -> None:
    raise NotImplementedError("what others wrote has no place in an older store")

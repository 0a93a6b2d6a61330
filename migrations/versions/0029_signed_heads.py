"""signed heads

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signed_head",
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "epoch"),
    )
    op.add_column("peer", sa.Column("unproven", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("peer", sa.Column("alarm", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("peer", "alarm")
    op.drop_column("peer", "unproven")
    op.drop_table("signed_head")

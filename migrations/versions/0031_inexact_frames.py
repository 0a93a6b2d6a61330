"""inexact frames

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("peer", sa.Column("inexact", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("peer", "inexact")

"""refused

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("peer", sa.Column("former", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("peer", sa.Column("refused", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("peer", "refused")
    op.drop_column("peer", "former")

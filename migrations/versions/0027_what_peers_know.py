"""what peers know

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("peer", sa.Column("kinds", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("peer", sa.Column("epoch", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("peer", "epoch")
    op.drop_column("peer", "kinds")

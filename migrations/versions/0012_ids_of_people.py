"""ids of people that no two nodes give

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite's integers are as large as they need be
        op.alter_column("users", "id", type_=sa.BigInteger(), server_default=None)
        op.execute("DROP SEQUENCE users_id_seq")
        op.alter_column("sessions", "user_id", type_=sa.BigInteger())


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("sessions", "user_id", type_=sa.Integer())
        op.alter_column("users", "id", type_=sa.Integer())
        op.execute("CREATE SEQUENCE users_id_seq OWNED BY users.id")
        op.alter_column("users", "id", server_default=sa.text("nextval('users_id_seq')"))

"""answers unpacked

Revision ID: 0030
Revises: 0029
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

OFFERED = "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    # PostgreSQL's own compression takes longer than all else that a submission's state takes of it
    if "lz4" in op.get_bind().exec_driver_sql(OFFERED).scalar_one():
        op.execute("ALTER TABLE submission ALTER COLUMN answers SET COMPRESSION lz4")
    else:
        op.execute("ALTER TABLE submission ALTER COLUMN answers SET STORAGE EXTERNAL")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE submission ALTER COLUMN answers SET STORAGE EXTENDED")
        op.execute("ALTER TABLE submission ALTER COLUMN answers SET COMPRESSION default")

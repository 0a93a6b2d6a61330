"""packed bodies

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dictionary",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("dictionary_form", "dictionary", ["project_id", "form_id", "stamp"], unique=False)
    op.add_column("journal", sa.Column("codec", sa.BigInteger(), nullable=True))
    op.add_column("journal", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE journal SET size = coalesce(length(body), 0)")
    if op.get_bind().dialect.name == "postgresql":  # the application has compressed it, and cheaper
        op.execute("ALTER TABLE journal ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    raise NotImplementedError("bodies that are compressed cannot be read by an older release")

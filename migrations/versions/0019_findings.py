"""findings

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "finding",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("check_id", sa.String(), nullable=False),
        sa.Column("cell", sa.Text(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "form_id", "instance_id", "check_id", "cell"),
    )
    op.create_index(
        "finding_page", "finding", ["project_id", "form_id", "stamp", "instance_id", "check_id", "cell"]
    )


def downgrade() -> None:
    op.drop_index("finding_page", table_name="finding")

    op.drop_table("finding")

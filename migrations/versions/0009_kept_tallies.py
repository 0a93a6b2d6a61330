"""kept tallies

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "form_tally",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("form_id", sa.String(), nullable=False),
        sa.Column("submissions", sa.Integer(), nullable=False),
        sa.Column("edits", sa.Integer(), nullable=False),
        sa.Column("open_conflicts", sa.Integer(), nullable=False),
        sa.Column("revisions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "form_id"),
    )
    op.execute(
        """
        INSERT INTO form_tally (project_id, form_id, submissions, edits, open_conflicts, revisions)
        SELECT project_id, form_id, coalesce(s.submissions, 0), coalesce(s.edits, 0), coalesce(s.contested, 0), r.revisions
        FROM (SELECT project_id, form_id, count(*) AS revisions FROM revision GROUP BY project_id, form_id) r
        LEFT JOIN (
            SELECT project_id, form_id, count(*) AS submissions, sum(edits) AS edits, sum(open_conflicts) AS contested
            FROM submission WHERE NOT is_deleted GROUP BY project_id, form_id
        ) s USING (project_id, form_id)
        """
    )


def downgrade() -> None:
    op.drop_table("form_tally")

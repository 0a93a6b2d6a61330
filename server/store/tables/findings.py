"""What the checks of a form's sheet found."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, Table, Text

from server.store.tables.columns import METADATA, column, key

finding = Table(
    "finding",
    METADATA,
    key("project_id", Integer),
    key("form_id"),
    key("instance_id"),
    key("check_id"),
    key("cell", Text),
    column("stamp", BigInteger),
    Index("finding_page", "project_id", "form_id", "stamp", "instance_id", "check_id", "cell"),
)
"""A check that is true of a submission. cell: the row of a repeat that it is true of, "" for the record.

stamp: of the submission's first receipt. Whether somebody has looked at it, the cleaning log says.
"""

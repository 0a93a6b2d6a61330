"""What the checks of a form's sheet found."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel


class Finding(SQLModel, table=True):
    """A check that is true of a submission. cell: the row of a repeat that it is true of, "" for the record.

    stamp: of the submission's first receipt. Whether somebody has looked at it, the cleaning log says.
    """

    __tablename__ = "finding"
    __table_args__ = (
        Index("finding_page", "project_id", "form_id", "stamp", "instance_id", "check_id", "cell"),
    )
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    instance_id: str = Field(primary_key=True)
    check_id: str = Field(primary_key=True)
    cell: str = Field(sa_type=Text, primary_key=True)
    stamp: int = Field(sa_type=BigInteger)

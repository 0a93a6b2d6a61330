"""What people said of the days of forms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel


class DaySaid(SQLModel, table=True):
    """One thing said; see `sync.days.Said`. day: ISO 8601, "" for a rule. closes_at: `21:00`, "" to close no more."""

    __tablename__ = "day_said"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    stamp: int = Field(sa_type=BigInteger)
    day: str
    is_open: bool
    closes_at: str
    offset_min: int
    question: str
    reason: str = Field(sa_type=Text)
    actor_name: str

"""The slots that were planned."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel


class SlotPlan(SQLModel, table=True):
    """The plan of a form, as the newest fact says it. plan: JSON, as `server.slots` writes it."""

    __tablename__ = "slot_plan"
    project_id: int = Field(primary_key=True)
    form_id: str = Field(primary_key=True)
    plan: str = Field(sa_type=Text)
    stamp: int = Field(sa_type=BigInteger)
    actor_name: str

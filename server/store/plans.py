"""The slots that were planned, as state: the newest fact about a form holds, in whatever order they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, and_, or_, select, update

from server.store.dialect import insert_ignore
from server.store.journal import Record
from server.store.submissions import FormKey, of_form
from server.store.tables import slot_plan


def project_plan(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Derive the row of a form's plan from its entry."""
    form = (record.project_id, detail["form_id"])
    said = {
        "plan": orjson.dumps(detail["plan"]).decode(),
        "stamp": record.stamp,
        "actor_name": detail["actor_name"],
    }
    insert_ignore(connection, slot_plan, [{"project_id": form[0], "form_id": form[1]} | said])
    stamp, plan = slot_plan.c.stamp, slot_plan.c.plan
    is_older = or_(stamp < record.stamp, and_(stamp == record.stamp, plan < said["plan"]))
    connection.execute(update(slot_plan).where(*of_form(slot_plan, form), is_older).values(**said))


def find_plan(connection: Connection, form: FormKey) -> Mapping[str, Any] | None:
    """Return the plan of a form as its fact has it, None when nobody planned."""
    text = connection.execute(select(slot_plan.c.plan).where(*of_form(slot_plan, form))).scalar()
    return None if text is None else orjson.loads(text)

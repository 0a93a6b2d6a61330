"""The planned slots of a form as JSON, for the API and for `--json`."""

from __future__ import annotations

from datetime import date
from typing import Any

from server.cleaning.entering import open_current
from server.node import Node
from server.slots import covered
from server.store.engine import reading
from server.store.submissions import FormKey


def describe_slots(node: Node, form: FormKey, *, until: date | None = None) -> dict[str, Any] | None:
    """Return each planned day, place by place, with the slots that nobody counted; None when nobody planned."""
    with reading(node.engine) as connection:
        found = covered(connection, open_current(connection, node, form), until)
    if found is None:
        return None
    return {
        "planned": sum(one.planned for one in found),
        "gaps": sum(len(one.gaps) for one in found),
        "unplanned": sum(one.unplanned for one in found),
        "days": [
            {
                "day": one.day.isoformat(),
                "place": one.place,
                "planned": one.planned,
                "counted": one.planned - len(one.gaps),
                "gaps": [list(slot) for slot in one.gaps],
                "unplanned": one.unplanned,
            }
            for one in found
        ],
    }

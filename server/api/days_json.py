"""The days of a form as JSON, for the API and for `--json`."""

from __future__ import annotations

import time
from collections import Counter
from datetime import date
from typing import Any

from server.cleaning.entering import open_current
from server.days import describe_rule, late
from server.node import Node
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import FormKey
from sync.clock import tick
from sync.days import What


def describe_days(node: Node, form: FormKey, *, day: date | None = None, limit: int) -> dict[str, Any]:
    """Return when the days of a form are closed, each day with what came late, and what that was. day: only of this one."""
    with reading(node.engine) as connection:
        days, counts, found = late(connection, open_current(connection, node, form))
    now = tick(0, time.time_ns() // 1_000_000)
    totals = Counter((one.day, one.what) for one in found)
    of_day = [one for one in found if day in {None, one.day}]
    return {
        "rule": describe_rule(days.rule),
        "days": [
            {
                "day": one.isoformat(),
                "closedAt": ends.isoformat() if (ends := days.closing(one)) else None,
                "state": "closed" if days.is_closed(one, now) else "open",
                "records": counts[one],
                "late": {what.value: totals[one, what] for what in What if totals[one, what]},
            }
            for one in sorted(counts)
            if day in {None, one}
        ],
        "late": [
            {
                "day": one.day.isoformat(),
                "instanceId": one.instance_id,
                "what": one.what.value,
                "at": iso(one.stamp),
                "who": one.who,
            }
            for one in sorted(of_day, key=lambda one: (one.day, one.stamp))[:limit]
        ],
    }

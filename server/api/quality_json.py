"""What stands out among the records of a form as JSON, for the API and for `--json`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from server.api.slots_json import describe_slots
from server.cleaning.entering import open_current
from server.measuring import measured
from server.node import Node
from server.store import submissions
from server.store.engine import reading
from server.store.submissions import FormKey
from sync.quality import enumerators, standouts


def describe_quality(
    node: Node, form: FormKey, *, limit: int, personal: bool, audits: bool = False
) -> dict[str, Any]:
    """Return what stands out in the clean view, what of it the log says something about, and the work of each account."""
    with reading(node.engine) as connection:
        records = list(measured(connection, node, form, personal=personal, audits=audits))
        found = standouts(records)
        page = found[:limit]
        names = dict.fromkeys(one.id for one in page)
        abouts = (submissions.find_submission(connection, *form, name) for name in names)
        cleaner = open_current(connection, node, form)
        cleaned = cleaner.clean(connection, [about for about in abouts if about])
    return {
        "records": len(records),
        "counts": dict(sorted(Counter(one.check_id for one in found).items())),
        "standouts": [
            {
                "instanceId": one.id,
                "checkId": one.check_id,
                "cell": one.cell,
                "figure": one.figure,
                "usual": one.usual,
                "state": "decided"
                if (done := cleaned.get(one.id)) and done.decides(one.check_id)
                else "open",
            }
            for one in page
        ],
        "enumerators": [asdict(one) for one in enumerators(records)],
        "slots": describe_slots(node, form),
    }

"""What ODK Collect's audit log tells of time: how long somebody was at the questions. Pure.

Source: https://docs.getodk.org/form-audit-log/ (columns event, node, start, end; milliseconds since 1970).
"""

from __future__ import annotations

import csv
import io

MINUTE_MS = 60_000


def active_minutes(log: str) -> float | None:
    """Return how long any question or screen was open, None when the log does not say.

    What is open twice at one time counts once; between leaving a form and coming back nothing is open.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(log.lstrip("\ufeff"), newline="")))
    except csv.Error:
        return None
    spans = sorted(
        (int(begun), int(ended))
        for row in rows
        if (begun := row.get("start") or "").isdecimal() and (ended := row.get("end") or "").isdecimal()
    )
    if not spans:
        return None
    total = until = 0
    for begun, ended in spans:
        total += max(0, ended - max(begun, until))
        until = max(until, ended)
    return total / MINUTE_MS

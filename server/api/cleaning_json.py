"""The cleaning log as JSON, for the API and for `--json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from server.cleaning.entering import Fault, Plan, open_current
from server.disclosure import Veil, veil
from server.node import Node
from server.store import cleaning, submissions
from server.store.cleaning import StoredEntry
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import FormKey
from sync.cleaning import Status


def describe_log(
    node: Node,
    form: FormKey,
    *,
    after: tuple[int, str] = (0, ""),
    limit: int | None = None,
    batch: str = "",
    instance_id: str = "",
    personal: bool,
) -> dict[str, Any]:
    """Return a page of the log, each entry with what became of it. personal: False hides answers that few may see."""
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        if instance_id:
            about = submissions.find_submission(connection, *form, instance_id)
            found = cleaning.entries_of(connection, form, [about.instance_id] if about else [])
            page = [one for ones in found.values() for one in ones if (one.stamp, one.id) > after][:limit]
        else:
            page = cleaning.list_entries(connection, form, after=after, limit=limit, batch=batch)
        names = {one.instance_id for one in page}
        abouts = (submissions.find_submission(connection, *form, name) for name in sorted(names))
        records = {about.instance_id: about for about in abouts if about}
        cleaned = cleaner.clean(connection, list(records.values()))
    status = {name: one for done in cleaned.values() for name, one in done.status.items()}
    shown = veil(cleaner.line, personal=personal)
    return {
        "count": cleaner.count,
        "sha256": cleaner.sha256,
        "entries": [_describe(one, shown, status.get(one.id)) for one in page],
    }


def describe_plan(node: Node, plan: Plan, *, personal: bool) -> dict[str, Any]:
    """Return what a plan would enter."""
    with reading(node.engine) as connection:
        shown = veil(node.schemas.line(connection, *plan.form), personal=personal)
    return {
        "count": plan.count,
        "changes": [
            {"instanceId": one.about.instance_id, "kind": entry["kind"], "cell": entry["cell"]}
            | _answers(entry["cell"], entry["old"], entry["new"], shown)
            for one in plan.records
            for _, entry in one.entries
        ],
        "unchanged": list(plan.unchanged),
        "faults": describe_faults(plan.faults),
    }


def describe_faults(faults: Iterable[Fault]) -> list[dict[str, Any]]:
    """Return why lines are not entered."""
    return [{"number": one.number, "code": one.code, "message": one.message} for one in faults]


def _describe(one: StoredEntry, shown: Veil, status: Status | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "batch": one.batch,
        "instanceId": one.instance_id,
        "kind": one.kind,
        "cell": one.cell,
        **_answers(one.cell, one.old, one.new, shown),
        "reason": one.reason,
        "checkId": one.check_id or None,
        "version": one.version,
        "status": status or Status.NO_PLACE,
        "supersedes": orjson.loads(one.supersedes),
        "undoes": one.undoes or None,
        "actor": {"id": one.actor_id, "displayName": one.actor_name},
        "createdAt": iso(one.stamp),
        "position": f"{one.stamp}.{one.id}",
    }


def _answers(cell: str, old: str, new: str, shown: Veil) -> dict[str, str | None]:
    if shown.hides_cell(cell):
        return {"old": None, "new": None}
    return {"old": old, "new": new}

"""Conflicts as JSON, for the API and for `--json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from forms.cells import Cells
from server import resolving
from server.disclosure import Veil, veil
from server.node import Node
from server.store import conflicts
from server.store.conflicts import Counts, StoredConflict
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import StoredRevision
from sync.view import ConflictKind


def describe_one(node: Node, one: StoredConflict, *, personal: bool) -> dict[str, Any]:
    """Return the document of one conflict."""
    (document,) = describe(node, [one], personal=personal)
    if one.about.kind is ConflictKind.ROW:
        document["row"] = _veil(node, one, personal=personal).answers(resolving.read_row(node, one))
    return document


def describe(node: Node, found: Iterable[StoredConflict], *, personal: bool) -> list[dict[str, Any]]:
    """Return the documents of conflicts."""
    page = list(found)
    with reading(node.engine) as connection:
        writers = conflicts.read_writers(connection, page)
    veils = {
        one.form_id: _veil(node, one, personal=personal)
        for one in {one.form_id: one for one in page}.values()
    }
    return [_describe(one, veils[one.form_id], writers) for one in page]


def describe_counts(counts: Counts) -> dict[str, Any]:
    """Return the document of counts."""
    return {
        "forms": [{"xmlFormId": name, "count": count} for name, count in counts.forms.items()],
        "fields": [
            {"xmlFormId": name, "path": path, "count": count} for (name, path), count in counts.fields.items()
        ],
        "posts": [{"post": name, "count": count} for name, count in counts.posts.items()],
        "devices": [{"device": name, "count": count} for name, count in counts.devices.items()],
    }


def describe_plan(node: Node, plan: resolving.Plan, *, personal: bool) -> dict[str, Any]:
    """Return the document of a preview."""
    veils: dict[str, Veil] = {}
    planned = []
    for one in plan.planned:
        about = one.conflict
        seen = veils.setdefault(about.form_id, _veil(node, about, personal=personal))
        planned.append(_name(about) | {"before": seen.answers(one.before), "after": seen.answers(one.after)})
    return {
        "token": plan.token,
        "count": len(planned),
        "more": plan.more,
        "resolves": planned,
        "left": describe_left({one.id: reason for one, reason in plan.left}),
    }


def describe_left(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what a rule left as it was, and why."""
    return [{"id": name, "reason": reason} for name, reason in reasons.items()]


def _veil(node: Node, one: StoredConflict, *, personal: bool) -> Veil:
    with reading(node.engine) as connection:
        return veil(node.schemas.line(connection, one.project_id, one.form_id), personal=personal)


def _answers(one: StoredConflict, cells: Cells, seen: Veil) -> dict[str, str | None]:
    """What one side says: of a row and of the submission (""), that it is kept or deleted."""
    match one.about.kind:
        case ConflictKind.ROW:
            return {name: "kept" if cell.said else "deleted" for name, cell in cells.items()}
        case ConflictKind.DELETED:
            return {"": "deleted" if any(cell.said for cell in cells.values()) else "kept"}
    return seen.answers(cells)


def _name(one: StoredConflict) -> dict[str, Any]:
    return {
        "id": one.id,
        "xmlFormId": one.form_id,
        "instanceId": one.instance_id,
        "kind": one.about.kind,
        "path": one.about.path,
    }


def _describe(one: StoredConflict, seen: Veil, writers: Mapping[str, StoredRevision]) -> dict[str, Any]:
    decision = writers.get(one.decision)
    return _name(one) | {
        "state": one.state,
        "policy": one.about.policy or None,
        "seen": one.seen,
        "since": iso(one.stamp),
        "position": f"{one.stamp}.{one.id}",
        "candidates": [
            {
                "answers": _answers(one, side.cells, seen),
                "revisions": [_revision(digest, writers.get(digest)) for digest in side.writers],
            }
            for side in one.about.candidates
        ],
        "decision": _revision(one.decision, decision)
        | {"reason": decision.reason, "batch": decision.batch or None}
        if decision
        else None,
    }


def _revision(digest: str, one: StoredRevision | None) -> dict[str, Any]:
    """Who said so, when and where; only the digest of a revision that has not come yet."""
    if one is None:
        return {"sha256": digest}
    return {
        "sha256": digest,
        "instanceId": one.instance_id,
        "kind": one.kind,
        "version": one.version or None,
        "submitter": {"id": one.submitter_id, "displayName": one.submitter_name},
        "deviceId": one.device_id or None,
        "post": one.origin,
        "createdAt": iso(one.stamp),
    }

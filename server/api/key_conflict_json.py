"""Conflicts about duplicate keys as JSON, for the API and for `--json`."""

from __future__ import annotations

from typing import Any

import orjson

from forms.duplicate_key import SOFT
from server import key_conflicts
from server.api.submission_json import describe as describe_submission
from server.disclosure import Veil, veil
from server.merging import FormLine
from server.node import Node
from server.store import submissions
from server.store.engine import reading
from server.store.forms import iso
from server.store.key_conflicts import StoredKeyConflict
from server.store.submissions import StoredSubmission
from sync.revision import RevisionKind


def describe(one: StoredKeyConflict) -> dict[str, Any]:
    """Return what a list tells."""
    return {
        "id": one.duplicate_key,
        "xmlFormId": one.form_id,
        "kind": "soft" if one.duplicate_key.startswith(SOFT) else "exact",
        "state": one.state,
        "instanceIds": orjson.loads(one.instance_ids),
        "count": one.members,
        "seen": one.seen,
        "since": iso(one.stamp),
        "position": f"{one.stamp}.{one.duplicate_key}",
    }


def describe_whole(node: Node, one: StoredKeyConflict, *, personal: bool) -> dict[str, Any]:
    """Return the same with the records, their answers to the questions of the key, and what was decided.

    personal: False hides the answers that the sheet flags so.
    """
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, one.project_id, one.form_id)
    shown = veil(line, personal=personal)
    records = key_conflicts.members(node, one)
    return describe(one) | {
        "submissions": [
            describe_submission(record) | {"answers": _answers(record, line, shown)} for record in records
        ],
        "decisions": [
            *(
                {
                    "id": told.id,
                    "kind": "distinct",
                    "instanceIds": told.instance_ids,
                    "actor": {"id": told.actor_id, "displayName": told.actor_name},
                    "createdAt": iso(told.stamp),
                }
                for told in key_conflicts.distinctions(node, one)
            ),
            *(kept for record in records for kept in _deletion(node, record)),
        ],
    }


def _answers(record: StoredSubmission, line: FormLine, shown: Veil) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for field in key_conflicts.askable(line.versions[line.place(record.version)].schema):
        node: Any = orjson.loads(record.answers)
        for name in field.path.split("/")[1:]:
            node = node.get(name, "") if isinstance(node, dict) else ""
        found[field.path] = None if shown.hides(field.path) else node if isinstance(node, str) else ""
    return found


def _deletion(node: Node, record: StoredSubmission) -> list[dict[str, Any]]:
    """Who deleted a record because another with its key is kept."""
    if not record.is_deleted:
        return []
    place = (record.project_id, record.form_id, record.instance_id)
    with reading(node.engine) as connection:
        standing = {one.digest for one in submissions.read_history(connection, *place).order}
        return [
            {
                "id": one.batch,
                "kind": "keep",
                "instanceIds": [record.instance_id],
                "actor": {"id": one.submitter_id, "displayName": one.submitter_name},
                "createdAt": iso(one.stamp),
            }
            for one in submissions.list_revisions(connection, *place)
            if one.kind == RevisionKind.TOMBSTONE
            and one.batch.startswith(key_conflicts.BATCH)
            and one.digest in standing
        ]

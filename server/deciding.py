"""A person's decision about a submission becomes an entry: resolve, delete, restore, withdraw.

A decision names the revisions it was made upon; whatever arrives later, or was made apart, stays beside it and is
never overruled unseen.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from forms.cells import Cells
from server.node import Node
from server.permissions import Actor
from server.store import journal, submissions
from server.store.engine import reading, writing
from server.store.submissions import StoredSubmission
from sync.journal import Draft, Kind
from sync.revision import RevisionKind

NOTHING: Cells = {}


def decide(
    node: Node,
    actor: Actor,
    about: StoredSubmission,
    kind: RevisionKind,
    *,
    cells: Cells = NOTHING,
    reason: str = "",
    upon: Sequence[str] | None = None,
) -> str:
    """Record a decision, bring the state up to it, and return its digest. Sent twice it is stored once.

    cells: what a resolution gives. upon: digests of the revisions it was made upon; all heads when None.
    """
    if upon is None:
        with reading(node.engine) as connection:
            past = submissions.read_history(connection, about.project_id, about.form_id, about.instance_id)
        upon = [past.order[place].digest for place in past.heads]
    facts = {
        "form_id": about.form_id,
        "deprecated_id": about.instance_id,
        "kind": kind,
        "parents": sorted(upon),
        "cells": {name: list(cell) for name, cell in cells.items()},
        "reason": reason,
        "submitter_id": actor.id,
        "submitter_name": actor.name,
    }
    key = hashlib.sha256(orjson.dumps([Kind.DECISION, about.project_id, facts])).digest()
    detail = orjson.dumps(
        facts
        | {
            "instance_id": f"uuid:{uuid.UUID(bytes=key[:16], version=5)}",
            "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
    )
    with writing(node.engine) as connection:
        (place,) = journal.append(connection, [Draft(Kind.DECISION, about.project_id, key, detail)])
        if place is None:
            detail = journal.read_by_key(connection, key).detail
    node.catch_up()
    return hashlib.sha256(detail).hexdigest()

"""A person's decision about a submission becomes an entry: resolve, delete, restore, withdraw.

A decision names the revisions it was made upon; whatever arrives later, or was made apart, stays beside it and is
never overruled unseen.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from forms.cells import Cells
from server.node import Node
from server.permissions import Actor
from server.store import journal, submissions
from server.store.engine import reading, writing
from server.store.submissions import StoredSubmission
from sync.journal import Fact, Kind
from sync.revision import RevisionKind

NOTHING: Cells = {}
Place = tuple[int, str, str]
"""project_id, form_id, instance_id of a submission."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is decided about a submission.

    cells: what a resolution gives. upon: digests of the revisions it was made upon; all heads when None. conflict: what
    it settles, {kind, path, cells, candidates} as the table `conflict` has them. batch: names rulings given as one.
    """

    about: StoredSubmission
    kind: RevisionKind
    cells: Cells = field(default_factory=dict)
    reason: str = ""
    upon: Sequence[str] | None = None
    conflict: Mapping[str, Any] | None = None
    batch: str = ""


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
    """Record a decision, bring the state up to it, and return its digest. Sent twice it is stored once."""
    (digest,) = decide_all(node, actor, [Ruling(about, kind, cells, reason, upon)])
    return digest


def decide_all(node: Node, actor: Actor, rulings: Sequence[Ruling]) -> list[str]:
    """Record decisions in one transaction, bring the state up to them, and return their digests.

    Of several about one submission each stands upon the one before it. Sent twice they are stored once; but what was
    undone meanwhile is decided anew.
    """
    last: dict[Place, str] = {}
    digests = []
    with reading(node.engine) as connection:
        withdrawn = {place: _withdrawn(connection, place) for place in map(_place, rulings)}
        heads = {_place(one): _heads(connection, _place(one)) for one in rulings if one.upon is None}
    with writing(node.engine) as connection:
        for one in rulings:
            place = _place(one)
            upon = heads[place] if one.upon is None else one.upon
            if one.kind is not RevisionKind.WITHDRAWAL and place in last:
                upon = [last[place]]
            last[place] = _record(connection, actor, one, sorted(upon), withdrawn[place])
            digests.append(last[place])
    node.catch_up()
    return digests


def _record(
    connection: Connection, actor: Actor, one: Ruling, upon: Sequence[str], withdrawn: Sequence[str]
) -> str:
    facts = {
        "form_id": one.about.form_id,
        "deprecated_id": one.about.instance_id,
        "kind": one.kind,
        "version": one.about.version,
        "parents": upon,
        "cells": {name: list(cell) for name, cell in one.cells.items()},
        "reason": one.reason,
        "conflict": one.conflict,
        "batch": one.batch,
        "withdrawn": withdrawn,
        "submitter_id": actor.id,
        "submitter_name": actor.name,
    }
    key = hashlib.sha256(orjson.dumps([Kind.DECISION, one.about.project_id, facts])).digest()
    detail = orjson.dumps(
        facts
        | {
            "instance_id": f"uuid:{uuid.UUID(bytes=key[:16], version=5)}",
            "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
    )
    (place,) = journal.append(connection, [Fact(Kind.DECISION, one.about.project_id, key, detail)])
    if place is None:
        detail = journal.read_by_key(connection, key).detail
    return hashlib.sha256(detail).hexdigest()


def _place(one: Ruling) -> Place:
    return (one.about.project_id, one.about.form_id, one.about.instance_id)


def _heads(connection: Connection, place: Place) -> list[str]:
    past = submissions.read_history(connection, *place)
    return [past.order[head].digest for head in past.heads]


def _withdrawn(connection: Connection, place: Place) -> list[str]:
    """What was withdrawn of a submission so far: the same decision after it is another one."""
    revisions = submissions.list_revisions(connection, *place)
    return sorted(one.digest for one in revisions if one.kind == RevisionKind.WITHDRAWAL)

"""Conflicts as state: the rows that a merged submission makes, listing and counting them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, delete, distinct, func, select, tuple_

from forms.cells import Cell
from server.store.dialect import insert_ignore
from server.store.submissions import FormKey, StoredRevision, chunks, of_form, read_revisions
from server.store.tables import conflict, conflict_side, revision
from sync.view import Candidate, Conflict, ConflictKind, View

OPEN, SETTLED, RESOLVED = "open", "settled", "resolved"
STATES = (OPEN, SETTLED, RESOLVED)

After = tuple[int, str]
"""stamp, id: where a page ended."""


@dataclass(frozen=True, slots=True)
class StoredConflict:
    """A conflict as its row tells it; see `server.store.tables`."""

    project_id: int
    form_id: str
    instance_id: str
    id: str
    about: Conflict
    state: str
    seen: str
    decision: str
    stamp: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conflicts: those that fit everything that is given. device, post: of any revision they are between."""

    form_id: str = ""
    instance_id: str = ""
    state: str = ""
    kind: str = ""
    path: str = ""
    device: str = ""
    post: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many conflicts. fields: by form and path. posts, devices: those that a revision of came from there."""

    forms: Mapping[str, int]
    fields: Mapping[tuple[str, str], int]
    posts: Mapping[str, int]
    devices: Mapping[str, int]


def find_conflict(connection: Connection, project_id: int, conflict_id: str) -> StoredConflict | None:
    """Return the conflict of this name, None when there is none."""
    return find_conflicts(connection, project_id, [conflict_id]).get(conflict_id)


def find_conflicts(
    connection: Connection, project_id: int, names: Iterable[str]
) -> dict[str, StoredConflict]:
    """Return those of these conflicts that there are, by name."""
    found = {}
    for some in chunks(names):
        query = select(conflict).where(conflict.c.project_id == project_id, conflict.c.id.in_(some))
        found.update({row["id"]: _stored(row) for row in connection.execute(query).mappings()})
    return found


def list_conflicts(
    connection: Connection, project_id: int, wanted: Wanted, after: After | None, limit: int
) -> list[StoredConflict]:
    """Return one page, what waits longest first: those behind `after`."""
    query = _filtered(select(conflict), project_id, wanted)
    if after is not None:
        query = query.where(tuple_(conflict.c.stamp, conflict.c.id) > tuple_(*after))
    rows = connection.execute(query.order_by(conflict.c.stamp, conflict.c.id).limit(limit)).mappings()
    return [_stored(row) for row in rows]


def count_conflicts(connection: Connection, project_id: int, wanted: Wanted) -> Counts:
    """Count the conflicts that are wanted."""
    by_field = _filtered(select(conflict.c.form_id, conflict.c.path, func.count()), project_id, wanted)
    rows = connection.execute(by_field.group_by(conflict.c.form_id, conflict.c.path)).all()
    forms: dict[str, int] = {}
    for form_id, _, number in rows:
        forms[form_id] = forms.get(form_id, 0) + number
    fields = {(form_id, path): number for form_id, path, number in sorted(rows)}
    by_revision = (
        _filtered(select(), project_id, wanted).join(conflict_side, _SIDE_OF).join(revision, _REVISION_OF)
    )

    def counted(column: ColumnElement[str]) -> dict[str, int]:
        query = by_revision.add_columns(column, func.count(distinct(conflict.c.id))).group_by(column)
        return dict(sorted((name, count) for name, count in connection.execute(query)))

    posts, devices = counted(revision.c.origin), counted(revision.c.device_id)
    return Counts(dict(sorted(forms.items())), fields, posts, devices)


def read_writers(connection: Connection, found: Iterable[StoredConflict]) -> dict[str, StoredRevision]:
    """Return the revisions that the candidates come from, and the decisions, by digest; some may not be here yet."""
    wanted: dict[FormKey, set[str]] = {}
    for one in found:
        digests = wanted.setdefault((one.project_id, one.form_id), set())
        digests.update(digest for side in one.about.candidates for digest in side.writers)
        digests.update({one.decision} - {""})
    return {
        one.digest: one
        for form, digests in wanted.items()
        for some in chunks(digests)
        for one in read_revisions(connection, *of_form(revision, form), revision.c.digest.in_(some))
    }


def rows_of(
    form: FormKey,
    seen: View,
    about: Mapping[str, Mapping[str, Any]],
    members: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return the rows of `conflict` for a submission.

    about: of the decisions that name one, the conflict they settle, by digest. members: rows of `revision` by digest.
    A deleted submission has no open ones.
    """
    root = seen.history.instance_id
    decided = {
        (about[one.digest]["kind"], about[one.digest]["cells"][0]): one.digest
        for one in seen.history.order
        if one.digest in about
    }
    waiting = [
        _row(form, root, facts_of(one))
        | {
            "policy": one.policy,
            "state": SETTLED if one.policy else OPEN,
            "seen": one.state_digest,
            "decision": decided.pop((one.kind.value, one.cells[0]), ""),
            "stamp": max(members[digest]["stamp"] for side in one.candidates for digest in side.writers),
        }
        for one in (() if seen.is_deleted else (*seen.conflicts, *seen.settled))
    ]
    resolved = [
        _row(form, root, about[digest])
        | {
            "policy": "",
            "state": RESOLVED,
            "seen": digest[:16],
            "decision": digest,
            "stamp": members[digest]["stamp"],
        }
        for digest in decided.values()
    ]
    return waiting + resolved


def replace(
    connection: Connection, form: FormKey, roots: set[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Put these conflicts in the place of those that the submissions had."""
    for some in chunks(roots):
        for table in (conflict, conflict_side):
            connection.execute(delete(table).where(*of_form(table, form), table.c.instance_id.in_(some)))
    insert_ignore(connection, conflict, rows)
    sides = [
        {name: row[name] for name in ("project_id", "form_id", "instance_id", "id")} | {"digest": digest}
        for row in rows
        for digest in sorted({name for side in orjson.loads(row["candidates"]) for name in side["revisions"]})
    ]
    insert_ignore(connection, conflict_side, sides)


_SIDE_OF = (
    (conflict_side.c.project_id == conflict.c.project_id)
    & (conflict_side.c.form_id == conflict.c.form_id)
    & (conflict_side.c.instance_id == conflict.c.instance_id)
    & (conflict_side.c.id == conflict.c.id)
)
_REVISION_OF = (
    (revision.c.project_id == conflict_side.c.project_id)
    & (revision.c.form_id == conflict_side.c.form_id)
    & (revision.c.root_id == conflict_side.c.instance_id)
    & (revision.c.digest == conflict_side.c.digest)
)


def _filtered(query: Select[Any], project_id: int, wanted: Wanted) -> Select[Any]:
    query = query.where(conflict.c.project_id == project_id)
    for name in ("form_id", "instance_id", "state", "kind", "path"):
        if text := getattr(wanted, name):
            query = query.where(conflict.c[name] == text)
    from_there: list[ColumnElement[bool]] = []
    if wanted.device:
        from_there.append(revision.c.device_id == wanted.device)
    if wanted.post:
        from_there.append(revision.c.origin == wanted.post)
    for condition in from_there:
        side = select(conflict_side.c.id).join(revision, _REVISION_OF).where(_SIDE_OF, condition)
        query = query.where(side.exists())
    return query


def _stored(row: Mapping[Any, Any]) -> StoredConflict:
    candidates = [
        Candidate({name: Cell(*cell) for name, cell in side["cells"].items()}, tuple(side["revisions"]))
        for side in orjson.loads(row["candidates"])
    ]
    about = Conflict(
        ConflictKind(row["kind"]),
        row["path"],
        tuple(orjson.loads(row["cells"])),
        tuple(candidates),
        row["policy"],
    )
    names = ("project_id", "form_id", "instance_id", "id", "state", "seen", "decision", "stamp")
    return StoredConflict(about=about, **{name: row[name] for name in names})


def facts_of(about: Conflict) -> dict[str, Any]:
    """Return what a decision keeps of the conflict that it settles."""
    sides = [
        {"cells": {name: list(cell) for name, cell in one.cells.items()}, "revisions": list(one.writers)}
        for one in about.candidates
    ]
    return {"kind": about.kind.value, "path": about.path, "cells": list(about.cells), "candidates": sides}


def _row(form: FormKey, root: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that say what the conflict is about."""
    name = orjson.dumps([*form, root, facts["kind"], facts["cells"][0]])
    return {
        "project_id": form[0],
        "form_id": form[1],
        "instance_id": root,
        "id": hashlib.sha256(name).hexdigest()[:16],
        "kind": facts["kind"],
        "path": facts["path"],
        "cells": orjson.dumps(facts["cells"]).decode(),
        "candidates": orjson.dumps(facts["candidates"]).decode(),
    }

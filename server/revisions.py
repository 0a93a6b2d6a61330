"""An entry of the journal as the revision that it is: a submission with its answers read, or a person's decision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from forms.document import ReadDocument
from forms.duplicate_key import duplicate_key
from forms.entities import read_actions
from forms.errors import InstanceError
from forms.schema import FormSchema
from server.store import entity_arrivals, forms
from server.store.arrival_rows import NewRevision
from server.store.journal import Record
from sync.journal import Kind
from sync.revision import Revision, RevisionKind

PROBLEMS_MAX = 200
NOTHING_READ = ReadDocument({}, [], frozenset())

FindSchema = Callable[[int, str, str], FormSchema | None]
"""`Schemas.find`, remembered for a step: also that a version was never published here."""


def read_revision(
    find: FindSchema, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> NewRevision:
    if record.kind is Kind.DECISION:
        return _read_decision(record, detail)
    return _read_edit(find, schemas, record, detail)


def _read_decision(record: Record, detail: dict[str, Any]) -> NewRevision:
    return NewRevision(
        record=record,
        detail={"version": ""} | detail | {"device_id": ""},
        revision=Revision(
            instance_id=detail["instance_id"],
            digest=hashlib.sha256(record.detail).hexdigest(),
            deprecated_id=detail["deprecated_id"],
            stamp=record.stamp,
            kind=RevisionKind(detail["kind"]),
            parents=tuple(detail["parents"]),
        ),
        cells=orjson.dumps(detail["cells"]).decode(),
    )


def _read_edit(
    find: FindSchema, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> NewRevision:
    schema = find(record.project_id, detail["form_id"], detail["version"])
    assert schema is not None, "only submissions of known forms become entries of kind submission"
    problems: list[dict[str, str]] = []
    if schema.version != detail["version"]:
        problems.append({"path": "", "message": "this form version was never published here"})
    try:
        read = schemas.reader(schema).read(record.body)
    except InstanceError as error:
        read = NOTHING_READ
        problems.append({"path": "", "message": str(error)})
    problems += [
        {"path": problem.path, "message": problem.message} for problem in read.problems[:PROBLEMS_MAX]
    ]
    if len(read.problems) > PROBLEMS_MAX:
        problems.append({"path": "", "message": f"and {len(read.problems) - PROBLEMS_MAX} more"})
    encrypted = read.document.get("@encrypted") == "yes"
    is_read = bool(read.document) and not encrypted
    return NewRevision(
        record=record,
        detail=detail,
        revision=Revision(
            instance_id=detail["instance_id"],
            digest=detail["digest"],
            deprecated_id=detail["deprecated_id"] or None,
            stamp=record.stamp,
        ),
        schema=schema if is_read else None,
        duplicate_key=duplicate_key(read.document, schema) if is_read else None,
        answers=orjson.dumps(read.document),
        problems=orjson.dumps(problems).decode(),
        media=read.files,
        encrypted=encrypted,
        entity_writes=entity_arrivals.rows_of_record(record, detail, read_actions(read.document, schema))
        if schema.entities
        else (),
    )

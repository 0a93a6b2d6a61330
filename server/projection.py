"""From facts to state: reads the journal behind a cursor and keeps the derived tables in step with it.

Any process may run it (`server.projector`): a step counts only if nobody else moved the cursor meanwhile. Reading and joining happen
outside the transaction, so that the writer waits for the rows only.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Callable
from functools import cache, partial
from itertools import takewhile
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete

from forms.document import ReadDocument
from forms.entities import read_actions
from forms.errors import InstanceError
from forms.recheck import Recheck
from server.merging import FormLine
from server.store import (
    accounts,
    arrivals,
    datasets,
    entity_arrivals,
    erasures,
    form_states,
    forms,
    journal,
    key_conflicts,
    quarantine,
    reviews,
)
from server.store.arrivals import NewRevision, Sources
from server.store.dialect import insert_ignore
from server.store.engine import reading, writing
from server.store.journal import Record
from server.store.submissions import FormKey
from server.store.tables import STATE, comment
from server.store.troubles import STORE_TROUBLE
from sync.journal import Kind
from sync.revision import Revision, RevisionKind

CURSOR = "state"
STEP_MAX = 256
STEP_BYTES_MAX = 16_000_000
PROBLEMS_MAX = 200
NOTHING_READ = ReadDocument({}, [], frozenset())
ARRIVED = frozenset(
    {
        Kind.SUBMISSION,
        Kind.ATTACHMENT,
        Kind.QUARANTINE,
        Kind.DECISION,
        Kind.REVIEW,
        Kind.COMMENT,
        Kind.ENTITY,
    }
)

log = logging.getLogger("chapar.projection")


def catch_up(engine: Engine, schemas: forms.Schemas, until: int | None = None) -> None:
    """Bring the state up to the newest entry, or at least to position `until`."""
    while (position := step(engine, schemas)) is not None:
        if until is not None and position >= until:
            return


def rebuild(engine: Engine, schemas: forms.Schemas) -> None:
    """Drop all derived state and derive it again from the journal."""
    with writing(engine) as connection:
        for table in STATE:
            connection.execute(delete(table))
    catch_up(engine, schemas)


def step(engine: Engine, schemas: forms.Schemas) -> int | None:
    """Project the next entries; return the position reached, None when there are none.

    An entry that cannot be projected is set aside in the quarantine, so that it never stops those behind it.
    """
    with reading(engine) as connection:
        seen = journal.cursor(connection, CURSOR)
    limit = STEP_MAX
    while True:
        try:
            return _project(engine, schemas, seen, limit)
        except STORE_TROUBLE:  # to be tried again, not to be blamed on an entry
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the rest must go on)
            if limit == 1:
                return _set_aside(engine, seen, error)
            limit //= 2


def lag(engine: Engine) -> int:
    """Return how many entries are not yet state."""
    with reading(engine) as connection:
        return journal.head_position(connection) - journal.cursor(connection, CURSOR)


def _project(engine: Engine, schemas: forms.Schemas, seen: int, limit: int) -> int | None:
    with reading(engine) as connection:
        records = _same_sort(journal.read_after(connection, seen, limit, STEP_BYTES_MAX))
        if not records:
            return None
        changes = _prepare(connection, schemas, records)
    position = records[-1].position
    with writing(engine) as connection:
        if journal.advance(connection, CURSOR, seen, position):
            for change in changes:
                change(connection)
    return position


def _set_aside(engine: Engine, seen: int, error: Exception) -> int:
    """Make the entry after `seen` visible in the quarantine. The error's text stays out: it may hold an answer."""
    with reading(engine) as connection:
        (record,) = journal.read_after(connection, seen, 1)
    reason = f"It could not be taken into the tables ({type(error).__name__}). Its bytes are kept."
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("entry %d, %s: %s\n%s", record.position, record.kind, reason, frames)
    with writing(engine) as connection:
        if journal.advance(connection, CURSOR, seen, record.position):
            quarantine.set_aside(connection, record, reason)
    return record.position


Change = Callable[[Connection], None]


def _same_sort(records: list[Record]) -> list[Record]:
    """The first entries of one sort: a form must be state before its submissions are read."""
    if not records or records[0].kind not in ARRIVED:
        return records[:1]
    return list(takewhile(lambda record: record.kind in ARRIVED, records))


def _prepare(connection: Connection, schemas: forms.Schemas, records: list[Record]) -> list[Change]:
    """What the entries change, as functions of a connection that writes."""
    first = records[0]
    detail = orjson.loads(first.detail or b"{}")
    match first.kind:
        case Kind.PROJECT:
            return [lambda connection: forms.project_project(connection, first, detail)]
        case Kind.FORM:
            example = forms.read_example(first, detail)
            return [
                lambda connection: forms.project_form(connection, first, detail, example),
                lambda connection: datasets.project_form(connection, schemas, first, detail["form_id"]),
            ]
        case Kind.FORM_MEDIA:
            return [lambda connection: _project_media(connection, schemas, first, detail)]
        case Kind.FORM_STATE:
            return [lambda connection: form_states.project_state(connection, first, detail)]
        case Kind.APP_USER:
            return [lambda connection: accounts.project_app_user(connection, first, detail)]
        case Kind.DISTINCT:
            return [lambda connection: key_conflicts.project_distinction(connection, first, detail)]
        case Kind.ERASURE:
            return [lambda connection: erasures.project_erasure(connection, first, detail)]
        case _:
            return _prepare_arrived(connection, schemas, records)


def _prepare_arrived(connection: Connection, schemas: forms.Schemas, records: list[Record]) -> list[Change]:
    revisions, attachments, reviewed, comments, quarantined, released = [], [], [], [], [], []
    entities = []
    arrived = [(record, orjson.loads(record.detail)) for record in records if record.detail]
    late = erasures.find_late(connection, arrived)
    for record, detail in arrived:
        if record.position in late:
            continue
        match record.kind:
            case Kind.QUARANTINE:
                quarantined.append(quarantine.row_of(record, detail))
            case Kind.ATTACHMENT:
                attachments.append(arrivals.attachment_row(record, detail))
            case Kind.REVIEW:
                reviewed.append(reviews.review_row(record, detail))
            case Kind.COMMENT:
                comments.append(reviews.comment_row(record, detail))
            case Kind.ENTITY:
                entities.append(entity_arrivals.row_of_person(record, detail))
            case _:
                revisions.append(_read_entry(connection, schemas, record, detail))
                entities += revisions[-1].entity_writes
                if "released_from" in detail:
                    released.append(record)

    sources = _sources(connection, schemas)
    return [
        *arrivals.changes(connection, revisions, attachments, reviewed, quarantined, released, sources),
        partial(insert_ignore, table=comment, rows=comments),
        *entity_arrivals.changes(connection, entities),
        partial(erasures.drop_late, late=[one for one in arrived if one[0].position in late]),
    ]


def _sources(connection: Connection, schemas: forms.Schemas) -> Sources:
    """What is already stored, as one transaction sees it."""

    def read_again(position: int) -> NewRevision:
        record = journal.read_entry(connection, position)
        return _read_entry(connection, schemas, record, orjson.loads(record.detail))

    @cache
    def line(form: FormKey) -> FormLine:
        return schemas.line(connection, *form)

    @cache
    def logic(form: FormKey, version: str) -> Recheck:
        return schemas.logic(connection, *form, version)

    return Sources(read_again, line, logic)


def _project_media(
    connection: Connection, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> None:
    """Keep a form's file; what the form looks up in a list may be something else now."""
    forms.project_media(connection, record, detail)
    if detail["name"].endswith(forms.LISTS):
        form = (record.project_id, detail["form_id"])
        for change in arrivals.joined_again(connection, form, _sources(connection, schemas)):
            change(connection)


def _read_entry(
    connection: Connection, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> NewRevision:
    if record.kind is Kind.DECISION:
        return _read_decision(record, detail)
    return _read_revision(connection, schemas, record, detail)


def _read_decision(record: Record, detail: dict[str, Any]) -> NewRevision:
    return NewRevision(
        record=record,
        detail=detail | {"version": "", "device_id": ""},
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


def _read_revision(
    connection: Connection, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> NewRevision:
    schema = schemas.find(connection, record.project_id, detail["form_id"], detail["version"])
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
    return NewRevision(
        record=record,
        detail=detail,
        revision=Revision(
            instance_id=detail["instance_id"],
            digest=detail["digest"],
            deprecated_id=detail["deprecated_id"] or None,
            stamp=record.stamp,
        ),
        read=None if encrypted or not read.document else (read.document, schema),
        answers=orjson.dumps(read.document).decode(),
        problems=orjson.dumps(problems).decode(),
        media=read.files,
        encrypted=encrypted,
        entity_writes=entity_arrivals.rows_of_record(record, detail, read_actions(read.document, schema))
        if schema.entities
        else (),
    )

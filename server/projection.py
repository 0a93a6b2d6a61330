"""From facts to state: reads the journal behind a cursor and keeps the derived tables in step with it.

Any process may run it (`server.projector`): a step counts only if nobody else moved the cursor meanwhile. Reading and joining happen
outside the transaction, so that the writer waits for the rows only.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection
from functools import cache, partial
from itertools import takewhile
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete

from forms.recheck import Recheck
from server.merging import FormLine
from server.quality import Checker
from server.revisions import read_revision
from server.store import (
    accounts,
    arrival_rows,
    arrivals,
    cleaning,
    datasets,
    days,
    entity_arrivals,
    erasures,
    findings,
    form_states,
    forms,
    journal,
    key_conflicts,
    listed,
    plans,
    quarantine,
    recodes,
    reviews,
    submissions,
)
from server.store.arrival_rows import NewRevision
from server.store.arrivals import Sources
from server.store.dialect import insert_earliest, insert_ignore
from server.store.engine import deriving, reading
from server.store.journal import Record
from server.store.submissions import FormKey
from server.store.tables import STATE, cleaning_entry, comment
from server.store.troubles import STORE_TROUBLE
from sync.journal import Kind

CURSOR = "state"
STEP_MAX = 256
STEP_BYTES_MAX = 16_000_000
ARRIVED = frozenset(
    {
        Kind.SUBMISSION,
        Kind.ATTACHMENT,
        Kind.QUARANTINE,
        Kind.DECISION,
        Kind.REVIEW,
        Kind.COMMENT,
        Kind.ENTITY,
        Kind.CLEANING,
        Kind.LISTED,
    }
)
READ = frozenset({Kind.SUBMISSION, Kind.DECISION})
"""What is read by the form that it is of."""

log = logging.getLogger("chapar.projection")


def catch_up(engine: Engine, schemas: forms.Schemas, until: int | None = None) -> None:
    """Bring the state up to the newest entry, or at least to position `until`."""
    while (position := step(engine, schemas)) is not None:
        if until is not None and position >= until:
            return
    while join(engine, schemas):
        pass


def rebuild(engine: Engine, schemas: forms.Schemas) -> None:
    """Drop all derived state and derive it again from the journal."""
    with deriving(engine) as connection:
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


def join(engine: Engine, schemas: forms.Schemas) -> bool:
    """Join one submission of so many revisions that no step waits for it, or ask some records the checks of their form
    again; False when none is left.

    It counts only if nothing came of it meanwhile. One that cannot be joined stays as it is shown.
    """
    with reading(engine) as connection:
        waiting = arrivals.find_unjoined(connection)
        if not waiting:
            return _ask_again(connection, engine, schemas)
        try:
            changes = arrivals.joined_apart(connection, waiting, _sources(connection, schemas))
        except STORE_TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, the rest must go on)
            changes = []
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("a submission could not be joined (%s)\n%s", type(error).__name__, frames)
    with deriving(engine) as connection:
        if arrivals.take_up(connection, waiting):
            for change in changes:
                change(connection)
    return True


def _ask_again(connection: Connection, engine: Engine, schemas: forms.Schemas) -> bool:
    """Ask some records the checks of their form again; False when none is left."""
    place = findings.waiting(connection)
    if place is None:
        return False
    sources = _sources(connection, schemas)
    checker = Checker(sources.line(place[1]), partial(sources.logic, place[1]))
    reached, page, rows = findings.next_page(connection, place[1], place[2], checker)
    with deriving(engine) as writer:
        findings.turn_page(writer, place, reached, page, rows)
    return True


def join_by_lists(engine: Engine, schemas: forms.Schemas, digests: Collection[str]) -> None:
    """Derive again what was joined by forms that read lists of these SHA-256, whose bytes are here only now."""
    with deriving(engine) as connection:
        position = journal.cursor(connection, CURSOR)
        for form in forms.list_reading(connection, digests):
            _look_up_again(connection, schemas, form, position)


def project_again(connection: Connection, schemas: forms.Schemas, positions: Collection[int]) -> None:
    """Derive what follows from entries whose payloads are here only now."""
    for some in submissions.chunks(positions):
        for record in journal.read_entries(connection, some).values():
            for change in _prepare(connection, schemas, [record]):
                change(connection)


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
    with deriving(engine) as connection:
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
    with deriving(engine) as connection:
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
            return [lambda connection: _project_form(connection, schemas, first, detail, example)]
        case Kind.FORM_MEDIA:
            return [lambda connection: _project_media(connection, schemas, first, detail)]
        case Kind.RECODE:
            return [lambda connection: recodes.project_recode(connection, first, detail)]
        case Kind.PLAN:
            return [lambda connection: plans.project_plan(connection, first, detail)]
        case Kind.DAYS:
            return [lambda connection: days.project_days(connection, first, detail)]
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
    entities, cleaned, told = [], [], []
    find = cache(partial(schemas.find, connection))
    arrived = [(record, orjson.loads(record.detail)) for record in records if record.detail]
    late = erasures.find_late(connection, arrived)
    for record, detail in arrived:
        if record.position in late:
            continue
        if (
            record.kind in READ
            and find(record.project_id, detail["form_id"], detail.get("version", "")) is None
        ):
            quarantined.append(quarantine.row_of_early(record, detail))
            continue
        match record.kind:
            case Kind.QUARANTINE:
                quarantined.append(quarantine.row_of(record, detail))
            case Kind.ATTACHMENT:
                attachments.append(arrival_rows.attachment_row(record, detail))
            case Kind.REVIEW:
                reviewed.append(reviews.review_row(record, detail))
            case Kind.COMMENT:
                comments.append(reviews.comment_row(record, detail))
            case Kind.CLEANING:
                cleaned += cleaning.entry_rows(record, detail)
            case Kind.LISTED:
                told.append(listed.row_of(record, detail))
            case Kind.ENTITY:
                entities.append(entity_arrivals.row_of_person(record, detail))
            case _:
                revisions.append(read_revision(find, schemas, record, detail))
                entities += revisions[-1].entity_writes
                if "released_from" in detail:
                    released.append(record)

    sources, last = _sources(connection, schemas), records[-1].position
    return [
        *arrivals.changes(connection, revisions, attachments, reviewed, quarantined, released, sources, last),
        partial(insert_ignore, table=comment, rows=comments),
        partial(insert_earliest, table=cleaning_entry, rows=cleaned),
        *entity_arrivals.changes(connection, entities),
        partial(listed.keep, rows=told),
        partial(erasures.drop_late, late=[one for one in arrived if one[0].position in late]),
    ]


def _sources(connection: Connection, schemas: forms.Schemas) -> Sources:
    """What is already stored, as one transaction sees it."""

    find = cache(partial(schemas.find, connection))

    def read(record: Record) -> NewRevision:
        return read_revision(find, schemas, record, orjson.loads(record.detail))

    @cache
    def line(form: FormKey) -> FormLine:
        return schemas.line(connection, *form)

    @cache
    def logic(form: FormKey, version: str) -> Recheck:
        return schemas.logic(connection, *form, version)

    return Sources(partial(journal.read_entries, connection), read, line, logic)


def _project_form(
    connection: Connection, schemas: forms.Schemas, record: Record, detail: dict[str, Any], example: bytes
) -> None:
    """Keep a version of a form, and derive again what came before it: by relay it may be late."""
    form = (record.project_id, detail["form_id"])
    forms.project_form(connection, record, detail, example)
    datasets.project_form(connection, schemas, record, detail["form_id"])
    early = quarantine.list_early(connection, *form)
    quarantine.drop(connection, early)
    newest, *older = (one.version for one in forms.list_versions(connection, *form))
    read = submissions.list_positions(connection, form, older if newest == detail["version"] else ())
    for some in submissions.chunks(sorted({*early, *read})):
        records = list(journal.read_entries(connection, some).values())
        for change in _prepare_arrived(connection, schemas, records):
            change(connection)
    _check_again(connection, schemas, form)


def _project_media(
    connection: Connection, schemas: forms.Schemas, record: Record, detail: dict[str, Any]
) -> None:
    """Keep a form's file; what the form looks up in a list may be something else now."""
    forms.project_media(connection, record, detail)
    if detail["name"].endswith(forms.LISTS):
        _look_up_again(connection, schemas, (record.project_id, detail["form_id"]), record.position)


def _look_up_again(connection: Connection, schemas: forms.Schemas, form: FormKey, position: int) -> None:
    """Derive again what looks things up in a form's lists."""
    for change in arrivals.joined_again(connection, form, _sources(connection, schemas), position):
        change(connection)
    _check_again(connection, schemas, form)


def _check_again(connection: Connection, schemas: forms.Schemas, form: FormKey) -> None:
    if any(version.schema.checks for version in schemas.line(connection, *form).versions):
        findings.ask_again(connection, form)

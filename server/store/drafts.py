"""Drafts of forms, the files given to them and what was sent to test them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, insert, select

from server.store.dialect import upsert
from server.store.forms import Media
from server.store.tables import form_draft, form_draft_media, form_draft_test
from sync.clock import tick
from sync.journal import Fact, Kind


@dataclass(frozen=True, slots=True)
class FormDraft:
    """A draft as it stands in the store; `server.store.tables.drafts` says what the columns hold."""

    project_id: int
    form_id: str
    id: str
    token: str
    version: str
    name: str
    md5: str
    sha256: str
    marks: str
    sheet_sha256: str
    sheet_name: str
    created_stamp: int
    updated_stamp: int
    xform: bytes


def find_draft(
    connection: Connection, project_id: int, form_id: str, *, lock: bool = False
) -> FormDraft | None:
    """Return the draft of a form, or None. lock: nobody else changes it until this transaction ends."""
    query = _select().where(*_of_form(form_draft, project_id, form_id))
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return FormDraft(**row) if row else None


def list_drafts(connection: Connection, project_id: int) -> list[FormDraft]:
    """Return the drafts of a project, by form ID."""
    query = _select().where(form_draft.c.project_id == project_id).order_by(form_draft.c.form_id)
    return [FormDraft(**row) for row in connection.execute(query).mappings()]


def list_ids(connection: Connection) -> set[str]:
    """Return the ids of all drafts."""
    return set(connection.execute(select(form_draft.c.id)).scalars())


def put_draft(connection: Connection, draft: FormDraft, reads: Iterable[str]) -> None:
    """Store a draft in place of the one before it, whose tests go; of its files those stay that this one `reads`."""
    before = find_draft(connection, draft.project_id, draft.form_id, lock=True)
    if before is not None:
        _delete_tests(connection, before.id)
    upsert(connection, form_draft, [asdict(draft)])
    media = _of_form(form_draft_media, draft.project_id, draft.form_id)
    connection.execute(delete(form_draft_media).where(*media, form_draft_media.c.name.not_in(list(reads))))


def drop_draft(connection: Connection, draft: FormDraft) -> bool:
    """Delete a draft with its files and tests; False when it was replaced or dropped meanwhile."""
    dropped = connection.execute(delete(form_draft).where(form_draft.c.id == draft.id)).rowcount
    if dropped:
        _delete_tests(connection, draft.id)
        media = _of_form(form_draft_media, draft.project_id, draft.form_id)
        connection.execute(delete(form_draft_media).where(*media))
    return bool(dropped)


def list_own_media(connection: Connection, draft: FormDraft) -> list[Media]:
    """Return the files given to a draft and, without a digest, those taken from it."""
    table = form_draft_media
    query = select(*(table.c[name] for name in Media.__slots__))
    rows = connection.execute(query.where(*_of_form(table, draft.project_id, draft.form_id)))
    return [Media(*row) for row in rows]


def set_media(connection: Connection, draft: FormDraft, media: Sequence[Media]) -> None:
    """Give files to a draft or, those without a digest, take them from it."""
    key = {"project_id": draft.project_id, "form_id": draft.form_id}
    upsert(connection, form_draft_media, [key | asdict(file) for file in media])


def add_tests(connection: Connection, draft: FormDraft, facts: Sequence[Fact], now_ms: int) -> int:
    """Store what came in for a draft, which the caller has locked; return how much of it is new."""
    table = form_draft_test
    last = select(func.max(table.c.place), func.max(table.c.stamp)).where(table.c.draft_id == draft.id)
    place, stamp = (value or 0 for value in connection.execute(last).one())
    keys = [fact.key for fact in facts]
    known = select(table.c.key).where(table.c.draft_id == draft.id, table.c.key.in_(keys))
    seen = {bytes(key) for key in connection.execute(known).scalars()}
    rows = []
    for fact in facts:
        assert fact.key is not None, "what tablets send can be told from a repeat"
        if fact.key in seen:
            continue
        seen.add(fact.key)
        place, stamp = place + 1, tick(stamp, now_ms)
        row = {"kind": fact.kind, "key": fact.key, "detail": fact.detail, "body": fact.body}
        rows.append({"draft_id": draft.id, "place": place, "stamp": stamp} | row)
    if rows:
        connection.execute(insert(table), rows)
    return len(rows)


def count_tests(connection: Connection, draft: FormDraft) -> int:
    """Return how many test submissions a draft has, edits included."""
    table = form_draft_test
    query = select(func.count()).where(table.c.draft_id == draft.id, table.c.kind == Kind.SUBMISSION)
    return int(connection.execute(query).scalar_one())


def iter_tests(connection: Connection, draft: FormDraft) -> Iterator[tuple[int, Fact]]:
    """Yield what came in for a draft, in order, with its stamp."""
    table = form_draft_test
    for row in connection.execute(select(table).where(table.c.draft_id == draft.id).order_by(table.c.place)):
        fact = Fact(Kind(row.kind), draft.project_id, bytes(row.key), bytes(row.detail), bytes(row.body))
        yield row.stamp, fact


def _delete_tests(connection: Connection, draft_id: str) -> None:
    connection.execute(delete(form_draft_test).where(form_draft_test.c.draft_id == draft_id))


def _select() -> Select[Any]:
    return select(*(form_draft.c[field.name] for field in fields(FormDraft)))


def _of_form(table: Table, project_id: int, form_id: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.project_id == project_id, table.c.form_id == form_id

"""What the checks of a form's sheet found, as state: kept in step with records, and asked again when checks change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, delete, func, select, tuple_

from server.quality import Checker
from server.store import journal, submissions
from server.store.dialect import insert_ignore, upsert
from server.store.submissions import FormKey, StoredSubmission, chunks, of_form
from server.store.tables import cursor, finding, submission

AGAIN = "checks"
"""Begins the name of the cursor of a form whose records are asked again: how far that has come, in `submission`."""
PAGE = 100

Change = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """See `server.store.tables.findings`."""

    instance_id: str
    check_id: str
    cell: str
    stamp: int


def changes(
    form: FormKey, rows: Sequence[Mapping[str, Any]], gone: Collection[str], checker: Callable[[], Checker]
) -> list[Change]:
    """Return what new rows of `submission` change. gone: submissions that are no more."""
    if not rows and not gone:
        return []
    asked = checker()
    if not asked.checks:
        return [partial(_replace, form=form, roots=gone, rows=[])] if gone else []
    found = [
        one
        for row in rows
        if not row["is_deleted"] and not row["encrypted"]
        for one in _rows(
            form, asked, row["instance_id"], row["version"], row["answers"], row["created_stamp"]
        )
    ]
    roots = {row["instance_id"] for row in rows} | set(gone)
    return [partial(_replace, form=form, roots=roots, rows=found)]


def ask_again(connection: Connection, form: FormKey) -> None:
    """Have all records of a form asked again: its checks may be others."""
    upsert(connection, cursor, [{"name": f"{AGAIN} {form[0]} {form[1]}", "position": 0}])


def waiting(connection: Connection) -> tuple[str, FormKey, int] | None:
    """Return a form whose records are being asked again: the cursor's name, the form, how far."""
    query = select(cursor).where(cursor.c.name.startswith(f"{AGAIN} ")).order_by(cursor.c.name).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    _, project_id, form_id = row.name.split(" ", 2)
    return row.name, (int(project_id), form_id), row.position


def next_page(
    connection: Connection, form: FormKey, after: int, checker: Checker
) -> tuple[int | None, list[StoredSubmission], list[dict[str, Any]]]:
    """Return how far the next records reach, None when there are none; the records, and what is found in them."""
    page = submissions.list_submissions(connection, *form, after, PAGE)
    found = [
        row
        for one in page
        if not one.encrypted
        for row in _rows(form, checker, one.instance_id, one.version, one.answers, one.created_stamp)
    ]
    return (page[-1].position if page else None), page, found


def turn_page(
    connection: Connection,
    place: tuple[str, FormKey, int],
    reached: int | None,
    page: Sequence[StoredSubmission],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Write what was found, unless another process did meanwhile; records that changed since are left to what changed them."""
    name, form, seen = place
    if reached is None:
        connection.execute(delete(cursor).where(cursor.c.name == name, cursor.c.position == seen))
        return
    if not journal.advance(connection, name, seen, reached):
        return
    roots = [one.instance_id for one in page]
    query = select(submission.c.instance_id, submission.c.answers).where(
        *of_form(submission, form), submission.c.instance_id.in_(roots), submission.c.is_deleted.is_(False)
    )
    now = {row.instance_id: row.answers for row in connection.execute(query)}
    same = {one.instance_id for one in page if now.get(one.instance_id) == one.answers}
    _replace(connection, form, same, [row for row in rows if row["instance_id"] in same])


def list_findings(
    connection: Connection,
    form: FormKey,
    *,
    after: tuple[int, str, str, str] | None = None,
    limit: int | None = None,
    check_id: str = "",
    roots: Iterable[str] | None = None,
) -> list[StoredFinding]:
    """Return findings, of what was received first first; those behind `after` (stamp, record, check, cell)."""
    order = (finding.c.stamp, finding.c.instance_id, finding.c.check_id, finding.c.cell)
    where: list[ColumnElement[bool]] = [*of_form(finding, form)]
    if check_id:
        where.append(finding.c.check_id == check_id)
    if after is not None:
        where.append(tuple_(*order) > after)
    if roots is not None:
        where.append(finding.c.instance_id.in_(list(roots)))
    names = [one.name for one in fields(StoredFinding)]
    rows = connection.execute(
        select(*(finding.c[name] for name in names)).where(*where).order_by(*order).limit(limit)
    )
    return [StoredFinding(*row) for row in rows]


def count_findings(connection: Connection, form: FormKey) -> dict[str, int]:
    """Return how many findings each check has."""
    rows = connection.execute(
        select(finding.c.check_id, func.count()).where(*of_form(finding, form)).group_by(finding.c.check_id)
    )
    return {str(name): int(count) for name, count in rows}


def _rows(
    form: FormKey, checker: Checker, instance_id: str, version: str, answers: bytes | str, stamp: int
) -> list[dict[str, Any]]:
    return [
        {
            "project_id": form[0],
            "form_id": form[1],
            "instance_id": instance_id,
            "check_id": one.check_id,
            "cell": one.cell,
            "stamp": stamp,
        }
        for one in checker.ask(version, orjson.loads(answers), stamp)
    ]


def _replace(
    connection: Connection, form: FormKey, roots: Collection[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    for some in chunks(roots):
        connection.execute(delete(finding).where(*of_form(finding, form), finding.c.instance_id.in_(some)))
    insert_ignore(connection, finding, rows)

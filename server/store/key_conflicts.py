"""Submissions that share a duplicate key, as state: kept in step with submissions, deletions and distinctions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, select

from server.store.dialect import insert_ignore, upsert
from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import distinction, key_conflict, revision, submission
from sync.duplicates import Distinction, is_open, standing, state_digest

MEMBERS_MAX = 100
"""More with one key are no mistakes of people but one of the sheet: they are counted, not listed."""


@dataclass(frozen=True, slots=True)
class StoredKeyConflict:
    """See `server.store.tables.reviews.key_conflict`. instance_ids: JSON."""

    project_id: int
    form_id: str
    duplicate_key: str
    state: str
    instance_ids: str
    members: int
    seen: str
    stamp: int


@dataclass(frozen=True, slots=True)
class StoredDistinction:
    """That people told these submissions apart, with who did."""

    instance_ids: tuple[str, ...]
    id: str
    actor_id: int
    actor_name: str
    stamp: int


def list_key_conflicts(
    connection: Connection, project_id: int, form_id: str, state: str, after: tuple[int, str], limit: int
) -> list[StoredKeyConflict]:
    """Return one page in order of (stamp, key), those behind `after`."""
    names = [field.name for field in fields(StoredKeyConflict)]
    place = (key_conflict.c.stamp, key_conflict.c.duplicate_key)
    behind = (place[0] > after[0]) | ((place[0] == after[0]) & (place[1] > after[1]))
    rows = connection.execute(
        select(*(key_conflict.c[name] for name in names))
        .where(*of_form(key_conflict, (project_id, form_id)), key_conflict.c.state == state, behind)
        .order_by(*place)
        .limit(limit)
    )
    return [StoredKeyConflict(*row) for row in rows]


def find_key_conflict(connection: Connection, form: FormKey, key: str) -> StoredKeyConflict | None:
    """Return the conflict about a key, or None."""
    names = [field.name for field in fields(StoredKeyConflict)]
    row = connection.execute(
        select(*(key_conflict.c[name] for name in names)).where(
            *of_form(key_conflict, form), key_conflict.c.duplicate_key == key
        )
    ).first()
    return StoredKeyConflict(*row) if row else None


def list_distinctions(connection: Connection, form: FormKey, roots: Iterable[str]) -> list[StoredDistinction]:
    """Return the standing distinctions that name any of these submissions, oldest first."""
    rows = _distinctions(connection, form, roots)
    held = {one.id for one in standing(map(_domain, rows.values()))}
    return [
        StoredDistinction(_ids(row), row["id"], row["actor_id"], row["actor_name"], row["stamp"])
        for row in sorted(rows.values(), key=lambda row: (row["stamp"], row["id"]))
        if row["id"] in held
    ]


def last_distinction(connection: Connection, form: FormKey, instance_ids: Iterable[str]) -> str:
    """Return the id of the last word about exactly these submissions, "" when there is none."""
    wanted = orjson.dumps(sorted(instance_ids)).decode()
    query = select(distinction.c.id).where(
        *of_form(distinction, form),
        distinction.c.instance_id == min(instance_ids),
        distinction.c.instance_ids == wanted,
    )
    last = query.order_by(distinction.c.stamp.desc(), distinction.c.id.desc()).limit(1)
    return connection.execute(last).scalar() or ""


def keys_of(connection: Connection, form: FormKey, roots: Iterable[str]) -> set[str]:
    """Return the duplicate keys that these submissions have now."""
    keys: set[str] = set()
    for some in chunks(roots):
        query = select(submission.c.duplicate_key).where(
            *of_form(submission, form), submission.c.instance_id.in_(some)
        )
        keys.update(key for key in connection.execute(query).scalars() if key)
    return keys


def refresh(connection: Connection, form: FormKey, keys: Collection[str]) -> None:
    """Derive anew which submissions share these keys."""
    for some in chunks(keys):
        connection.execute(
            delete(key_conflict).where(*of_form(key_conflict, form), key_conflict.c.duplicate_key.in_(some))
        )
        has_key = (*of_form(submission, form), submission.c.duplicate_key.in_(some))
        counted = connection.execute(
            select(submission.c.duplicate_key, func.count(), func.max(submission.c.created_stamp))
            .where(*has_key)
            .group_by(submission.c.duplicate_key)
            .having(func.count() > 1)
        ).all()
        rows = [_row(connection, form, *shared) for shared in counted]
        upsert(connection, key_conflict, rows)


def project_distinction(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Take in that people told submissions apart, or took it back."""
    form = (record.project_id, detail["form_id"])
    shared = {name: detail[name] for name in ("form_id", "id", "holds", "actor_id", "actor_name")} | {
        "project_id": record.project_id,
        "instance_ids": orjson.dumps(detail["instance_ids"]).decode(),
        "stamp": record.stamp,
    }
    rows = [shared | {"instance_id": instance_id} for instance_id in detail["instance_ids"]]
    insert_ignore(connection, distinction, rows)
    roots = _roots(connection, form, detail["instance_ids"])
    refresh(connection, form, keys_of(connection, form, roots.values()))


def _row(connection: Connection, form: FormKey, key: str, members: int, stamp: int) -> dict[str, Any]:
    columns = (submission.c.instance_id, submission.c.current_digest, submission.c.is_deleted)
    has_key = (*of_form(submission, form), submission.c.duplicate_key == key)
    first = select(*columns).where(*has_key).order_by(submission.c.created_stamp, columns[0])
    found = connection.execute(first.limit(MEMBERS_MAX)).all()
    if members > MEMBERS_MAX:
        live = connection.execute(
            select(columns[0]).where(*has_key, submission.c.is_deleted.is_(False)).limit(2)
        ).all()
        state = "open" if len(live) > 1 else "decided"
    else:
        state = _state(connection, form, [row.instance_id for row in found if not row.is_deleted])
    return {
        "project_id": form[0],
        "form_id": form[1],
        "duplicate_key": key,
        "state": state,
        "instance_ids": orjson.dumps([row.instance_id for row in found]).decode(),
        "members": members,
        "seen": state_digest((row.instance_id, row.current_digest) for row in found),
        "stamp": stamp,
    }


def _state(connection: Connection, form: FormKey, live: Sequence[str]) -> str:
    if len(live) < 2:
        return "decided"
    rows = _distinctions(connection, form, live)
    told_apart = [one.instance_ids for one in standing(map(_domain, rows.values()))]
    roots = _roots(connection, form, {name for some in told_apart for name in some})
    return "open" if is_open(live, [{roots[name] for name in some} for some in told_apart]) else "decided"


def _distinctions(connection: Connection, form: FormKey, roots: Iterable[str]) -> dict[str, dict[str, Any]]:
    """All distinctions, also those taken back, that name any of these submissions by any of their IDs."""
    names = set(roots)
    for some in chunks(set(names)):
        query = select(revision.c.instance_id).where(*of_form(revision, form), revision.c.root_id.in_(some))
        names.update(connection.execute(query).scalars())
    found: dict[str, dict[str, Any]] = {}
    for some in chunks(names):
        query = select(distinction).where(*of_form(distinction, form), distinction.c.instance_id.in_(some))
        found.update((row["id"], dict(row)) for row in connection.execute(query).mappings())
    return found


def _roots(connection: Connection, form: FormKey, names: Collection[str]) -> dict[str, str]:
    """The submission that each of these instanceIDs belongs to now."""
    roots = {name: name for name in names}
    for some in chunks(names):
        query = select(revision.c.instance_id, revision.c.root_id)
        rows = connection.execute(query.where(*of_form(revision, form), revision.c.instance_id.in_(some)))
        roots.update((row.instance_id, row.root_id) for row in rows)
    return roots


def _domain(row: Mapping[str, Any]) -> Distinction:
    return Distinction(_ids(row), row["holds"], row["stamp"], row["id"])


def _ids(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(orjson.loads(row["instance_ids"]))

"""Reviews and comments as state: the rows of their entries, and reading them for a submission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, Table, select

from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import comment, review
from sync.review import Review, ReviewState


@dataclass(frozen=True, slots=True)
class StoredReview:
    """A review with who gave it. upon: JSON."""

    instance_id: str
    id: str
    state: str | None
    upon: str
    actor_id: int
    actor_name: str
    position: int
    stamp: int


@dataclass(frozen=True, slots=True)
class StoredComment:
    """A comment with who wrote it."""

    instance_id: str
    id: str
    body: str
    actor_id: int
    actor_name: str
    position: int
    stamp: int


def review_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `review` for an entry."""
    upon = orjson.dumps(detail["upon"]).decode()
    return _row(record, detail) | {"state": detail["state"], "upon": upon}


def comment_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `comment` for an entry."""
    return _row(record, detail) | {"body": detail["body"]}


def review_of(row: Mapping[str, Any]) -> Review:
    """Return the domain value of a row of `review`."""
    state = ReviewState(row["state"]) if row["state"] else None
    return Review(state, tuple(orjson.loads(row["upon"])), row["stamp"], row["id"])


def rows_of(connection: Connection, form: FormKey, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the rows of `review` that name any of these instanceIDs."""
    return _rows(connection, review, form, names)


def list_reviews(connection: Connection, form: FormKey, names: Iterable[str]) -> list[StoredReview]:
    """Return the reviews of a submission, oldest first. names: all its instanceIDs."""
    columns = [field.name for field in fields(StoredReview)]
    found = _rows(connection, review, form, names)
    return [StoredReview(**{name: row[name] for name in columns}) for row in found]


def list_comments(connection: Connection, form: FormKey, names: Iterable[str]) -> list[StoredComment]:
    """Return the comments on a submission, oldest first. names: all its instanceIDs."""
    columns = [field.name for field in fields(StoredComment)]
    found = _rows(connection, comment, form, names)
    return [StoredComment(**{name: row[name] for name in columns}) for row in found]


def _row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    names = ("form_id", "instance_id", "id", "actor_id", "actor_name")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "position": record.position,
        "stamp": record.stamp,
    }


def _rows(connection: Connection, table: Table, form: FormKey, names: Iterable[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in chunks(names):
        query = select(table).where(*of_form(table, form), table.c.instance_id.in_(some))
        found += map(dict, connection.execute(query).mappings())
    return sorted(found, key=lambda row: (row["stamp"], row["id"]))

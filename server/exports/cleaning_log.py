"""The cleaning log beside a clean export: what was changed, why, by whom."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
from sqlalchemy import Connection

from forms.cells import path_of
from server.cleaning.records import Cleaner
from server.disclosure import veil
from server.exports.rows import Row
from server.exports.scope import Scope
from server.store.cleaning import list_entries
from server.store.forms import iso

HEADER = (
    "id",
    "uuid",
    "kind",
    "question",
    "old_value",
    "new_value",
    "reason",
    "check_id",
    "author",
    "time",
    "form_version",
    "batch",
    "supersedes",
    "undoes",
)


def log_rows(connection: Connection, scope: Scope, cleaner: Cleaner) -> Iterator[Row]:
    """Yield a header and every entry up to the cut-off, oldest first; values of hidden questions are left blank.

    question: the cell, as `docs/cleaning.md` names it, in `form_version`. supersedes, undoes: ids of entries.
    """
    hidden = veil(cleaner.line, personal=scope.options.personal)
    yield list(HEADER)
    for one in list_entries(connection, cleaner.form, up_to=cleaner.up_to):
        path = path_of(one.cell) if one.cell else ""
        is_hidden = path in scope.closed or (bool(path) and hidden.hides(path))
        values = ["", ""] if is_hidden else [one.old, one.new]
        yield [
            one.id,
            one.instance_id,
            one.kind,
            one.cell,
            *values,
            "" if is_hidden else one.reason,
            one.check_id,
            one.actor_name,
            iso(one.stamp),
            one.version,
            one.batch,
            " ".join(orjson.loads(one.supersedes)),
            one.undoes,
        ]

"""How many submissions, revisions, differing edits and open conflicts a form has: kept, so that nobody has to count."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from sqlalchemy import Connection, delete, func, select, update

from server.store.dialect import insert_ignore
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import form_tally, revision, submission


@dataclass(frozen=True, slots=True)
class Tally:
    """What a form has; deleted submissions count among the revisions only."""

    submissions: int = 0
    edits: int = 0
    open_conflicts: int = 0
    revisions: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*map(operator.add, astuple(self), astuple(other)))

    def __sub__(self, other: Tally) -> Tally:
        return Tally(*map(operator.sub, astuple(self), astuple(other)))


def tally(connection: Connection, form: FormKey) -> Tally:
    """Return what a form has."""
    columns = [form_tally.c[field.name] for field in fields(Tally)]
    row = connection.execute(select(*columns).where(*of_form(form_tally, form))).first()
    return Tally(*row) if row else Tally()


def count(connection: Connection, form: FormKey, roots: Iterable[str]) -> Tally:
    """Return what there is of the submissions with these roots."""
    counted = Tally()
    of_submissions = (func.count(), func.sum(submission.c.edits), func.sum(submission.c.open_conflicts))
    for some in chunks(roots):
        shown = (submission.c.instance_id.in_(some), submission.c.is_deleted.is_(False))
        row = connection.execute(select(*of_submissions).where(*of_form(submission, form), *shown)).one()
        mine = (*of_form(revision, form), revision.c.root_id.in_(some))
        revisions = connection.execute(select(func.count()).where(*mine)).scalar_one()
        counted += Tally(row[0], int(row[1] or 0), int(row[2] or 0), revisions)
    return counted


def add(connection: Connection, form: FormKey, more: Tally) -> None:
    """Add to what a form has; a form that has nothing has no row."""
    if more == Tally():
        return
    names = [field.name for field in fields(Tally)]
    key = {"project_id": form[0], "form_id": form[1]}
    insert_ignore(connection, form_tally, [key | dict.fromkeys(names, 0)])
    mine = of_form(form_tally, form)
    changed = {name: form_tally.c[name] + getattr(more, name) for name in names}
    connection.execute(update(form_tally).where(*mine).values(changed))
    connection.execute(delete(form_tally).where(*mine, *(form_tally.c[name] == 0 for name in names)))

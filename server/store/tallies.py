"""How many submissions, revisions, differing edits and open conflicts a form has: kept, so that nobody has to count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

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


def tally(connection: Connection, form: FormKey) -> Tally:
    """Return what a form has."""
    columns = [form_tally.c[field.name] for field in fields(Tally)]
    row = connection.execute(select(*columns).where(*of_form(form_tally, form))).first()
    return Tally(*row) if row else Tally()


@contextmanager
def keeping(connection: Connection, form: FormKey, roots: Iterable[str]) -> Iterator[None]:
    """Keep the tally of a form while the block changes the submissions with these roots, and no others."""
    roots = list(roots)
    before = _count(connection, form, roots)
    yield
    after = _count(connection, form, roots)
    if before == after:
        return
    key = {"project_id": form[0], "form_id": form[1]}
    names = [field.name for field in fields(Tally)]
    insert_ignore(connection, form_tally, [key | dict.fromkeys(names, 0)])
    more = {
        name: form_tally.c[name] + now - then for name, now, then in zip(names, after, before, strict=True)
    }
    mine = of_form(form_tally, form)
    connection.execute(update(form_tally).where(*mine).values(more))
    connection.execute(delete(form_tally).where(*mine, *(form_tally.c[name] == 0 for name in names)))


def _count(connection: Connection, form: FormKey, roots: list[str]) -> tuple[int, ...]:
    """Count as `Tally` has it."""
    counted = [0] * len(fields(Tally))
    of_submissions = (func.count(), func.sum(submission.c.edits), func.sum(submission.c.open_conflicts))
    for some in chunks(roots):
        shown = (submission.c.instance_id.in_(some), submission.c.is_deleted.is_(False))
        found = connection.execute(select(*of_submissions).where(*of_form(submission, form), *shown)).one()
        mine = (*of_form(revision, form), revision.c.root_id.in_(some))
        revisions = connection.execute(select(func.count()).where(*mine)).scalar_one()
        counted = [
            sum(pair) for pair in zip(counted, (*(int(one or 0) for one in found), revisions), strict=True)
        ]
    return tuple(counted)

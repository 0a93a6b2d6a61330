"""Which records an export holds and what they say: merged, cleaned, or each revision as it was received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection

from forms.errors import InstanceError
from server.cleaning.records import Cleaner, open_cleaner
from server.exports.conditions import condition
from server.exports.options import View
from server.exports.rows import Answers
from server.exports.scope import Scope
from server.store import journal, submissions
from server.store.forms import Schemas
from server.store.submissions import StoredRevision, StoredSubmission

PAGE_ROWS = 25
"""A submission has up to 8 MB of texts: small pages bound the memory and cost 3 µs a submission."""
KEYS_TOLD = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of the form's own table.

    answers: of a sealed record, what stands outside. form_version: of the first revision, as ODK Central has it.
    """

    one: StoredSubmission
    answers: Answers
    form_version: str


@dataclass(slots=True)
class Left:
    """Records that were left out for one reason. keys: the first of them."""

    count: int = 0
    keys: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        self.count += 1
        if self.count <= KEYS_TOLD:
            self.keys.append(key)


class Records:
    """The records of a scope. left: those that are not shown, by why; full once all were read."""

    def __init__(self, connection: Connection, schemas: Schemas, scope: Scope) -> None:
        self.left: dict[str, Left] = {}
        self._connection, self._schemas, self._scope = connection, schemas, scope
        self._form = (scope.project_id, scope.form_id)
        self.cleaner: Cleaner | None = None
        if scope.options.view is View.CLEAN:
            self.cleaner = open_cleaner(connection, schemas, self._form, scope.cut_off)

    def __iter__(self) -> Iterator[Shown]:
        """Yield what is shown in order of receipt, one page in memory at a time. Raises Problem 400.18 for a filter."""
        found = self._received() if self._scope.options.view is View.RAW else self._merged()
        if not self._scope.options.filter:
            yield from found
            return
        wanted = condition(self._scope.options.filter)
        for shown in found:
            if wanted(shown.one):
                yield shown
            else:
                self._leave_out("filter", shown.one.instance_id)

    def _merged(self) -> Iterator[Shown]:
        """Read answers one after the other: a document that is gone before the next comes costs half as much."""
        for page in submissions.iter_pages(self._connection, *self._form, PAGE_ROWS):
            cleaned = self.cleaner.clean(self._connection, page) if self.cleaner else {}
            for one in page:
                clean = cleaned.get(one.instance_id)
                if clean and clean.is_removed:
                    self._leave_out("removed", one.instance_id)
                    continue
                answers = clean.answers if clean else orjson.loads(one.answers)
                yield Shown(one, answers, self._first_version(one))
        for name in submissions.iter_deleted(self._connection, *self._form):
            self._leave_out("deleted", name)

    def _received(self) -> Iterator[Shown]:
        """Every revision with the bytes it came with; of several under one instanceID the later ones carry their digest."""
        seen: set[str] = set()
        for found in submissions.iter_received(self._connection, *self._form, PAGE_ROWS):
            bodies = journal.read_bodies(self._connection, [one.position for one in found])
            for one in found:
                answers = self._read(one, bodies.get(one.position, b""))
                if answers is None:
                    self._leave_out("unreadable", one.instance_id)
                    continue
                name = f"{one.instance_id}~{one.digest[:8]}" if one.instance_id in seen else one.instance_id
                seen.add(one.instance_id)
                yield Shown(_as_submission(one, name, self._form, answers), answers, one.version)

    def _read(self, one: StoredRevision, body: bytes) -> dict[str, Any] | None:
        schema = self._schemas.find(self._connection, *self._form, one.version)
        assert schema is not None, "the form of a revision is known"
        try:
            return self._schemas.reader(schema).read(body).document
        except InstanceError:
            return None

    def _first_version(self, one: StoredSubmission) -> str:
        if one.current_id == one.instance_id:
            return one.version
        revisions = submissions.list_revisions(self._connection, *self._form, one.instance_id)
        first = [revision.version for revision in revisions if revision.instance_id == one.instance_id]
        return first[0] if first else one.version

    def _leave_out(self, why: str, key: str) -> None:
        self.left.setdefault(why, Left()).add(key)


def _as_submission(
    one: StoredRevision, name: str, form: tuple[int, str], answers: Answers
) -> StoredSubmission:
    """A revision as the submission that it would be alone."""
    return StoredSubmission(
        project_id=form[0],
        form_id=form[1],
        instance_id=name,
        position=one.position,
        current_id=one.instance_id,
        current_digest=one.digest,
        version=one.version,
        created_stamp=one.stamp,
        updated_stamp=one.stamp,
        submitter_id=one.submitter_id,
        submitter_name=one.submitter_name,
        device_id=one.device_id,
        edits=0,
        open_conflicts=0,
        parent_missing=False,
        attachments_expected=0,
        attachments_present=0,
        review_state=None,
        duplicate_key=None,
        encrypted=answers.get("@encrypted") == "yes",
        is_merged=False,
        is_joined=False,
        is_deleted=False,
        files="{}",
        problems="[]",
        answers="{}",
    )

"""Clean records: what the log makes of stored submissions, in the form version that they are shown in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import Connection

from forms import cells
from forms.cells import HERE
from forms.schema import FormSchema
from server.merging import FormLine
from server.store import cleaning
from server.store.cleaning import StoredEntry
from server.store.forms import Schemas
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import LEFT, Entry, EntryKind, Status, fold


@dataclass(frozen=True)
class Cleaned:
    """A record as the log has it.

    answers: the clean document, in the submission's own form version. is_removed: it is no record of the clean view;
    reason and check_id say why. entries: all about it, oldest first. status: what became of each, by id.
    """

    answers: dict[str, Any]
    is_removed: bool
    reason: str
    check_id: str
    entries: tuple[StoredEntry, ...]
    status: Mapping[str, Status]

    @property
    def left(self) -> tuple[StoredEntry, ...]:
        """Entries that are not applied, and that somebody has to look at."""
        return tuple(one for one in self.entries if self.status[one.id] in LEFT)

    def decides(self, check_id: str) -> bool:
        """Whether an entry about this check stands, made upon what the record says now."""
        return any(
            one.check_id == check_id
            and one.kind != EntryKind.UNDO
            and self.status[one.id] not in {Status.UNDONE, Status.CHANGED}
            for one in self.entries
        )


@dataclass(frozen=True)
class Cleaner:
    """Cleans the records of one form by its log up to a position of the journal. count, sha256: of that log."""

    form: FormKey
    line: FormLine
    up_to: int
    count: int
    sha256: str

    def clean(self, connection: Connection, page: Sequence[StoredSubmission]) -> dict[str, Cleaned]:
        """Return those of these records that the log speaks of, by instanceID; of the others merged is clean.

        A sealed record can only be removed.
        """
        if not self.count:
            return {}
        roots = [one.instance_id for one in page]
        found = cleaning.entries_of(connection, self.form, roots, self.up_to)
        return {
            one.instance_id: self.clean_one(one, found[one.instance_id])
            for one in page
            if one.instance_id in found
        }

    def clean_one(self, one: StoredSubmission, stored: Sequence[StoredEntry]) -> Cleaned:
        """Return a record as these entries about it have it."""
        document = orjson.loads(one.answers)
        done = fold(document, self.entries(one, stored), self.schema(one))
        removal = next((entry for entry in stored if done.removal and entry.id == done.removal.id), None)
        return Cleaned(
            answers=document if one.encrypted else dict(done.document),
            is_removed=removal is not None,
            reason=removal.reason if removal else "",
            check_id=removal.check_id if removal else "",
            entries=tuple(stored),
            status=done.status,
        )

    def schema(self, one: StoredSubmission) -> FormSchema:
        """Return the form version that a record is shown in."""
        return self.line.versions[self.line.place(one.version)].schema

    def entries(self, one: StoredSubmission, stored: Sequence[StoredEntry]) -> list[Entry]:
        """Return entries about a record as its form version names what they speak of."""
        return [entry.entry(self.cell(one, entry.version, entry.cell)) for entry in stored]

    def cell(self, one: StoredSubmission, version: str, cell: str) -> str:
        """Return the name, in the form version that a record is shown in, of a cell of another version."""
        if version == one.version or not cell:
            return cell
        moves = self._moves(self.line.place(version), self.line.place(one.version))
        return next(iter(cells.moved({cell: HERE}, moves)))

    def _moves(self, older: int, newer: int) -> Mapping[str, str]:
        if (older, newer) not in self._known_moves:
            self._known_moves[older, newer] = self.line.moves(older, newer)
        return self._known_moves[older, newer]

    @cached_property
    def _known_moves(self) -> dict[tuple[int, int], Mapping[str, str]]:
        return {}


def open_cleaner(connection: Connection, schemas: Schemas, form: FormKey, up_to: int) -> Cleaner:
    """Return what cleans a form's records. up_to: a position of the journal; what came after it does not count."""
    count, sha256 = cleaning.read_extent(connection, form, up_to)
    return Cleaner(form, schemas.line(connection, *form), up_to, count, sha256)

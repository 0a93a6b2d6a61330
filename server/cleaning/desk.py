"""One record on the table: what somebody wants entered about it, held against what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from forms import values
from forms.cells import path_of
from forms.schema import IDENTITY, Field
from server.cleaning.places import SETS, NoPlaceError, Questions, Spot, locate, split_rows
from server.cleaning.records import Cleaner
from server.disclosure import Veil
from server.store.cleaning import StoredEntry
from server.store.submissions import StoredSubmission
from sync.cleaning import EntryKind, Status, base_of, digest, fold, read, standing_ids, text_of

YES = frozenset({"1", "true", "yes"})
NO = frozenset({"", "0", "false", "no"})
OPTIONS = frozenset({EntryKind.ADD_OPTION, EntryKind.REMOVE_OPTION})


@dataclass(frozen=True, slots=True)
class Wish:
    """One line that somebody wants in the log.

    number: names it in what is told, as the row of a file. name: of the question, see `cleaning_places.find_spot`;
    may say the row too. old: what they saw, None when they do not say.
    """

    number: int
    instance_id: str
    kind: EntryKind
    name: str = ""
    row: str = ""
    new: str = ""
    old: str | None = None
    reason: str = ""
    check_id: str = ""
    remarks: Mapping[str, str] = field(default_factory=dict)


class WishError(Exception):
    """Why a wish is not entered, in a sentence without any answer. code: for scripts."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Desk:
    """One record on the table: what it says, and what is being entered about it."""

    def __init__(
        self,
        cleaner: Cleaner,
        questions: Questions,
        about: StoredSubmission,
        stored: Sequence[StoredEntry],
        shown: Veil,
    ) -> None:
        self.about = about
        self.entries: list[tuple[int, dict[str, Any]]] = []
        self._questions = questions
        self._at = cleaner.line.place(about.version)
        self._schema = cleaner.schema(about)
        self._shown = shown
        self._stored = stored
        self._known = cleaner.entries(about, stored)
        self.seen = seen_of(stored)
        self._merged: dict[str, Any] = orjson.loads(about.answers)
        self._clean = fold(self._merged, self._known, self._schema, keep_rows=True)
        self._cells = read(self._merged, self._schema)
        self._asked: dict[str, tuple[int, EntryKind, str]] = {}

    def take(self, wish: Wish) -> bool:
        """Add the entry that a wish comes to; False when it is so already. Raises WishError."""
        cell, kind, new = self._read(wish)
        if self.about.encrypted and cell:
            raise WishError("sealed", "The record is sealed: its answers cannot be read here.")
        if self._shown.hides_cell(cell):
            raise WishError("hidden", "Only who may see this question's answers may clean them.")
        current = self._current(cell)
        if kind is not EntryKind.NO_ACTION and cell in self._asked:
            number, *other = self._asked[cell]
            if other != [kind, new]:
                raise WishError("contradiction", f"Line {number} says something else about the same answer.")
            return False
        if self._is_so(cell, kind, new, current, wish):
            return False
        if wish.old is not None and wish.old.strip() and not self._is_meant(cell, wish.old, current):
            raise WishError("other-old-value", "The record says something else than the log's old value.")
        if kind is not EntryKind.NO_ACTION:
            self._asked[cell] = (wish.number, kind, new)
        entry = entry_of(
            kind,
            self._schema.version,
            cell,
            old=current,
            new=new,
            base="" if kind is EntryKind.NO_ACTION else base_of(self._cells, cell) if cell else "",
            reason=wish.reason,
            check_id=wish.check_id,
            supersedes=[] if kind is EntryKind.NO_ACTION else sorted(standing_ids(self._known, cell)),
            remarks=dict(wish.remarks),
        )
        self.entries.append((wish.number, entry))
        return True

    def _read(self, wish: Wish) -> tuple[str, EntryKind, str]:
        """What a wish is about, and what it does there."""
        kind, new = wish.kind, wish.new
        if kind is EntryKind.REMOVE_RECORD or not (wish.name or wish.row):
            if kind not in {EntryKind.REMOVE_RECORD, EntryKind.NO_ACTION, EntryKind.RESTORE}:
                raise WishError("no-question", "The line names no question.")
            return "", kind, ""
        name, rows = split_rows(wish.name)
        try:
            spot = self._spot(name, rows or wish.row)
            cell = locate(self._merged, self._schema, spot.path, rows or wish.row)
        except NoPlaceError as error:
            raise WishError("unknown-question", str(error)) from None
        if kind is EntryKind.REMOVE_ROW or spot.field is None:
            cell = cell.rpartition("]")[0] + "]"
            if kind not in {EntryKind.REMOVE_ROW, EntryKind.RESTORE, EntryKind.NO_ACTION} or cell == "]":
                raise WishError("no-question", "The line names a repeat, not a question or a row of it.")
            return cell, kind, ""
        if spot.path in IDENTITY:
            raise WishError("unknown-question", "The ID of a record cannot be changed.")
        if spot.choice or kind in OPTIONS:
            return self._read_option(spot, cell, kind, new)
        if kind is EntryKind.CHANGE:
            if not new.strip():
                return cell, EntryKind.BLANK, ""
            _check(spot.field, new)
            return cell, kind, new
        return cell, kind, ""

    def _spot(self, name: str, row: str) -> Spot:
        repeat = split_rows(row.partition("/")[2] or row)[0].rpartition("/")[2]
        return self._questions.find(self._at, name or repeat)

    def _read_option(self, spot: Spot, cell: str, kind: EntryKind, new: str) -> tuple[str, EntryKind, str]:
        assert spot.field is not None, "a choice is one of a question"
        if spot.field.type not in SETS:
            raise WishError("no-set", "Only a select_multiple has choices to add or remove.")
        choice = (spot.choice or new).strip()
        if kind is EntryKind.CHANGE:
            said = new.strip().lower()
            if said not in YES | NO:
                raise WishError("wrong-type", "A choice is chosen (1) or not (0).")
            kind = EntryKind.ADD_OPTION if said in YES else EntryKind.REMOVE_OPTION
        elif kind is EntryKind.BLANK:
            kind = EntryKind.REMOVE_OPTION
        if len(choice.split()) != 1:
            raise WishError("no-choice", "Name one choice.")
        if kind is EntryKind.ADD_OPTION:
            _check(spot.field, choice)
        return f"{cell}#{choice}", kind, ""

    def _current(self, cell: str) -> str:
        found = text_of(self._clean.document, self._schema, cell) if cell else ""
        if found is None:
            raise WishError("unknown-question", "There is no such answer in this record.")
        return found

    def _is_meant(self, cell: str, old: str, current: str) -> bool:
        if "#" in cell:
            return (old.strip().lower() in YES) == bool(current) if old.strip().lower() in YES | NO else False
        node = self._schema.by_path.get(path_of(cell))
        return not isinstance(node, Field) or _said(node, old) == _said(node, current)

    def _is_so(self, cell: str, kind: EntryKind, new: str, current: str, wish: Wish) -> bool:
        match kind:
            case EntryKind.REMOVE_RECORD:
                return self._clean.removal is not None
            case EntryKind.RESTORE:
                return not standing_ids(self._known, cell)
            case EntryKind.NO_ACTION:
                noted = (kind.value, cell, wish.reason, wish.check_id)
                return any((one.kind, one.cell, one.reason, one.check_id) == noted for one in self._stored)
            case EntryKind.REMOVE_ROW:
                return any(
                    one.kind is kind and one.cell == cell and self._clean.status[one.id] is Status.APPLIED
                    for one in self._known
                )
            case EntryKind.ADD_OPTION:
                return bool(current)
            case EntryKind.REMOVE_OPTION:
                return not current
        node = self._schema.by_path[path_of(cell)]
        return isinstance(node, Field) and _said(node, new) == _said(node, current)


def entry_of(
    kind: EntryKind,
    version: str,
    cell: str,
    *,
    old: str = "",
    new: str = "",
    base: str = "",
    reason: str = "",
    check_id: str = "",
    supersedes: Sequence[str] = (),
    undoes: str = "",
    remarks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """An entry as a fact has it."""
    return {
        "kind": kind.value,
        "version": version,
        "cell": cell,
        "old": old,
        "new": new,
        "base": base,
        "reason": reason,
        "check_id": check_id,
        "supersedes": list(supersedes),
        "undoes": undoes,
        "remarks": dict(remarks or {}),
    }


def seen_of(entries: Iterable[StoredEntry]) -> str:
    """Return what names everything entered about a record so far."""
    return digest((one.stamp, one.id) for one in entries)[:16]


def _check(field: Field, text: str) -> None:
    if any(sign < " " and sign not in "\t\n\r" for sign in text):
        raise WishError("wrong-type", "The new value holds a sign that no answer can hold.")
    try:
        values.read(field.type, field, text)
    except values.WrongTypeError as wrong:
        code = "unknown-choice" if field.choices else "wrong-type"
        raise WishError(code, f"The new value does not fit the question ({field.type}): {wrong}.") from None


def _said(field: Field, text: str) -> str:
    try:
        value = values.read(field.type, field, text)
    except values.WrongTypeError:
        value = None
    return values.canonical(field.type, text, value)

"""Writing the cleaning log: what people ask for is held against the records, told line by line, and entered as facts.

A plan says what would be entered and what is wrong with the rest; recording it is one transaction, with one fact for
each record, so that erasing a record takes only what was said of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection

from forms import values
from forms.cells import path_of
from forms.schema import IDENTITY, Field
from server import projection
from server.cleaned import Cleaner, open_cleaner
from server.cleaning_places import SETS, NoPlaceError, Questions, Spot, locate, split_rows
from server.disclosure import Veil, veil
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import cleaning, journal, submissions
from server.store.cleaning import AT_ONCE_MAX, StoredEntry
from server.store.engine import reading, writing
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import EntryKind, Status, base_of, digest, fold, read, standing_ids, text_of
from sync.journal import Fact, Kind

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


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is not entered, in a sentence without any answer. code: for scripts."""

    number: int
    code: str
    message: str


@dataclass(frozen=True)
class Planned:
    """What would be entered about one record: (the wish's number, the entry as the fact has it). seen: see `Given`."""

    about: StoredSubmission
    seen: str
    entries: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True)
class Plan:
    """What a list of wishes comes to. unchanged: numbers of those that ask for what is so already."""

    form: FormKey
    records: tuple[Planned, ...]
    faults: tuple[Fault, ...]
    unchanged: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many entries it makes."""
        return sum(len(one.entries) for one in self.records)


def plan(
    connection: Connection, node: Node, form: FormKey, wishes: Iterable[Wish], *, personal: bool
) -> Plan:
    """Return what wishes come to; nothing changes. personal: whether the person may see all answers."""
    cleaner = open_current(connection, node, form)
    shown, questions = veil(cleaner.line, personal=personal), Questions(cleaner.line)
    by_record: dict[str, list[Wish]] = {}
    faults: list[Fault] = []
    unchanged: list[int] = []
    found: dict[str, StoredSubmission] = {}
    for wish in wishes:
        about = _find(connection, form, wish.instance_id)
        if about is None:
            faults.append(Fault(wish.number, "unknown-record", "There is no record with this ID."))
            continue
        found[about.instance_id] = about
        by_record.setdefault(about.instance_id, []).append(wish)
    stored = cleaning.entries_of(connection, form, by_record)
    records = []
    for instance_id, asked in by_record.items():
        desk = _Desk(cleaner, questions, found[instance_id], stored.get(instance_id, []), shown)
        for wish in asked:
            try:
                if not desk.take(wish):
                    unchanged.append(wish.number)
            except _WishError as error:
                faults.append(Fault(wish.number, error.code, str(error)))
        if desk.entries:
            records.append(Planned(desk.about, desk.seen, tuple(desk.entries)))
    faults.sort(key=lambda one: one.number)
    return Plan(form, tuple(records), tuple(faults), tuple(sorted(unchanged)))


def record(node: Node, actor: Actor, planned: Plan) -> str:
    """Enter a plan in one transaction, bring the state up to it, and return the batch's name, "" for nothing.

    Entered twice it is there once.
    """
    given = {
        one.about.instance_id: Given(one.seen, [entry for _, entry in one.entries]) for one in planned.records
    }
    return enter(node, actor, planned.form, given)


@dataclass(frozen=True)
class Given:
    """Entries about one record as the fact has them. seen: names what was entered about it before, so that the same
    said again after it was taken back is another fact.
    """

    seen: str
    entries: list[dict[str, Any]]


def enter(node: Node, actor: Actor, form: FormKey, given: Mapping[str, Given]) -> str:
    """Enter entries, by record, as the facts have them; see `record`."""
    if not given:
        return ""
    content = orjson.dumps([form, given, actor.id], option=orjson.OPT_SORT_KEYS)
    batch = hashlib.sha256(content).hexdigest()[:16]
    facts = []
    for instance_id, said in given.items():
        for start in range(0, len(said.entries), AT_ONCE_MAX):
            whole = {
                "form_id": form[1],
                "instance_id": instance_id,
                "batch": batch,
                "actor_id": actor.id,
                "actor_name": actor.name,
                "seen": said.seen,
                "entries": said.entries[start : start + AT_ONCE_MAX],
            }
            detail = orjson.dumps(whole)
            key = hashlib.sha256(orjson.dumps([Kind.CLEANING, form[0]]) + detail).digest()
            facts.append(Fact(Kind.CLEANING, form[0], key, detail))
    with writing(node.engine) as connection:
        journal.append(connection, facts)
    node.catch_up()
    return batch


def undo(
    node: Node,
    actor: Actor,
    form: FormKey,
    *,
    batch: str = "",
    ids: Sequence[str] = (),
    reason: str = "",
    personal: bool,
) -> str:
    """Take back entries: a batch as a whole, or single ones; return the new batch. Taken back itself, they are back.

    Raises Problem 409.34 when none of them stands, 403.1 when one is about an answer that the person may not see.
    """
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        named = (
            cleaning.list_entries(connection, form, batch=batch)
            if batch
            else cleaning.find_entries(connection, form, ids)
        )
        abouts = {one.instance_id: _find(connection, form, one.instance_id) for one in named}
        page = list({about.instance_id: about for about in abouts.values() if about}.values())
        cleaned = cleaner.clean(connection, page)
    status = {name: one for done in cleaned.values() for name, one in done.status.items()}
    standing = [one for one in named if status.get(one.id, Status.UNDONE) is not Status.UNDONE]
    if not standing:
        raise Problem(409.34, "No entry of these stands: there are none, or they are undone already.")
    shown = veil(cleaner.line, personal=personal)
    if any(shown.hides_cell(one.cell) for one in standing):
        raise Problem(403.1, "This account may not clean answers that it may not see.")
    given: dict[str, Given] = {}
    for one in standing:
        about = abouts[one.instance_id]
        assert about is not None, "what stands is about a record that is here"
        seen = _seen(cleaned[about.instance_id].entries)
        given.setdefault(one.instance_id, Given(seen, [])).entries.append(
            _entry(EntryKind.UNDO, one.version, one.cell, reason=reason, undoes=one.id)
        )
    return enter(node, actor, form, given)


def open_current(connection: Connection, node: Node, form: FormKey) -> Cleaner:
    """Return what cleans a form's records by the whole log as far as it is state."""
    return open_cleaner(connection, node.schemas, form, journal.cursor(connection, projection.CURSOR))


class _WishError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Desk:
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
        self.seen = _seen(stored)
        self._merged: dict[str, Any] = orjson.loads(about.answers)
        self._clean = fold(self._merged, self._known, self._schema, keep_rows=True)
        self._cells = read(self._merged, self._schema)
        self._asked: dict[str, tuple[int, EntryKind, str]] = {}

    def take(self, wish: Wish) -> bool:
        """Add the entry that a wish comes to; False when it is so already. Raises _WishError."""
        cell, kind, new = self._read(wish)
        if self.about.encrypted and cell:
            raise _WishError("sealed", "The record is sealed: its answers cannot be read here.")
        if self._shown.hides_cell(cell):
            raise _WishError("hidden", "Only who may see this question's answers may clean them.")
        current = self._current(cell)
        if kind is not EntryKind.NO_ACTION and cell in self._asked:
            number, *other = self._asked[cell]
            if other != [kind, new]:
                raise _WishError("contradiction", f"Line {number} says something else about the same answer.")
            return False
        if self._is_so(cell, kind, new, current, wish):
            return False
        if wish.old is not None and wish.old.strip() and not self._is_meant(cell, wish.old, current):
            raise _WishError("other-old-value", "The record says something else than the log's old value.")
        if kind is not EntryKind.NO_ACTION:
            self._asked[cell] = (wish.number, kind, new)
        entry = _entry(
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
                raise _WishError("no-question", "The line names no question.")
            return "", kind, ""
        name, rows = split_rows(wish.name)
        try:
            spot = self._spot(name, rows or wish.row)
            cell = locate(self._merged, self._schema, spot.path, rows or wish.row)
        except NoPlaceError as error:
            raise _WishError("unknown-question", str(error)) from None
        if kind is EntryKind.REMOVE_ROW or spot.field is None:
            cell = cell.rpartition("]")[0] + "]"
            if kind not in {EntryKind.REMOVE_ROW, EntryKind.RESTORE, EntryKind.NO_ACTION} or cell == "]":
                raise _WishError("no-question", "The line names a repeat, not a question or a row of it.")
            return cell, kind, ""
        if spot.path in IDENTITY:
            raise _WishError("unknown-question", "The ID of a record cannot be changed.")
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
            raise _WishError("no-set", "Only a select_multiple has choices to add or remove.")
        choice = (spot.choice or new).strip()
        if kind is EntryKind.CHANGE:
            said = new.strip().lower()
            if said not in YES | NO:
                raise _WishError("wrong-type", "A choice is chosen (1) or not (0).")
            kind = EntryKind.ADD_OPTION if said in YES else EntryKind.REMOVE_OPTION
        elif kind is EntryKind.BLANK:
            kind = EntryKind.REMOVE_OPTION
        if len(choice.split()) != 1:
            raise _WishError("no-choice", "Name one choice.")
        if kind is EntryKind.ADD_OPTION:
            _check(spot.field, choice)
        return f"{cell}#{choice}", kind, ""

    def _current(self, cell: str) -> str:
        found = text_of(self._clean.document, self._schema, cell) if cell else ""
        if found is None:
            raise _WishError("unknown-question", "There is no such answer in this record.")
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


def _entry(
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


def _seen(entries: Iterable[StoredEntry]) -> str:
    return digest((one.stamp, one.id) for one in entries)[:16]


def _check(field: Field, text: str) -> None:
    if any(sign < " " and sign not in "\t\n\r" for sign in text):
        raise _WishError("wrong-type", "The new value holds a sign that no answer can hold.")
    try:
        values.read(field.type, field, text)
    except values.WrongTypeError as wrong:
        code = "unknown-choice" if field.choices else "wrong-type"
        raise _WishError(code, f"The new value does not fit the question ({field.type}): {wrong}.") from None


def _said(field: Field, text: str) -> str:
    try:
        value = values.read(field.type, field, text)
    except values.WrongTypeError:
        value = None
    return values.canonical(field.type, text, value)


def _find(connection: Connection, form: FormKey, name: str) -> StoredSubmission | None:
    """The record of an instanceID, which logs of other tools have without its `uuid:`."""
    found = submissions.find_submission(connection, *form, name)
    if found is None and not name.startswith("uuid:"):
        found = submissions.find_submission(connection, *form, f"uuid:{name}")
    return found

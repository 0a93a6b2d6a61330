"""The cleaning log: what people changed of a record for the clean view, and the clean record that follows.

What was received is never touched: clean = fold(merged view, log). The log is a set of entries that only grows; the
fold is a pure function of that set, so that nodes that hold the same entries show the same clean records in whatever
order those came. An entry that somebody has taken back (`undo`) or replaced knowingly (`supersedes`) counts no more;
taking back the taking back brings it back. It names the answer that it was made upon (`base`): when the merged view
says something else by now, the entry is left and shown, never applied unseen.

A cell names an answer as `forms.cells` does, `/member[uuid:1]/age`; in a repeat without a key by its place from 1,
`/member[@2]/age`, and holds as long as nothing in that repeat changes. `/needs#water` is one choice of a
select_multiple, `/member[uuid:1]` a row, "" the record.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from forms import cells, instance
from forms.cells import BLANK, OWN_TEXT
from forms.merge_rules import Shape
from forms.schema import FormSchema

AT = "[@"
"""Begins the place of a row that has no key."""
RECORD = ""


class EntryKind(StrEnum):
    """What an entry does. RESTORE: what it names is as in the merged view. NO_ACTION: somebody looked; it is right."""

    CHANGE = "change"
    BLANK = "blank"
    ADD_OPTION = "add_option"
    REMOVE_OPTION = "remove_option"
    REMOVE_ROW = "remove_row"
    REMOVE_RECORD = "remove_record"
    RESTORE = "restore"
    NO_ACTION = "no_action"
    UNDO = "undo"


SILENT = frozenset({EntryKind.NO_ACTION, EntryKind.UNDO})


class Status(StrEnum):
    """What became of an entry. CHANGED: the record was edited since. NO_PLACE: there is no such row or answer now.

    CONTESTED: somebody who did not know of it changed the same later, and that is shown.
    """

    APPLIED = "applied"
    NOTED = "noted"
    UNDONE = "undone"
    SUPERSEDED = "superseded"
    CONTESTED = "contested"
    CHANGED = "changed"
    NO_PLACE = "no_place"


LEFT = frozenset({Status.CONTESTED, Status.CHANGED, Status.NO_PLACE})
"""What somebody has to look at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry about one record.

    id: of its content, so that an entry can only name what was there before it. stamp: of the journal; the later of
    two counts. cell: in the form version that the record is shown in. new: the answer or the choice. base: what the
    merged view meant by the cell, see `base_of`. supersedes: entries about the cell that its author knew.
    """

    id: str
    stamp: int
    kind: EntryKind
    cell: str
    new: str = ""
    base: str = ""
    supersedes: frozenset[str] = frozenset()
    undoes: str = ""

    @property
    def rank(self) -> tuple[int, str]:
        """Orders entries; the same at every node."""
        return (self.stamp, self.id)


@dataclass(frozen=True)
class Cleaned:
    """A record as the log has it. removal: the entry that takes it out of the clean view. status: by entry."""

    document: Mapping[str, Any]
    removal: Entry | None = None
    status: Mapping[str, Status] = field(default_factory=dict)


def fold(
    document: Mapping[str, Any], entries: Iterable[Entry], schema: FormSchema, *, keep_rows: bool = False
) -> Cleaned:
    """Return the clean record of a merged one, which stays as it is. document: as `instance.to_json` gives it.

    keep_rows: leave rows that entries remove, so that each stands at its place.
    """
    known = {one.id: one for one in entries}
    status = {
        one.id: Status.NOTED if one.kind in SILENT else Status.SUPERSEDED for one in known.values()
    } | dict.fromkeys(_undone(known.values()), Status.UNDONE)
    standing = [one for one in known.values() if status[one.id] is Status.SUPERSEDED]
    replaced = frozenset().union(*(one.supersedes for one in standing))
    heads: dict[str, list[Entry]] = {}
    for one in sorted(standing, key=lambda one: one.rank, reverse=True):
        if one.id not in replaced:
            heads.setdefault(one.cell, []).append(one)
    draft = _Draft(document, schema)
    removal = None
    for one in _in_turn(heads):
        for other in heads[one.cell][1:]:
            alike = (other.kind, other.new) == (one.kind, one.new)
            status[other.id] = Status.SUPERSEDED if alike else Status.CONTESTED
        if one.cell == RECORD:
            status[one.id] = Status.APPLIED
            removal = one if one.kind is EntryKind.REMOVE_RECORD else None
        else:
            status[one.id] = draft.apply(one)
    if not keep_rows:
        draft.drop_rows()
    return Cleaned(draft.document, removal, status)


def base_of(found: cells.Cells, cell: str) -> str:
    """Return what an entry about a cell is made upon: its meaning, or that of the whole repeat that has no key."""
    return found.get(cell.partition("#")[0].partition(AT)[0], BLANK).said


def read(document: Mapping[str, Any], schema: FormSchema) -> cells.Cells:
    """Return a record as the cells that `base_of` looks into."""
    return cells.read(instance.from_json(document, schema), schema, Shape(frozenset(), _keys(schema)))


def text_of(document: Mapping[str, Any], schema: FormSchema, cell: str) -> str | None:
    """Return the text in a cell: of an answer, "" when blank; of a row or choice whether it is there, "" when not.

    None when the row around it is not there.
    """
    name, _, choice = cell.partition("#")
    keys = _keys(schema)
    parent, leaf = _find(document, keys, name)
    if parent is None:
        return None
    if leaf.endswith("]"):
        return cells.HERE.text if _row(parent, leaf, keys, name) is not None else ""
    text = _text(parent.get(leaf))
    return text if text is None or not choice else (choice if choice in text.split() else "")


def numbered(document: Mapping[str, Any], schema: FormSchema, cell: str) -> str:
    """Return a cell's name with each row by its number from 1, `/member[2]/age`. The rows must be there."""
    keys = _keys(schema)
    node: Any = document
    path, name = "", ""
    for step in cell.split("/")[1:]:
        path = f"{path}/{step}"
        if not step.endswith("]"):
            node, name = node.get(step, {}) if isinstance(node, dict) else {}, f"{name}/{step}"
            continue
        row, rows = _row(node, step, keys, path), step.partition("[")[0]
        assert row is not None, "the row is there"
        number = next(place for place, one in enumerate(node[rows], 1) if one is row)
        node, name = row, f"{name}/{rows}[{number}]"
    return name


def digest(entries: Iterable[tuple[int, str]]) -> str:
    """Return the SHA-256 (hex) of a log, by its (stamp, id): the same for the same entries."""
    lines = (f"{stamp} {name}\n" for stamp, name in sorted(entries))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def standing_ids(entries: Iterable[Entry], cell: str) -> frozenset[str]:
    """Return the entries about a cell that somebody who changes it now replaces."""
    known = list(entries)
    undone = _undone(known)
    return frozenset(
        one.id for one in known if one.cell == cell and one.kind not in SILENT and one.id not in undone
    )


def _undone(entries: Iterable[Entry]) -> set[str]:
    """Those taken back. An entry names only what was there before it, so that this ends."""
    undoing: dict[str, list[str]] = {}
    for one in entries:
        if one.kind is EntryKind.UNDO:
            undoing.setdefault(one.undoes, []).append(one.id)

    known: dict[str, bool] = {}
    for start in undoing:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            by = undoing.get(name, ())
            unknown = [other for other in by if other not in known]
            if unknown:
                waiting += unknown
            else:
                known[name] = any(not known[other] for other in by)
                waiting.pop()
    return {name for name, is_undone in known.items() if is_undone}


def _in_turn(heads: Mapping[str, list[Entry]]) -> list[Entry]:
    """The newest of each cell: whole answers before their choices, and no choice older than the whole answer."""
    newest = {cell: found[0] for cell, found in heads.items()}
    turn = []
    for cell in sorted(newest, key=lambda cell: ("#" in cell, cell)):
        one = newest[cell]
        whole = newest.get(cell.partition("#")[0]) if "#" in cell else None
        if whole is None or whole.rank < one.rank:
            turn.append(one)
    return turn


class _Draft:
    """A copy of a record that entries are applied to. Rows go last, so that places stay what they were."""

    def __init__(self, document: Mapping[str, Any], schema: FormSchema) -> None:
        self.document: dict[str, Any] = copy.deepcopy(dict(document))
        self._schema = schema
        self._keys = _keys(schema)
        self._found = read(document, schema)
        self._dropped: list[tuple[dict[str, Any], str, Mapping[str, Any]]] = []

    def apply(self, one: Entry) -> Status:
        """Do what an entry says, unless the record says something else than it was made upon."""
        name, _, choice = one.cell.partition("#")
        parent, leaf = _find(self.document, self._keys, name)
        if parent is None:
            return Status.NO_PLACE
        if (AT in name or not choice) and base_of(self._found, one.cell) != one.base:
            return Status.CHANGED
        if one.kind is EntryKind.RESTORE:
            return Status.APPLIED
        if one.kind is EntryKind.REMOVE_ROW:
            row = _row(parent, leaf, self._keys, name)
            if row is None:
                return Status.NO_PLACE
            self._dropped.append((parent, leaf.partition("[")[0], row))
            return Status.APPLIED
        before = _text(parent.get(leaf))
        if before is None:
            return Status.NO_PLACE
        chosen = before.split()
        match one.kind:
            case EntryKind.ADD_OPTION:
                text = before if choice in chosen else " ".join([*chosen, choice])
            case EntryKind.REMOVE_OPTION:
                text = " ".join(one for one in chosen if one != choice) if choice in chosen else before
            case EntryKind.BLANK:
                text = ""
            case _:
                text = one.new
        if isinstance(parent.get(leaf), dict):
            parent[leaf][OWN_TEXT] = text
        elif text or leaf in parent:
            parent, _ = _find(self.document, self._keys, name, make=True)
            assert parent is not None, "it was there"
            parent[leaf] = text
        return Status.APPLIED

    def drop_rows(self) -> None:
        """Take out the rows that entries remove."""
        for parent, name, row in self._dropped:
            parent[name] = [one for one in parent[name] if one is not row]


def _keys(schema: FormSchema) -> Mapping[str, str]:
    return {repeat.path: repeat.row_key for repeat in schema.repeats if repeat.row_key}


def _find(
    document: Mapping[str, Any], keys: Mapping[str, str], name: str, *, make: bool = False
) -> tuple[dict[str, Any] | None, str]:
    """Return what holds the last part of a cell's name, and that part; None when a row around it is not there.

    make: add groups that are not there, since nothing in them was asked.
    """
    *steps, leaf = name.split("/")[1:]
    node: Any = document
    path = ""
    for step in steps:
        path = f"{path}/{step}"
        if step.endswith("]"):
            node = _row(node, step, keys, path)
        else:
            node = node.setdefault(step, {}) if make else node.get(step, {})
        if not isinstance(node, dict):
            return None, leaf
    return node, leaf


def _row(
    parent: Mapping[str, Any], step: str, keys: Mapping[str, str], path: str
) -> Mapping[str, Any] | None:
    """Return the row that a step of a cell's name means: by place, or the only one with that key."""
    name, _, key = step[:-1].partition("[")
    rows = parent.get(name)
    if not isinstance(rows, list):
        return None
    if key.startswith("@"):
        place = int(key[1:]) - 1 if key[1:].isdecimal() else -1
        found = [rows[place]] if 0 <= place < len(rows) else []
    else:
        own = keys.get(cells.path_of(path), "")
        found = [row for row in rows if isinstance(row, dict) and (_text(row.get(own)) or "").strip() == key]
    return found[0] if len(found) == 1 and isinstance(found[0], dict) else None


def _text(node: object) -> str | None:
    """The text of an answer, "" when it is not there; None of what is no single answer."""
    match node:
        case None:
            return ""
        case str():
            return node
        case dict() if all(name[0] in "@#" for name in node):
            return str(node.get(OWN_TEXT, ""))
    return None

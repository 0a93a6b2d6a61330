"""What the cleaning log comes to in the tables of an export, step by step: the merged tables and these steps are the clean ones.

Written as scripts by `server.cleaning.scripts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from forms.cells import path_of
from server.cleaning.records import Cleaned, Cleaner, open_cleaner
from server.exports.layout import Layout
from server.exports.options import Options, View
from server.exports.rows import Answers, Reader, Row, as_texts, reader
from server.exports.scope import open_scope
from server.exports.variables import Variable, variables
from server.node import Node
from server.store import submissions
from server.store.engine import reading
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import EntryKind, Status, fold, numbered

PAGE = 100
KEY, PARENT_KEY = "KEY", "PARENT_KEY"


@dataclass(frozen=True, slots=True)
class Change:
    """Another text in one cell of the table's row with this KEY. place: of the column, from 0. why: the log's reasons."""

    key: str
    place: int
    old: str
    new: str
    why: str


@dataclass(frozen=True, slots=True)
class Drop:
    """All rows of the table go that have this in the column, KEY or PARENT_KEY."""

    column: str
    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Rename:
    """A row that stands behind one that went is counted anew."""

    old: str
    key: str
    parent: str


@dataclass(frozen=True, slots=True)
class Steps:
    """What becomes of one table. name: of its file, without ending. columns: their titles in order.

    Changes come first, then drops, then renames, each in the order given: no row takes a name that another still has.
    """

    name: str
    columns: tuple[str, ...]
    changes: list[Change] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    renames: list[Rename] = field(default_factory=list)

    def own(self, title: str) -> int:
        """Return the place of the export's own KEY or PARENT_KEY: a question of that name stands before it."""
        return len(self.columns) - 1 - self.columns[::-1].index(title)


@dataclass(frozen=True, slots=True)
class Log:
    """The steps of all tables, the form's own first. count, sha256: of the log, as an export's manifest tells them."""

    form_id: str
    personal: bool
    cut_off: int
    count: int
    sha256: str
    tables: tuple[Steps, ...]


def read_steps(node: Node, form: FormKey, *, personal: bool) -> Log:
    """Return what the log changes of the tables of a plain export. personal: False leaves out what few may see.

    Raises Problem 404.1.
    """
    options = Options(view=View.CLEAN, personal=personal)
    with reading(node.engine) as connection:
        scope = open_scope(connection, node, *form, options, now=node)
        cleaner = open_cleaner(connection, node.schemas, form, scope.cut_off)
        columns = [variables(table) for table in scope.tables]
        tables = tuple(
            Steps(scope.name(table), tuple(one.title for one in found))
            for table, found in zip(scope.tables, columns, strict=True)
        )
        walk = _Walk(cleaner, scope.layout, columns, tables)
        after = 0
        while page := submissions.list_submissions(connection, *form, after, PAGE):
            found = cleaner.clean(connection, page)
            for one in page:
                if one.instance_id in found:
                    walk.add(one, found[one.instance_id])
            after = page[-1].position
    return Log(form[1], personal, scope.cut_off, cleaner.count, cleaner.sha256, tables)


@dataclass
class _Walk:
    """Adds up the steps, record by record."""

    cleaner: Cleaner
    layout: Layout
    columns: Sequence[Sequence[Variable]]
    tables: Sequence[Steps]
    _readers: dict[str, Reader] = field(default_factory=dict)

    def add(self, one: StoredSubmission, done: Cleaned) -> None:
        merged = {} if one.encrypted else orjson.loads(one.answers)
        before = self._rows(one, merged)
        if done.is_removed:
            self.tables[0].drops.append(Drop(KEY, one.instance_id, _why(done.reason, done.check_id)))
            self._drop(before, lambda _: True)
            return
        schema = self.cleaner.schema(one)
        whole = fold(merged, self.cleaner.entries(one, done.entries), schema, keep_rows=True)
        changed = self._rows(one, dict(whole.document))
        reasons, gone = self._told(one, merged, done)
        for steps, columns, old, new in zip(self.tables, self.columns, before, changed, strict=True):
            steps.changes.extend(_changes(columns, old, new, reasons))
        for steps, rows in zip(self.tables, before, strict=True):
            steps.drops.extend(Drop(KEY, row[-1], gone[row[-1]]) for row in rows if row[-1] in gone)
        above = tuple(f"{key}/" for key in gone)
        self._drop(before, lambda key: key.startswith(above) and key not in gone)
        for steps, old, new in zip(self.tables, changed, self._rows(one, done.answers), strict=True):
            kept = [row[-1] for row in old if row[-1] not in gone and not row[-1].startswith(above)]
            steps.renames.extend(
                Rename(key, row[-1], row[-2]) for key, row in zip(kept, new, strict=True) if key != row[-1]
            )

    def _drop(self, rows: Sequence[list[Row]], is_meant: Callable[[str], bool]) -> None:
        """Drop rows of repeats by the row around them."""
        for steps, found in zip(self.tables[1:], rows[1:], strict=True):
            parents = dict.fromkeys(row[-2] for row in found if is_meant(row[-1]))
            steps.drops.extend(Drop(PARENT_KEY, parent, "") for parent in parents)

    def _rows(self, one: StoredSubmission, document: Answers) -> tuple[list[Row], ...]:
        """A record's rows by table, each with its KEY last, and before it, in a repeat, its PARENT_KEY."""
        if one.version not in self._readers:
            spots = self.layout.spots.get(one.version, self.layout.elsewhere)
            self._readers[one.version] = reader(self.layout.tables, spots)
        rows: tuple[list[Row], ...] = tuple([] for _ in self.tables)
        cells = self._readers[one.version].read(document, one.instance_id, rows, set())
        rows[0].append(["", *cells, one.instance_id])
        return tuple(map(as_texts, rows))

    def _told(
        self, one: StoredSubmission, merged: Answers, done: Cleaned
    ) -> tuple[Mapping[tuple[str, int], str], Mapping[str, str]]:
        """Why something changes, by the row's KEY and the question; and why rows go, by their KEYs."""
        schema = self.cleaner.schema(one)
        spots = self.layout.spots.get(one.version, self.layout.elsewhere)
        questions = {spot.path: question for spot, question in spots.items()}
        reasons: dict[tuple[str, int], str] = {}
        gone: dict[str, str] = {}
        for entry in done.entries:
            if done.status[entry.id] is not Status.APPLIED:
                continue
            cell = self.cleaner.cell(one, entry.version, entry.cell)
            place, why = numbered(merged, schema, cell), _why(entry.reason, entry.check_id)
            row = one.instance_id + place[: place.rfind("]") + 1]
            if entry.kind == EntryKind.REMOVE_ROW:
                gone[row] = why
            elif path_of(cell) in questions:
                name = (row, questions[path_of(cell)])
                reasons[name] = "; ".join(filter(None, (reasons.get(name), why)))
        return reasons, gone


def _changes(
    columns: Sequence[Variable], old: list[Row], new: list[Row], reasons: Mapping[tuple[str, int], str]
) -> Iterator[Change]:
    for before, after in zip(old, new, strict=True):
        # the last of the columns are what no form asks
        for place, (column, text, other) in enumerate(zip(columns, before, after, strict=False)):
            if text != other:
                why = reasons.get((before[-1], column.column.question), "") if column.column else ""
                yield Change(before[-1], place, text, other, why)


def _why(reason: str, check_id: str) -> str:
    return ": ".join(filter(None, (check_id, reason)))

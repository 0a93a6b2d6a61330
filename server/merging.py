"""The view of a stored submission: its revisions as cells of one form version, merged by `sync.view`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import orjson

from forms import cells, instance
from forms.cells import Cell, Cells
from forms.instance import Tree
from forms.lineage import Version, trace
from forms.merge_rules import MergeRules, Shape, merge_rules
from forms.recheck import Recheck
from forms.schema import FormSchema
from sync.clock import to_datetime
from sync.registers import Snapshot
from sync.revision import Revision, RevisionKind
from sync.view import View, view

REMEMBERED_MAX = 8
"""So many revisions of a submission are kept in memory with all they say; of the others, what they changed."""
SEALED = "/@sealed"
"""Stands for answers that nobody here can read: as different as their bytes."""
BROKEN = "the answer does not fit the form's rule for it"
UNREAD = "the form's rule cannot be evaluated here; the answer is left as it is"


@dataclass(frozen=True)
class FormLine:
    """All published versions of one form, oldest first: which question of one is which of another."""

    versions: tuple[Version, ...]

    @cached_property
    def traced(self) -> tuple[Mapping[str, int], ...]:
        """The identity of the question at each path, by version."""
        return trace(self.versions)

    @cached_property
    def rules(self) -> tuple[MergeRules, ...]:
        """The merge rules of each version."""
        return tuple(merge_rules(version.schema) for version in self.versions)

    def place(self, name: str) -> int:
        """Return where a version stands in the line; one that was never published stands with the newest."""
        names = [version.schema.version for version in self.versions]
        return names.index(name) if name in names else len(names) - 1

    def moves(self, older: int, newer: int) -> Mapping[str, str]:
        """Return path in one version → path in the other, of what stands elsewhere."""
        paths = {one: path for path, one in self.traced[newer].items()}
        return {
            path: paths[one]
            for path, one in self.traced[older].items()
            if one in paths and paths[one] != path
        }


@dataclass(frozen=True, slots=True)
class Read:
    """One revision of a submission. tree: reads its answers; None for a decision, and where they cannot be read.

    decided: of a decision, the cells it gives. files: of an edit, name → SHA-256.
    """

    revision: Revision
    version: str
    tree: Callable[[], Tree | None]
    decided: Cells
    files: Mapping[str, str]


@dataclass(frozen=True)
class Merged:
    """A submission's view in one form version.

    current: the edit whose names it goes by; of sealed answers the one that is shown. document: the answers, as
    `instance.to_json` gives them. is_single: `current` says the same by itself.
    misfits: what does not fit the form although whoever answered knew it all, as {path, message}.
    """

    view: View
    schema: FormSchema
    current: Revision | None
    document: dict[str, Any]
    is_single: bool
    files: Mapping[str, str]
    named: frozenset[str]
    misfits: list[dict[str, str]]


FindLogic = Callable[[str], Recheck]
"""Gives what the form version of this name calculates and allows."""


def merge(line: FormLine, group: Iterable[Read], find_logic: FindLogic) -> Merged:
    """Return the view of one connected group of revisions, in the newest form version that any of them has."""
    reads = {one.revision.digest: one for one in group}
    edits = [one for one in reads.values() if one.revision.kind is RevisionKind.EDIT]
    newest = max((line.place(one.version) for one in edits), default=len(line.versions) - 1)
    rules, schema = line.rules[newest], line.versions[newest].schema

    @lru_cache(maxsize=REMEMBERED_MAX)
    def snapshot(digest: str) -> Snapshot:
        return _snapshot(line, reads[digest], newest)

    seen = view((one.revision for one in reads.values()), snapshot, rules)
    misfits: list[dict[str, str]] = []
    sealed = seen.shown.get(SEALED)
    current = next((one for one in seen.history.order if sealed and one.digest == sealed.text), seen.current)
    if seen.is_joined and current and not sealed:
        seen, misfits = rechecked(seen, current.stamp, find_logic(schema.version))
    document = cells.write({name: cell for name, cell in seen.shown.items() if name != SEALED})
    is_newest = any(one.revision == current and line.place(one.version) == newest for one in edits)
    own = snapshot(current.digest).cells if current else {}
    files = {}
    named = set()
    for name, cell in seen.shown.items():
        if cells.path_of(name) in rules.files:
            file, _, sha256 = cell.said.partition("\0")
            named.add(file)
            if sha256:
                files[file] = sha256
    is_single = is_newest and _said(own) == _said(seen.shown)
    return Merged(seen, schema, current, document, is_single, files, frozenset(named), misfits)


def rechecked(seen: View, stamp: int, logic: Recheck) -> tuple[View, list[dict[str, str]]]:
    """Return the view with what the form calculates of answers given apart, and with a conflict where they do not fit.

    stamp: the time of `now()` and `today()` in the form. The list tells, as {path, message}, of what does not fit
    although whoever answered knew it all, and of logic that cannot be evaluated here.
    """

    def stands(cell: str, paths: frozenset[str]) -> bool:
        sources = seen.involved(cell, paths)
        return seen.is_known(sources, [cell] if cell in seen.judge.registers else sources)

    done = logic.run(seen.shown, to_datetime(stamp), stands)
    problems = [{"path": path, "message": UNREAD} for path in done.unread]
    shown = {name: cell for name, cell in {**seen.shown, **done.calculated}.items() if cell.said}
    seen, misfits = replace(seen, shown=shown), []
    for one in done.broken:
        involved = seen.involved(one.cell, one.paths)
        if seen.is_known(involved, involved):
            problems.append({"path": one.path, "message": BROKEN})
        else:
            misfits.append(seen.misfit(one.cell, involved))
    return replace(seen, conflicts=(*seen.conflicts, *misfits)), problems


def encode(decided: Cells) -> str:
    """Return the cells of a decision as JSON."""
    return orjson.dumps({name: list(cell) for name, cell in decided.items()}).decode()


def decode(text: str) -> dict[str, Cell]:
    """Return what `encode` wrote."""
    return {name: Cell(*cell) for name, cell in orjson.loads(text).items()}


def _said(answers: Cells) -> dict[str, str]:
    """What answers say, whatever files came with them."""
    return {name: cell.said.partition("\0")[0] for name, cell in answers.items()}


def _snapshot(line: FormLine, one: Read, newest: int) -> Snapshot:
    own = line.place(one.version)
    if one.revision.kind is not RevisionKind.EDIT:
        return Snapshot(cells.moved(one.decided, line.moves(own, newest)), lambda _: True)
    tree = one.tree()
    if tree is None:
        return Snapshot({SEALED: Cell(one.revision.digest, one.revision.digest)}, lambda _: True, one.files)
    schema, rules = line.versions[own].schema, line.rules[newest]
    if own == newest:
        found: Cells = cells.read(tree, schema, Shape(rules.sets, rules.keys))
        known: Iterable[str] = schema.by_path
    else:
        moves = line.moves(own, newest)
        found = cells.moved(cells.read(tree, schema, rules.shape(schema, moves)), moves)
        known = (moves.get(path, path) for path in schema.by_path)
    return Snapshot(found, frozenset(known).__contains__, one.files)


def problems(merged: Merged) -> list[dict[str, str]]:
    """Return what is wrong with the merged answers by themselves, as {path, message}."""
    tree = instance.from_json(merged.document, merged.schema)
    return [
        {"path": field.path, "message": answer.problem}
        for field, answer in instance.iter_answers(tree, merged.schema)
        if field is not None and answer.problem
    ]

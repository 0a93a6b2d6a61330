"""The view of a submission: what is shown of its revisions, and what waits for a person.

A pure function of the set of revisions: the same at every node, whatever order they came in. Tablet time decides
nothing. `docs/merge.md` explains it with drawings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from forms.cells import BLANK, Cells, is_row, path_of, rows_of
from forms.merge_rules import MergeRules, Policy
from sync.history import History, bits_of, history, places_of
from sync.judge import MEASURED, Judge, Side, Unit
from sync.registers import DELETED, GONE, FindSnapshot, Ledger, Register, Shown, Units
from sync.revision import Revision, RevisionKind


class ConflictKind(StrEnum):
    """What people disagree about.

    VALUE: one field, several answers. UNIT: one changed a question, the other what is asked because of it. ROW: one
    deleted a row that the other changed. DELETED: one deleted the submission that the other changed. CONSTRAINT:
    each side fits the form, both together do not.
    """

    VALUE = "value"
    UNIT = "unit"
    ROW = "row"
    DELETED = "deleted"
    CONSTRAINT = "constraint"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One side. cells: its answers; blank ones are blank. writers: digests of the revisions that say so."""

    cells: Cells
    writers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Candidates for some cells; the first is the one shown. policy: what settled it, "" when people must.

    cells: the first names the conflict, whatever candidates come; of a unit, what the rest depends on. path: its path.
    """

    kind: ConflictKind
    path: str
    cells: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    policy: str = ""

    @property
    def state_digest(self) -> str:
        """What a person has seen who decides: another candidate makes another digest."""
        writers = sorted(writer for candidate in self.candidates for writer in candidate.writers)
        return hashlib.sha256("\n".join([self.kind, *self.cells, *writers]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided that still holds, and what there was to decide between."""

    revision: Revision
    cells: Cells
    candidates: Mapping[str, tuple[Candidate, ...]]


@dataclass(frozen=True)
class View:
    """What a submission is now.

    shown: its cells. current: the edit received last of those that say something, whose names it goes by; None when
    only decisions have come so far. conflicts: open. settled: by a policy. said: the places, as bits, of what
    answered anything anew. edits: how many of them are edits of another revision.
    """

    history: History
    shown: Cells
    current: Revision | None
    conflicts: tuple[Conflict, ...]
    settled: tuple[Conflict, ...]
    said: int
    edits: int
    is_deleted: bool
    judge: Judge

    @cached_property
    def is_joined(self) -> bool:
        """Whether it is more than a chain of edits: people edited apart, or decided."""
        chain = all(bits == (1 << place) - 1 for place, bits in enumerate(self.history.ancestors))
        return not chain or any(one.kind is RevisionKind.RESOLUTION for one in self.history.order)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """What people decided, in the order of the history."""
        judge, ledger = self.judge, self.judge.ledger
        return tuple(
            Decision(
                revision,
                ledger.written[place],
                {
                    cell: _sides(judge, cell, ledger.register(cell, self.history.ancestors[place]))
                    for cell in ledger.written[place]
                },
            )
            for place, revision in enumerate(self.history.order)
            if revision.kind is not RevisionKind.EDIT
        )

    def involved(self, cell: str, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the cells that a rule at `cell` looks at when it speaks of these paths, those of other rows left out.

        Of a repeat its rows; of a field in a repeat also the rows that are deleted: they may have held one.
        """
        own = {path_of(row): row for row in rows_of(cell)}
        found: dict[str, None] = {}
        for path in sorted(paths):
            found.update(dict.fromkeys(self._by_path.get(path, ())))
            while path := path.rpartition("/")[0]:
                around = self._by_path.get(path, ())
                found.update(
                    dict.fromkeys(name for name in around if not is_row(name) or name not in self.shown)
                )
        return tuple(
            name for name in found if all(own.get(path_of(row), row) == row for row in rows_of(name))
        )

    def is_known(self, cells: Iterable[str], by: Iterable[str]) -> bool:
        """Whether somebody whose answer is shown in a cell of `by` knew the answers shown in all of `cells`."""
        past = self.history
        needed = [some for cell in cells if (some := self._authors(cell))]
        return not needed or any(
            all(one & (past.ancestors[place] | 1 << place) for one in needed)
            for cell in by
            for place in places_of(self._authors(cell))
        )

    def misfit(self, cell: str, cells: Sequence[str]) -> Conflict:
        """Return the conflict about answers that do not fit together: first what is shown, then what each side saw.

        cell: of the answer that the form would not let pass. cells: all that it has to fit with, itself included.
        """
        judge = self.judge
        writers = bits_of(place for name in cells for place in judge.registers[name])
        sides = judge.sides(cells)
        shown = Side({name: self.shown.get(name, BLANK) for name in cells}, tuple(places_of(writers)))
        kept = [
            name
            for name in cells
            if name.partition("#")[0] == cell
            or any(side.cells[name].said != shown.cells[name].said for side in sides)
        ]
        return Conflict(
            ConflictKind.CONSTRAINT,
            path_of(cell),
            (cell,),
            tuple(
                Candidate({name: side.cells[name] for name in kept}, judge.digests(side.places))
                for side in (shown, *sides)
            ),
        )

    @cached_property
    def _by_path(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for name in self.judge.registers:
            found.setdefault(path_of(name), []).append(name)
        return found

    def _authors(self, cell: str) -> int:
        """Whose answer is shown in a cell, as bits; of a row everybody who ever said that it is there."""
        ledger, said = self.judge.ledger, self.shown.get(cell, BLANK).said
        places = ledger.writers.get(cell, 0)
        if not is_row(cell):
            places = bits_of(self.judge.registers.get(cell, ()))
        return bits_of(one for one in places_of(places) if ledger.value(one, cell).said == said) or places


def view(revisions: Iterable[Revision], find: FindSnapshot, rules: MergeRules) -> View:
    """Return the view of one connected group of revisions, as `history.components` gives it.

    find: what a revision says, by digest; not asked of withdrawals. rules: of the form version that the submission is shown in.
    """
    past = history(revisions)
    ledger = Ledger(past, find, rules)
    ledger.fold(lambda known: _seen(Judge(ledger, rules, known)))
    return _view(Judge(ledger, rules, (1 << len(past.order)) - 1), ledger, rules)


def _seen(judge: Judge) -> tuple[Shown, Units]:
    shown, units = judge.shown()
    return shown, [(unit.cells, unit.linked) for unit in units]


def _view(judge: Judge, ledger: Ledger, rules: MergeRules) -> View:
    past = ledger.history
    shown, units = judge.shown()
    taken = {cell for unit in units for cell in unit.cells}
    contested = (_conflict(judge, rules, cell) for cell in judge.standing if cell not in taken)
    said = 0
    for cell, writers in ledger.writers.items():
        if cell != DELETED and path_of(cell) not in rules.unattended:
            said |= writers
    found = [
        *(_unit_conflict(judge, rules, unit) for unit in units),
        *filter(None, contested),
        *_deletion(judge, said),
    ]
    absent = {cell for cell, answer in shown.items() if is_row(cell) and not answer.said}
    edits = [place for place in places_of(said) if past.order[place].kind is RevisionKind.EDIT]
    newest = max(past.latest(bits_of(edits)), key=lambda place: past.order[place].rank, default=None)
    is_open = any(one.kind is ConflictKind.DELETED for one in found)
    return View(
        history=past,
        shown={
            cell: answer
            for cell, answer in shown.items()
            if answer.said and cell != DELETED and cell not in absent and absent.isdisjoint(rows_of(cell))
        },
        current=past.order[newest] if newest is not None else _first(past),
        conflicts=tuple(one for one in found if not one.policy),
        settled=tuple(one for one in found if one.policy),
        said=said,
        edits=sum(bool(past.parents[place]) for place in edits),
        is_deleted=not is_open and shown.get(DELETED) == GONE,
        judge=judge,
    )


def _conflict(judge: Judge, rules: MergeRules, cell: str) -> Conflict | None:
    """What is contested in one cell, None when nothing is."""
    register = judge.registers[cell]
    path = path_of(cell)
    if len(register) < 2 or cell == DELETED or path in rules.unattended:
        return None
    sides = _sides(judge, cell, register)
    if len(sides) < 2:
        return None
    policy = rules.policies.get(path)
    kind = ConflictKind.ROW if is_row(cell) else ConflictKind.VALUE
    return Conflict(kind, path, (cell,), sides, policy if policy in AUTOMATIC else "")


def _sides(judge: Judge, cell: str, register: Register) -> tuple[Candidate, ...]:
    """The different answers of a register, the one shown first, then the later received first."""
    places: dict[str, list[int]] = {}
    for place in sorted(register, key=judge.rank, reverse=True):
        places.setdefault(judge.ledger.value(place, cell).said, []).append(place)
    first = judge.pick(cell, register).said
    return tuple(
        Candidate({cell: judge.ledger.value(some[0], cell)}, judge.digests(some))
        for said, some in sorted(places.items(), key=lambda pair: pair[0] != first)
    )


def _unit_conflict(judge: Judge, rules: MergeRules, unit: Unit) -> Conflict:
    paths = {path_of(cell) for cell in unit.cells}
    tops = [cell for cell in unit.cells if rules.controllers.get(path_of(cell), NONE).isdisjoint(paths)]
    top = min(tops or unit.cells)
    policies = {rules.policies.get(path) for path in paths}
    return Conflict(
        ConflictKind.UNIT,
        path_of(top),
        (top, *(cell for cell in unit.cells if cell != top)),
        tuple(Candidate(side.cells, judge.digests(side.places)) for side in unit.sides),
        ", ".join(sorted(filter(None, policies))) if policies <= AUTOMATIC else "",
    )


def _deletion(judge: Judge, said: int) -> Iterator[Conflict]:
    past = judge.ledger.history
    register = judge.registers.get(DELETED, ())
    gone = [place for place in register if judge.ledger.value(place, DELETED) == GONE]
    kept = bits_of(place for place in register if place not in gone)
    if gone and not kept:
        deleted = bits_of(gone)
        known = bits_of(before for place in gone for before in places_of(past.ancestors[place]))
        kept = bits_of(
            place for place in places_of(said & ~deleted & ~known) if not past.ancestors[place] & deleted
        )
    if gone and kept:
        sides = ((BLANK, past.latest(kept)), (GONE, gone))
        candidates = (Candidate({DELETED: cell}, judge.digests(some)) for cell, some in sides)
        yield Conflict(ConflictKind.DELETED, "", (DELETED,), tuple(candidates))


def _first(past: History) -> Revision | None:
    edits = (one for one in past.order if one.kind is RevisionKind.EDIT)
    return min(edits, key=lambda one: one.rank, default=None)


NONE: frozenset[str] = frozenset()
AUTOMATIC = MEASURED | {Policy.LATER, Policy.FIRST, Policy.UNION}

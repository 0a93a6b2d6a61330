"""The view of a submission: what is shown of its revisions, and what waits for a person.

A pure function of the set of revisions: the same at every node, whatever order they came in. Tablet time decides
nothing. `docs/merge.md` explains it with drawings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from forms.cells import BLANK, Cell, Cells, path_of, rows_of
from forms.merge_rules import MergeRules, Policy
from sync.groups import Groups
from sync.history import History, history
from sync.registers import DELETED, GONE, NOBODY, Ledger, Register, Snapshot, with_files
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

    path: of the field in the schema; of a unit, of what the rest depends on.
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
    only decisions have come so far. conflicts: open. settled: by a policy. edits: revisions that changed an answer.
    """

    history: History
    shown: Cells
    current: Revision | None
    conflicts: tuple[Conflict, ...]
    settled: tuple[Conflict, ...]
    decisions: tuple[Decision, ...]
    edits: int
    is_deleted: bool
    ledger: Ledger

    def are_apart(self, cells: Iterable[str]) -> bool:
        """Whether the answers in these cells come from people who did not know of each other."""
        places = {place for cell in cells for place in self.ledger.registers.get(cell, NOBODY)}
        newest = max(places, default=0)
        return any(self.history.are_apart(newest, place) for place in places)


def view(revisions: Iterable[Revision], snapshots: Mapping[str, Snapshot], rules: MergeRules) -> View:
    """Return the view of one connected group of revisions, as `history.components` gives it.

    snapshots: of each revision but withdrawals, by digest. rules: of the form version that the submission is shown in.
    """
    past = history(revisions)
    judge = _Judge(past, with_files(past, snapshots, rules.files), rules)
    judge.ledger.fold()
    return judge.view()


class _Judge:
    """Says what registers show, and which of them people must decide."""

    def __init__(self, past: History, snapshots: Mapping[str, Snapshot], rules: MergeRules) -> None:
        self._past = past
        self._rules = rules
        self.ledger = Ledger(past, snapshots, self._shown)

    def view(self) -> View:
        registers = self.ledger.registers
        said = {
            place
            for cell, places in self.ledger.writes.items()
            if cell != DELETED and path_of(cell) not in self._rules.unattended
            for place in places
        }
        shown = {cell: self._shown(cell, register) for cell, register in registers.items()}
        found: list[Conflict] = []
        if any(bits != (1 << place) - 1 for place, bits in enumerate(self._past.ancestors)):
            hidden = {cell for cell, answer in shown.items() if cell.endswith("]") and not answer.said}
            standing = [cell for cell in registers if hidden.isdisjoint(rows_of(cell))]
            units = list(self._units(standing))
            for unit in units:
                shown.update(unit.candidates[0].cells)
            taken = {cell for unit in units for cell in unit.cells}
            found = [*units, *filter(None, (self._conflict(cell) for cell in standing if cell not in taken))]
            found += self._deletion(said)
        absent = {cell for cell, answer in shown.items() if cell.endswith("]") and not answer.said}
        edits = [place for place in said if self._past.order[place].kind is RevisionKind.EDIT]
        newest = max(self._past.latest(edits), key=self._rank, default=None)
        is_open = any(one.kind is ConflictKind.DELETED for one in found)
        return View(
            history=self._past,
            shown={
                cell: answer
                for cell, answer in shown.items()
                if answer.said and cell != DELETED and cell not in absent and absent.isdisjoint(rows_of(cell))
            },
            current=self._past.order[newest] if newest is not None else self._first(),
            conflicts=tuple(one for one in found if not one.policy),
            settled=tuple(one for one in found if one.policy),
            decisions=tuple(self._decisions()),
            edits=sum(bool(self._past.parents[place]) for place in edits),
            is_deleted=not is_open and shown.get(DELETED) == GONE,
            ledger=self.ledger,
        )

    def _shown(self, cell: str, register: Register) -> Cell:
        if len(register) == 1:
            return self.ledger.value(register[0], cell)
        answers = [(self._rank(place), self.ledger.value(place, cell)) for place in register]
        if not answers:
            return BLANK
        path = path_of(cell)
        policy = self._rules.policies.get(path)
        if cell == DELETED:
            return next((answer for _, answer in answers if not answer.said), GONE)
        if "#" in cell or cell.endswith("]") or policy in MEASURED:
            answers = [pair for pair in answers if pair[1].said] or answers
        match policy:
            case Policy.FIRST:
                return min(answers)[1]
            case Policy.LARGER:
                return max(answers, key=lambda pair: (*self._rules.rank(path, pair[1].said), pair))[1]
            case Policy.SMALLER:
                return min(answers, key=lambda pair: (*self._rules.rank(path, pair[1].said), pair))[1]
        return max(answers)[1]

    def _conflict(self, cell: str) -> Conflict | None:
        """What is contested in one cell, None when nothing is."""
        register = self.ledger.registers[cell]
        path = path_of(cell)
        if len(register) < 2 or cell == DELETED or path in self._rules.unattended:
            return None
        is_row = cell.endswith("]")
        sides = self._sides(cell, register)
        if len(sides) < 2 or (is_row and all(side.cells[cell].said for side in sides)):
            return None
        policy = self._rules.policies.get(path)
        return Conflict(
            ConflictKind.ROW if is_row else ConflictKind.VALUE,
            path,
            (cell,),
            sides,
            policy if policy in AUTOMATIC else "",
        )

    def _sides(self, cell: str, register: Register) -> tuple[Candidate, ...]:
        """The different answers of a register, the one shown first, then the later received first."""
        places: dict[str, list[int]] = {}
        for place in sorted(register, key=self._rank, reverse=True):
            places.setdefault(self.ledger.value(place, cell).said, []).append(place)
        first = self._shown(cell, register).said
        return tuple(
            Candidate({cell: self.ledger.value(some[0], cell)}, self._digests(some))
            for said, some in sorted(places.items(), key=lambda pair: pair[0] != first)
        )

    def _units(self, cells: Sequence[str]) -> Iterator[Conflict]:
        """Where one side changed a question, and the other what is asked because of it."""
        by_path: dict[str, list[str]] = {}
        for cell in cells:
            by_path.setdefault(path_of(cell), []).append(cell)
        linked = Groups()
        for path, above in self._rules.controllers.items():
            for cell in by_path.get(path, ()) if path not in self._rules.unattended else ():
                for other in above - self._rules.unattended:
                    for controller in by_path.get(other, ()):
                        if _is_same_row(cell, controller) and self._clash(controller, cell):
                            linked.join(controller, cell)
        for group in linked.groups():
            yield self._unit(group)

    def _clash(self, controller: str, cell: str) -> bool:
        for place in self.ledger.registers[controller]:
            answer = self.ledger.value(place, controller).said
            for other in self.ledger.registers[cell]:
                if self._past.are_apart(place, other):
                    knew = self._shown(controller, self.ledger.seen(other, controller)).said
                    if knew != answer:
                        return True
        return False

    def _unit(self, cells: tuple[str, ...]) -> Conflict:
        places = self._past.latest({place for cell in cells for place in self.ledger.registers[cell]})
        sides: dict[tuple[str, ...], tuple[Cells, list[int]]] = {}
        for place in sorted(places, key=self._rank, reverse=True):
            answers = {cell: self._shown(cell, self.ledger.seen(place, cell)) for cell in cells}
            said = tuple(answer.said for answer in answers.values())
            sides.setdefault(said, (answers, []))[1].append(place)
        paths = {cell: path_of(cell) for cell in cells}
        above = self._rules.controllers
        tops = [cell for cell in cells if above.get(paths[cell], frozenset()).isdisjoint(paths.values())]
        policies = {self._rules.policies.get(path) for path in paths.values()}
        return Conflict(
            ConflictKind.UNIT,
            paths[min(tops or cells)],
            cells,
            tuple(Candidate(answers, self._digests(some)) for answers, some in sides.values()),
            ", ".join(sorted(filter(None, policies))) if policies <= AUTOMATIC else "",
        )

    def _deletion(self, said: Iterable[int]) -> Iterator[Conflict]:
        register = self.ledger.registers.get(DELETED, NOBODY)
        gone = [place for place in register if self.ledger.value(place, DELETED) == GONE]
        kept = {place for place in register if place not in gone}
        if gone and not kept:
            kept = {place for place in said if not any(self._past.is_before(place, one) for one in gone)}
        if gone and kept:
            sides = ((BLANK, self._past.latest(kept)), (GONE, gone))
            candidates = (Candidate({DELETED: cell}, self._digests(some)) for cell, some in sides)
            yield Conflict(ConflictKind.DELETED, "", (DELETED,), tuple(candidates))

    def _decisions(self) -> Iterator[Decision]:
        for place, before in self.ledger.before.items():
            revision = self._past.order[place]
            cells = {cell: self.ledger.value(place, cell) for cell in before}
            sides = {cell: self._sides(cell, register) for cell, register in before.items()}
            yield Decision(revision, cells, sides)

    def _first(self) -> Revision | None:
        edits = (one for one in self._past.order if one.kind is RevisionKind.EDIT)
        return min(edits, key=lambda one: one.rank, default=None)

    def _rank(self, place: int) -> tuple[int, str]:
        return self._past.order[place].rank

    def _digests(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(self._past.order[place].digest for place in places))


MEASURED = frozenset({Policy.LARGER, Policy.SMALLER})
AUTOMATIC = MEASURED | {Policy.LATER, Policy.FIRST, Policy.UNION}


def _is_same_row(cell: str, controller: str) -> bool:
    """Whether two cells do not stand in different rows of one repeat."""
    rows = {path_of(row): row for row in rows_of(cell)}
    return all(rows.get(path_of(row), row) == row for row in rows_of(controller))

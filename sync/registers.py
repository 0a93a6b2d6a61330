"""Multi-value registers: for each cell of a submission, the revisions whose answer nobody knowingly replaced.

A revision *writes* a cell when its answer differs from what its parents' view shows; saving again without a change
writes nothing. A write is replaced by a later write of the same cell that was made knowing it. What remains is the
register. Who changes anything in a row writes the row too, so that nobody deletes it unseen.
Source: Shapiro and others, "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011), 3.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from forms.cells import BLANK, HERE, Cell, Cells, is_row, path_of, rows_of
from forms.merge_rules import MergeRules
from sync.history import History
from sync.revision import RevisionKind

Register = tuple[int, ...]
"""Places in the history, ascending."""
Registers = dict[str, Register]
Shown = dict[str, Cell]
"""What a view shows by cell, blank answers and what stands in deleted rows included."""
Units = Sequence[tuple[Collection[str], Collection[str]]]
"""Cells that belong together although different people answered them: those they answered differently, and all."""
DELETED = "@deleted"
"""The cell that a tombstone writes and everything later blanks."""
GONE = Cell("yes", "yes")

Knows = Callable[[str], bool]
"""Whether a form version has a question at a path: what it has not, it cannot blank."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one revision says. cells: of an edit all its answers, of a resolution the cells it decides.

    knows: of the form version of an edit. files: hashes of the files that came with it, by name.
    """

    cells: Cells
    knows: Knows
    files: Mapping[str, str] = field(default_factory=dict)


FindSnapshot = Callable[[str], Snapshot]
"""What the revision of a digest says. Asked once for each, parents first, so that not all need be in memory."""


class Ledger:
    """All writes of a submission. written: by place, what the revision wrote. writers: by cell, who, as bits."""

    def __init__(self, history: History, find: FindSnapshot, rules: MergeRules) -> None:
        self.history = history
        self.written: list[Cells] = []
        self.writers: dict[str, int] = {}
        self._saw: dict[int, Shown] = {}
        self._find = find
        self._rules = rules
        self._files: dict[int, Mapping[str, str]] = {}
        self._bearers: dict[str, int] = {}

    def value(self, place: int, cell: str) -> Cell:
        """Return what the revision at a place wrote into a cell."""
        return self.written[place].get(cell, BLANK)

    def register(self, cell: str, known: int) -> Register:
        """Return the register of a cell among the revisions `known` (as bits)."""
        return self.history.latest(self.writers.get(cell, 0) & known)

    def saw(self, place: int, cell: str, pick: Callable[[str, Register], Cell]) -> Cell:
        """Return what whoever made the revision at a place saw in a cell, their own answer included.

        pick: what a register shows.
        """
        if (shown := self._saw.get(place)) is not None:
            return shown.get(cell, BLANK)
        return pick(cell, self.register(cell, self.history.ancestors[place] | 1 << place))

    def fold(self, shown_by: Callable[[int], tuple[Shown, Units]]) -> None:
        """Go through the history and fill the ledger; the work grows with the number of revisions.

        shown_by: what the view of some revisions (as bits) shows, and the units in it. Asked only after
        a decision about revisions made apart; what comes after a view without units is told from what it adds.
        """
        children = [0] * len(self.history.order)
        for parents in self.history.parents:
            for parent in parents:
                children[parent] += 1
        after: dict[int, Shown] = {}
        for place, parents in enumerate(self.history.parents):
            snapshot = self._find(self.history.order[place].digest)
            self._files[place] = snapshot.files
            for name in snapshot.files:
                self._bearers[name] = self._bearers.get(name, 0) | 1 << place
            shown, units = self._shown_to(place, parents, after, shown_by)
            for parent in parents:
                children[parent] -= 1
                if not children[parent]:
                    after.pop(parent, None)
            if children[place] and any(children[parent] for parent in parents):
                shown = dict(shown)
            written = self._write(place, snapshot, shown, units)
            self.written.append(written)
            for cell in written:
                self.writers[cell] = self.writers.get(cell, 0) | 1 << place
            if units:
                self._saw[place] = {**shown, **written}
            elif children[place]:
                shown.update(written)
                after[place] = shown

    def _shown_to(
        self,
        place: int,
        parents: tuple[int, ...],
        after: dict[int, Shown],
        shown_by: Callable[[int], tuple[Shown, Units]],
    ) -> tuple[Shown, Units]:
        """What whoever made a revision saw."""
        if not parents:
            return {}, []
        if len(parents) == 1 and (shown := after.get(parents[0])) is not None:
            return shown, []
        return shown_by(self.history.ancestors[place])

    def _write(self, place: int, snapshot: Snapshot, shown: Shown, units: Units) -> Cells:
        revision = self.history.order[place]
        match revision.kind:
            case RevisionKind.EDIT:
                written = self._changed(place, snapshot, shown, units)
                has_spoken = any(path_of(cell) not in self._rules.unattended for cell in written)
            case RevisionKind.RESOLUTION:
                rows = {row: HERE for cell in snapshot.cells for row in rows_of(cell)}
                written = rows | dict(snapshot.cells)
                has_spoken = False
            case _:
                written = {}
                has_spoken = revision.kind is RevisionKind.RESTORE
        if revision.kind is RevisionKind.TOMBSTONE:
            written[DELETED] = GONE
        elif DELETED in shown and has_spoken:
            written[DELETED] = BLANK
        return written

    def _changed(self, place: int, snapshot: Snapshot, shown: Shown, units: Units) -> dict[str, Cell]:
        """What an edit says otherwise than what was shown; of a unit all or nothing."""
        cells, rules = snapshot.cells, self._rules
        changed: dict[str, Cell] = {}
        for cell, answer in cells.items():
            before = shown.get(cell, BLANK)
            if answer.said != before.said:
                now = self._said(place, cell, answer, before)
                if now.said != before.said:
                    changed[cell] = now
        for cell, before in shown.items():
            if before.said and cell not in cells and cell != DELETED:
                is_row_here = all(row in cells for row in rows_of(cell))
                if is_row_here and snapshot.knows(path_of(cell)):
                    changed[cell] = BLANK
        for contested, unit in units:
            if not changed.keys().isdisjoint(unit):
                for cell in contested:
                    if cell not in changed and snapshot.knows(path_of(cell)):
                        before = shown.get(cell, BLANK)
                        changed[cell] = self._said(place, cell, cells.get(cell, BLANK), before)
        for cell in list(changed):
            if "]/" in cell and path_of(cell) not in rules.unattended:
                changed |= {row: HERE for row in rows_of(cell) if row in cells}
        return changed

    def _said(self, place: int, cell: str, answer: Cell, before: Cell) -> Cell:
        """What an answer says: of a row that it is there, of a file which one: the same name can be another picture.

        A file that did not come with an edit again is the one that was shown, else that of the last revision it was
        made upon that brought one of this name; one that came with none yet makes no difference.
        """
        name = answer.said
        if not name:
            return BLANK
        if is_row(cell):
            return HERE
        if path_of(cell) not in self._rules.files:
            return answer
        sha256 = self._files[place].get(name)
        if sha256 is None and before.said.partition("\0")[0] == name:
            return before
        if sha256 is None:
            bearers = self._bearers.get(name, 0) & self.history.ancestors[place]
            sha256 = self._files[bearers.bit_length() - 1][name] if bearers else ""
        return Cell(answer.text, f"{name}\0{sha256}")

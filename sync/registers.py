"""Multi-value registers: for each cell of a submission, the revisions whose answer nobody knowingly replaced.

A revision *writes* a cell when its answer differs from what its parents show; saving again without a change writes
nothing. A write is replaced by a later write of the same cell that was made knowing it. What remains is the register.
Source: Shapiro and others, "A comprehensive study of Convergent and Commutative Replicated Data Types" (2011), 3.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace

from forms.cells import BLANK, Cell, Cells, path_of, rows_of
from sync.history import History
from sync.revision import RevisionKind

Register = tuple[int, ...]
"""Places in the history, ascending."""
Registers = dict[str, Register]
NOBODY: Register = ()
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


def with_files(
    history: History, snapshots: Mapping[str, Snapshot], fields: Container[str]
) -> Mapping[str, Snapshot]:
    """Return the snapshots with the files' hashes in what their cells say: the same name can be another picture.

    fields: paths of questions that hold a file's name. A file that did not come with an edit again is that of the
    revision it was made upon; one that came with none yet makes no difference.
    """
    found = dict(snapshots)
    known: list[Mapping[str, str]] = []
    for revision, parents in zip(history.order, history.parents, strict=True):
        snapshot = snapshots[revision.digest]
        files: dict[str, str] = {}
        for parent in parents:
            files.update(known[parent])
        known.append({**files, **snapshot.files})
        if revision.kind is RevisionKind.EDIT and known[-1]:
            cells = {
                name: Cell(cell.text, f"{cell.said}\0{known[-1].get(cell.said, '')}")
                for name, cell in snapshot.cells.items()
                if path_of(name) in fields
            }
            found[revision.digest] = replace(snapshot, cells={**snapshot.cells, **cells})
    return found


@dataclass
class Ledger:
    """All writes of a submission. registers: at the end. writes: of each cell, the places of its writes, ascending.

    before: of each decision, the registers of the cells it decided, as it found them.
    """

    history: History
    snapshots: Mapping[str, Snapshot]
    shown: Callable[[str, Register], Cell]
    registers: Registers = field(default_factory=dict)
    writes: dict[str, list[int]] = field(default_factory=dict)
    before: dict[int, Registers] = field(default_factory=dict)

    def value(self, place: int, cell: str) -> Cell:
        """Return what the revision at a place wrote into a cell."""
        revision = self.history.order[place]
        if cell == DELETED:
            return GONE if revision.kind is RevisionKind.TOMBSTONE else BLANK
        return self.snapshots[revision.digest].cells.get(cell, BLANK)

    def seen(self, place: int, cell: str) -> Register:
        """Return the register of a cell as it stood after the revision at a place."""
        known = [
            one for one in self.writes.get(cell, ()) if one == place or self.history.is_before(one, place)
        ]
        return self.history.latest(known)

    def fold(self) -> None:
        """Go through the history and fill the ledger; the work grows with the number of revisions."""
        children = [0] * len(self.history.order)
        for parents in self.history.parents:
            for parent in parents:
                children[parent] += 1
        after: dict[int, Registers] = {}
        for place, parents in enumerate(self.history.parents):
            registers: Registers = {}
            for parent in parents:
                children[parent] -= 1
                is_last = not children[parent]
                found = after.pop(parent) if is_last else after[parent]
                if registers:
                    self._join(registers, found)
                else:
                    registers = found if is_last else dict(found)
            self._write(place, registers)
            after[place] = registers
        for place in self.history.heads:
            if self.registers:
                self._join(self.registers, after[place])
            else:
                self.registers = after[place]

    def _write(self, place: int, registers: Registers) -> None:
        revision = self.history.order[place]
        snapshot = self.snapshots[revision.digest]
        written: list[str]
        match revision.kind:
            case RevisionKind.EDIT:
                written = self._changed(snapshot, registers)
            case RevisionKind.RESOLUTION:
                written = list(snapshot.cells)
            case _:
                written = []
        if revision.kind is RevisionKind.TOMBSTONE or (
            DELETED in registers and (written or revision.kind is RevisionKind.RESTORE)
        ):
            written.append(DELETED)
        if revision.kind is not RevisionKind.EDIT:
            self.before[place] = {cell: registers.get(cell, NOBODY) for cell in written}
        own = (place,)
        for cell in written:
            registers[cell] = own
            self.writes.setdefault(cell, []).append(place)

    def _changed(self, snapshot: Snapshot, registers: Registers) -> list[str]:
        cells, shown = snapshot.cells, self.shown
        changed = [
            cell
            for cell, answer in cells.items()
            if answer.said != shown(cell, registers.get(cell, NOBODY)).said
        ]
        for cell, register in registers.items():
            if cell not in cells and cell != DELETED and shown(cell, register).said:
                is_row_here = all(row in cells for row in rows_of(cell)) if "]/" in cell else True
                if is_row_here and snapshot.knows(path_of(cell)):
                    changed.append(cell)
        return changed

    def _join(self, registers: Registers, other: Registers) -> None:
        for cell, register in other.items():
            own = registers.get(cell)
            if own is None:
                registers[cell] = register
            elif own != register:
                registers[cell] = self.history.latest({*own, *register})

"""Which answer of each register is shown, and where answers belong together although different people gave them.

Questions that are asked because of others' answers merge with them as one unit: what one person answered because of
a "yes" is never shown beside another's "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from forms.cells import BLANK, Cell, Cells, is_row, path_of, rows_of
from forms.merge_rules import MergeRules, Policy
from sync.groups import Groups
from sync.history import bits_of
from sync.registers import DELETED, GONE, Ledger, Register, Registers, Shown

MEASURED = frozenset({Policy.LARGER, Policy.SMALLER})


@dataclass(frozen=True, slots=True)
class Side:
    """What some people answered to the questions of a unit. places: theirs in the history."""

    cells: Cells
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """Cells that are shown as one side has them all. sides: the one shown first."""

    cells: tuple[str, ...]
    sides: tuple[Side, ...]


class Judge:
    """Says what the revisions `known` (as bits) show together."""

    def __init__(self, ledger: Ledger, rules: MergeRules, known: int) -> None:
        self.ledger = ledger
        self._rules = rules
        self._past = ledger.history
        self.registers: Registers = {
            cell: self._past.latest(writers & known)
            for cell, writers in ledger.writers.items()
            if writers & known
        }
        self._alone: Shown = {cell: self.pick(cell, register) for cell, register in self.registers.items()}

    def shown(self) -> tuple[Shown, list[Unit]]:
        """Return what is shown of each cell, what stands in deleted rows too, and the units."""
        units = list(self._units())
        shown = self._alone
        for unit in units:
            shown = shown | dict(unit.sides[0].cells)
        return shown, units

    @cached_property
    def standing(self) -> tuple[str, ...]:
        """The cells that stand in no deleted row."""
        hidden = {cell for cell, answer in self._alone.items() if is_row(cell) and not answer.said}
        return tuple(cell for cell in self.registers if not hidden or hidden.isdisjoint(rows_of(cell)))

    def pick(self, cell: str, register: Register) -> Cell:
        """Return the answer that a register shows."""
        if len(register) == 1:
            return self.ledger.value(register[0], cell)
        answers = [(self.rank(place), self.ledger.value(place, cell)) for place in register]
        if not answers:
            return BLANK
        path = path_of(cell)
        policy = self._rules.policies.get(path)
        if cell == DELETED:
            return next((answer for _, answer in answers if not answer.said), GONE)
        if "#" in cell or is_row(cell) or policy in MEASURED:
            answers = [pair for pair in answers if pair[1].said] or answers
        match policy:
            case Policy.FIRST:
                return min(answers)[1]
            case Policy.LARGER:
                return max(answers, key=lambda pair: (*self._rules.rank(path, pair[1].said), pair))[1]
            case Policy.SMALLER:
                return min(answers, key=lambda pair: (*self._rules.rank(path, pair[1].said), pair))[1]
        return max(answers)[1]

    def rank(self, place: int) -> tuple[int, str]:
        """Return what orders revisions alike at every node."""
        return self._past.order[place].rank

    def digests(self, places: Iterable[int]) -> tuple[str, ...]:
        """Return the revisions at these places."""
        return tuple(sorted(self._past.order[place].digest for place in places))

    def _units(self) -> Iterator[Unit]:
        """Where one side changed a question, and the other what is asked because of it."""
        apart = self._past.apart(bits_of(place for places in self.registers.values() for place in places))
        if not any(apart.values()):
            return
        by_path: dict[str, list[str]] = {}
        for cell in self.standing:
            by_path.setdefault(path_of(cell), []).append(cell)
        linked = Groups()
        clashing: dict[str, None] = {}
        pairs = list(self._pairs(by_path))
        for controller, cell in pairs:
            if self._clash(controller, cell, apart):
                linked.join(controller, cell)
                clashing[controller] = None
        if not clashing:
            return
        for controller, cell in pairs:
            if controller in clashing:
                linked.join(controller, cell)
        self._link_rows(linked)
        for group in linked.groups():
            unit = self._unit(group)
            if len(unit.sides) > 1:
                yield unit

    def _pairs(self, by_path: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
        """The cells that decide whether others are asked, and those others."""
        for path, above in self._rules.controllers.items():
            for cell in by_path.get(path, ()) if path not in self._rules.unattended else ():
                for other in above - self._rules.unattended:
                    for controller in by_path.get(other, ()):
                        if _is_same_row(cell, controller):
                            yield controller, cell

    def _clash(self, controller: str, cell: str, apart: dict[int, int]) -> bool:
        """Whether somebody answered a cell while another, unknown to them, changed what decides that it is asked."""
        deciders = bits_of(self.registers[controller])
        if not any(apart[place] & deciders for place in self.registers[cell]):
            return False
        by_answer: dict[str, int] = {}
        for place in self.registers[controller]:
            answer = self.ledger.value(place, controller).said
            by_answer[answer] = by_answer.get(answer, 0) | 1 << place
        for place in self.registers[cell]:
            others = apart[place]
            if others & deciders:
                knew = self.ledger.saw(place, controller, self.pick).said
                if any(others & places for answer, places in by_answer.items() if answer != knew):
                    return True
        return False

    def _link_rows(self, linked: Groups) -> None:
        """Add to each unit the rows that only some of its cells stand in: one side may have deleted them."""
        before: list[tuple[str, ...]] = []
        while before != (groups := list(linked.groups())):
            before = groups
            for group in groups:
                around = [{*rows_of(cell), *([cell] if is_row(cell) else [])} for cell in group]
                rows = {row for some in around for row in some if not all(row in other for other in around)}
                for cell in self.standing if rows else ():
                    if cell in rows or not rows.isdisjoint(rows_of(cell)):
                        linked.join(group[0], cell)

    def sides(self, cells: Sequence[str]) -> tuple[Side, ...]:
        """Return the different answers to these cells that people saw after their own, the later received first.

        Every answer that nobody replaced knowingly is on one of them.
        """
        places = set(self._past.latest(bits_of(place for cell in cells for place in self.registers[cell])))
        sides = self._sides(cells, places)
        told = [{side.cells[cell].said for side in sides} for cell in cells]
        lost = {
            place
            for cell, known in zip(cells, told, strict=True)
            for place in self.registers[cell]
            if self.ledger.value(place, cell).said not in known
        }
        return self._sides(cells, places | lost) if lost else sides

    def _unit(self, cells: tuple[str, ...]) -> Unit:
        sides = self.sides(cells)
        kept = [cell for cell in cells if len({side.cells[cell].said for side in sides}) > 1]
        return Unit(
            tuple(kept),
            tuple(Side({cell: side.cells[cell] for cell in kept}, side.places) for side in sides),
        )

    def _sides(self, cells: Sequence[str], places: Iterable[int]) -> tuple[Side, ...]:
        sides: dict[tuple[str, ...], tuple[Shown, list[int]]] = {}
        for place in sorted(places, key=self.rank, reverse=True):
            answers = {cell: self.ledger.saw(place, cell, self.pick) for cell in cells}
            said = tuple(answer.said for answer in answers.values())
            sides.setdefault(said, (answers, []))[1].append(place)
        return tuple(Side(answers, tuple(some)) for answers, some in sides.values())


def _is_same_row(cell: str, controller: str) -> bool:
    """Whether two cells do not stand in different rows of one repeat."""
    rows = {path_of(row): row for row in rows_of(cell)}
    return all(rows.get(path_of(row), row) == row for row in rows_of(controller))

"""Which answer of each register is shown, and where answers belong together although different people gave them.

Questions that are asked because of others' answers merge with them as one unit: what one person answered because of
a "yes" is never shown beside another's "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

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
    """Cells that are shown as one side has them all. linked: with those that all sides answered alike.

    sides: the one shown first.
    """

    cells: tuple[str, ...]
    linked: tuple[str, ...]
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
        changed_apart = [
            cell for cell in self.standing if any(apart[place] for place in self.registers[cell])
        ]
        if len(changed_apart) < 2:
            return
        linked = Groups()
        clashing: dict[str, None] = {}
        for controller, cell in self._pairs(changed_apart, changed_apart):
            if self._clash(controller, cell, apart):
                clashing[controller] = None
        for controller, cell in self._pairs(clashing, self.standing if clashing else ()):
            linked.join(controller, cell)
        self._link_rows(linked)
        while units := self._split(linked):
            if not self._link_around(linked, units):
                yield from units
                return
            self._link_rows(linked)

    def _split(self, linked: Groups) -> list[Unit]:
        """The units of the groups in which people answered differently."""
        return [unit for group in linked.groups() if len((unit := self._unit(group)).sides) > 1]

    def _link_around(self, linked: Groups, units: Iterable[Unit]) -> bool:
        """Add to each unit what else its questions decide, or are decided by, that the shown side saw otherwise."""
        is_more = False
        for unit in units:
            own, place = set(unit.linked), unit.sides[0].places[0]
            for pair in chain(self._pairs(own, self.standing), self._pairs(self.standing, own)):
                for cell in set(pair) - own:
                    if self.ledger.saw(place, cell, self.pick).said != self._alone[cell].said:
                        linked.join(unit.linked[0], cell)
                        is_more = True
        return is_more

    def _pairs(self, deciding: Iterable[str], cells: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Those of the cells that others decide to be asked, with each that does."""
        controllers, rules = _by_path(deciding), self._rules
        for path, some in _by_path(cells).items():
            above = rules.controllers.get(path, NONE) if path not in rules.unattended else NONE
            for other in above - rules.unattended:
                for controller in controllers.get(other, ()):
                    for cell in some:
                        if _is_same_row(cell, controller):
                            yield controller, cell

    def _clash(self, controller: str, cell: str, apart: dict[int, int]) -> bool:
        """Whether somebody answered a cell while another, unknown to them, changed what decides that it is asked."""
        by_answer: dict[str, int] = {}
        for place in self.registers[controller]:
            answer = self.ledger.value(place, controller).said
            by_answer[answer] = by_answer.get(answer, 0) | 1 << place
        for place in self.registers[cell]:
            others = {answer for answer, places in by_answer.items() if places & apart[place]}
            if others and others != {self.ledger.saw(place, controller, self.pick).said}:
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
            cells,
            tuple(Side({cell: side.cells[cell] for cell in kept}, side.places) for side in sides),
        )

    def _sides(self, cells: Sequence[str], places: Iterable[int]) -> tuple[Side, ...]:
        sides: dict[tuple[str, ...], tuple[Shown, list[int]]] = {}
        for place in sorted(places, key=self.rank, reverse=True):
            answers = {cell: self.ledger.saw(place, cell, self.pick) for cell in cells}
            said = tuple(answer.said for answer in answers.values())
            sides.setdefault(said, (answers, []))[1].append(place)
        return tuple(Side(answers, tuple(some)) for answers, some in sides.values())


NONE: frozenset[str] = frozenset()


def _by_path(cells: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cell in cells:
        found.setdefault(path_of(cell), []).append(cell)
    return found


def _is_same_row(cell: str, controller: str) -> bool:
    """Whether two cells do not stand in different rows of one repeat."""
    rows = {path_of(row): row for row in rows_of(cell)}
    return all(rows.get(path_of(row), row) == row for row in rows_of(controller))

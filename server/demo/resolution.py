"""The coordinator resolves what two tablets disagree about, undoes it, and resolves it again.

Before and after each step the server is asked what it lists and what an export shows; `server.demo.reconcile` judges.
"""

from __future__ import annotations

from dataclasses import dataclass

from forms.schema import FormSchema
from server.demo.coordinator import Conflict, Contest, Coordinator
from server.demo.exported import place

STEPS = 4
"""Looks at a conflict: before, resolved, undone, resolved again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the server says at one moment. is_open: it lists the conflict. shown: the answer in an export."""

    is_open: bool
    shown: str


@dataclass(frozen=True)
class Resolution:
    """What came of one conflict. chosen: the side that was not shown before. looks: as many as `STEPS`."""

    about: Contest
    chosen: str
    looks: tuple[Look, ...]

    @property
    def decisions(self) -> int:
        """How many there were: one before each further look."""
        return len(self.looks) - 1

    @property
    def steps_right(self) -> int:
        """How many of the looks are as they must be."""
        before = next(iter(self.about.answers - {self.chosen}), self.chosen)
        undecided, decided = Look(is_open=True, shown=before), Look(is_open=False, shown=self.chosen)
        wanted = (undecided, decided, undecided, decided)
        return sum(one == other for one, other in zip(self.looks, wanted, strict=True))


def resolve_first(coordinator: Coordinator, schema: FormSchema) -> Resolution | None:
    """Resolve the first conflict of a form, undo it and resolve it again; None when the server lists none."""
    conflicts = coordinator.list_conflicts(schema.form_id)
    if not conflicts:
        return None
    first = conflicts[0]
    chosen = first.sides[-1]
    looks = [_look(coordinator, schema, first)]
    coordinator.resolve(first, chosen)
    looks.append(_look(coordinator, schema, first))
    coordinator.undo(first)
    looks.append(_look(coordinator, schema, first))
    coordinator.resolve(first, chosen)
    looks.append(_look(coordinator, schema, first))
    return Resolution(first.about, chosen, tuple(looks))


def _look(coordinator: Coordinator, schema: FormSchema, conflict: Conflict) -> Look:
    listed = {one.id for one in coordinator.list_conflicts(schema.form_id)}
    row = coordinator.read_rows(schema.form_id).get(conflict.about.record, {})
    return Look(conflict.id in listed, row.get(place(conflict.about.path, schema)[1], ""))

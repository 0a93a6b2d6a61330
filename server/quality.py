"""The checks of a form's sheet, asked of records: which are true, and where. The newest version's checks count for all."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from forms import planting
from forms.recheck import UNREADABLE, Recheck
from forms.schema import Check
from forms.xpath import boolean
from server.cleaning.places import NoPlaceError, Questions
from server.merging import FormLine
from sync.clock import to_datetime


@dataclass(frozen=True, slots=True)
class Found:
    """A check that is true of a record. cell: the row it is true of, "" for the record."""

    check_id: str
    cell: str


@dataclass
class Checker:
    """Asks the checks of one form. logic: gives what a form version looks up in lists."""

    line: FormLine
    logic: Callable[[str], Recheck]
    _prepared: dict[int, list[tuple[Check, str, str]]] = field(default_factory=dict)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of the newest version."""
        return self.line.versions[-1].schema.checks if self.line.versions else ()

    def ask(self, version: str, answers: Mapping[str, Any], stamp: int) -> list[Found]:
        """Return what is true of a record, shown in this version. stamp: the time of `now()` and `today()`.

        A check that speaks of what its version does not ask, or that cannot be evaluated here, is not asked.
        """
        at = self.line.place(version)
        schema = self.line.versions[at].schema
        prepared = self._prepare(at)
        if not prepared:
            return []
        chance = random.Random(0)  # noqa: S311  (a check that asks for chance gets the same each time)
        environment = self.logic(schema.version).environment(to_datetime(stamp), chance)
        root = planting.plant(answers, schema, lambda _: False)
        found = []
        for check, expression, path in prepared:
            for cell, element in list(planting.spots(root, schema, path)) if path else [("", root)]:
                try:
                    if boolean(expression, element, environment):
                        found.append(Found(check.id, cell[: cell.rfind("]") + 1]))
                except UNREADABLE:
                    continue
        return list(dict.fromkeys(found))

    def _prepare(self, at: int) -> list[tuple[Check, str, str]]:
        """The checks with their expression and the place they are asked at, as one version has them."""
        if at not in self._prepared:
            questions, schema = Questions(self.line), self.line.versions[at].schema
            done = []
            for check in self.checks:
                try:
                    path = questions.find(at, check.columns[0]).path if check.columns else ""
                    inside = any(path.startswith(f"{one.path}/") for one in schema.repeats)
                    text = planting.expanded(
                        check.expression, schema, lambda name: questions.find(at, name).path
                    )
                except NoPlaceError:
                    continue
                done.append((check, text, path if inside else ""))
            self._prepared[at] = done
        return self._prepared[at]

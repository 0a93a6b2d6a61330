"""How each field of a form merges when two people changed it apart: read from the sheet once for a form version.

The policies of `chapar::merge`:

| policy | what is shown | a conflict for people |
|---|---|---|
| (none) | the change received later; choices of a select_multiple and rows with a key are joined | where both changed one thing |
| `review` | the change received later; a select_multiple is one thing | where both changed it |
| `later`, `first` | the change received later, or first | never |
| `larger`, `smaller` | the larger or smaller number, date, time, or choice (by its place in the list) | never |
| `union` | of a select_multiple, every choice that anybody ticked | never |

A field settled by a policy keeps every candidate too, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import NamedTuple

from forms import dependence
from forms.schema import IDENTITY, Field, FieldType, FormSchema, Place


class Policy(StrEnum):
    """What `chapar::merge` may say."""

    REVIEW = "review"
    LATER = "later"
    FIRST = "first"
    LARGER = "larger"
    SMALLER = "smaller"
    UNION = "union"


MEASURES = frozenset(
    {
        FieldType.INT,
        FieldType.DECIMAL,
        FieldType.DATE,
        FieldType.TIME,
        FieldType.DATETIME,
        FieldType.SELECT_ONE,
    }
)
POLICIES_BY_TYPE: Mapping[Policy, frozenset[FieldType]] = {
    Policy.LARGER: MEASURES,
    Policy.SMALLER: MEASURES,
    Policy.UNION: frozenset({FieldType.SELECT_MULTIPLE}),
}
"""The types that a policy makes sense for; the others suit all."""


class Shape(NamedTuple):
    """sets: paths of select_multiple fields taken choice by choice. keys: path of a repeat → name of its key."""

    sets: frozenset[str]
    keys: Mapping[str, str]


@dataclass(frozen=True)
class MergeRules:
    """The rules of one form version, by path.

    policies: of fields that name one. unattended: fields that nobody answers (metadata, calculations, what stands in
    `meta`): the later one is shown, and no difference is a conflict. sets: select_multiple merged choice by choice.
    files: fields that hold the name of a file. controllers: see `dependence.controllers`. ranks: the places of the
    choices of select_one fields. keys: path of a repeat → name of the child that is
    its key.
    """

    policies: Mapping[str, Policy]
    unattended: frozenset[str]
    sets: frozenset[str]
    files: frozenset[str]
    controllers: Mapping[str, frozenset[str]]
    ranks: Mapping[str, Mapping[str, int]]
    keys: Mapping[str, str]

    def shape(self, schema: FormSchema, moves: Mapping[str, str]) -> Shape:
        """Return how instances of another version fall into the cells of this one.

        moves: path there → path here, of questions and repeats that stand elsewhere.
        """
        keys = {}
        for repeat in schema.repeats:
            wanted = self.keys.get(moves.get(repeat.path, repeat.path))
            for child in repeat.children if wanted else ():
                if moves.get(child.path, child.path).rpartition("/")[2] == wanted:
                    keys[repeat.path] = child.name
        sets = (field.path for field in schema.fields if moves.get(field.path, field.path) in self.sets)
        return Shape(frozenset(sets), keys)

    def rank(self, path: str, said: str) -> tuple[Decimal, str]:
        """Return what orders two answers for larger and smaller: by value, by time, or as text (dates, times)."""
        if path in self.ranks:
            return (Decimal(self.ranks[path].get(said, -1)), said)
        try:
            number = Decimal(said)
        except InvalidOperation:
            number = NO_NUMBER
        return (number if number.is_finite() else Decimal(_instant(said)), said)


def merge_rules(schema: FormSchema) -> MergeRules:
    """Return the rules of a form version."""
    policies = {field.path: Policy(field.merge) for field in schema.fields if field.merge in set(Policy)}
    return MergeRules(
        policies=policies,
        unattended=IDENTITY.union(
            field.path for field, place in _places(schema) if _is_unattended(field, place)
        ),
        sets=frozenset(
            field.path
            for field in schema.fields
            if field.type is FieldType.SELECT_MULTIPLE
            and policies.get(field.path, Policy.UNION) is Policy.UNION
        ),
        files=frozenset(field.path for field in schema.fields if field.type is FieldType.BINARY),
        controllers=dependence.controllers(schema),
        ranks={
            field.path: {choice.name: number for number, choice in enumerate(field.choices.choices)}
            for field in schema.fields
            if field.choices and field.type is FieldType.SELECT_ONE
        },
        keys={repeat.path: repeat.row_key for repeat in schema.repeats if repeat.row_key},
    )


def wrong_policy(text: str, field: Field) -> tuple[str, str] | None:
    """Return what is wrong with a policy at a field, and the fix; None when nothing is."""
    if text not in set(Policy):
        return f"“{text}” is no merge policy.", f"Use one of {', '.join(Policy)}, or leave the cell empty."
    types = POLICIES_BY_TYPE.get(Policy(text))
    if types and field.type not in types:
        return (
            f"The merge policy “{text}” does not suit a question of type {field.type}.",
            f"It is for {', '.join(sorted(types))}. Leave the cell empty to have people decide.",
        )
    return None


NO_NUMBER = Decimal("NaN")


def _instant(said: str) -> float:
    """The seconds since 1970 of a dateTime, 0 of anything else. Without a zone it is UTC: alike at every node."""
    try:
        moment = datetime.fromisoformat(said) if "T" in said else None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() if moment else 0
    except (ValueError, OverflowError):
        return 0


def _is_unattended(field: Field, place: Place) -> bool:
    asked_once = field.calculate and not field.control and "once(" not in field.calculate
    return bool(place.is_noise or field.preload or asked_once or field.path.startswith("/meta/"))


def _places(schema: FormSchema) -> list[tuple[Field, Place]]:
    found, waiting = [], [schema.top]
    while waiting:
        for place in waiting.pop().below.values():
            if place.field is not None:
                found.append((place.field, place))
            waiting.append(place)
    return found

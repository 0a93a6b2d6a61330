"""What a person's choice about a conflict means in cells. Pure; `server.resolving` makes it an entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forms import values
from forms.cells import BLANK, Cell, Cells, path_of
from forms.merge_rules import MEASURES, MergeRules, Policy
from forms.schema import Field, FieldType, FormSchema
from sync.view import Candidate, Conflict, ConflictKind

Rank = tuple[int, str]


class ChoiceError(ValueError):
    """The choice does not suit the conflict; the message says why, and never holds an answer."""


@dataclass(frozen=True, slots=True)
class Side:
    """Take one side. name: its place among the candidates from 0, or the digest of a revision that says so."""

    name: int | str


@dataclass(frozen=True, slots=True)
class Typed:
    """Give other answers. texts: by cell, a select_multiple by its field; under "" that of the only question."""

    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """Keep or delete a row or the submission that one side deleted and the other changed."""

    keep: bool


@dataclass(frozen=True, slots=True)
class ByRule:
    """Take the side that a policy names: later, first, larger or smaller."""

    policy: Policy


Choice = Side | Typed | Kept | ByRule


@dataclass(frozen=True)
class Case:
    """What is needed to judge a choice: the form version that the submission is shown in, and what is shown.

    listed: path → the answers that an attached list allows. ranks: of each revision, by digest.
    """

    schema: FormSchema
    rules: MergeRules
    shown: Cells
    listed: Mapping[str, frozenset[str]]
    ranks: Mapping[str, Rank]


def decided(conflict: Conflict, choice: Choice, case: Case) -> Cells:
    """Return the cells that settle a conflict this way. Raises ChoiceError."""
    match choice:
        case Side(name=name):
            return _side(conflict, name).cells
        case Kept(keep=keep):
            return _kept(conflict, keep=keep)
        case ByRule(policy=policy):
            return _by_rule(conflict, policy, case).cells
        case Typed(texts=texts):
            return _typed(conflict, texts, case)


def _side(conflict: Conflict, name: int | str) -> Candidate:
    if isinstance(name, int):
        if not 0 <= name < len(conflict.candidates):
            raise ChoiceError(f"There is no side {name}; there are 0 to {len(conflict.candidates) - 1}.")
        return conflict.candidates[name]
    found = [side for side in conflict.candidates if name in side.writers]
    if not found:
        raise ChoiceError("No side of this conflict comes from that revision.")
    return found[-1]


def _kept(conflict: Conflict, *, keep: bool) -> Cells:
    if conflict.kind not in {ConflictKind.ROW, ConflictKind.DELETED}:
        raise ChoiceError("Only a row or a submission can be kept or deleted; choose a side instead.")
    (name,) = conflict.cells
    wanted = keep if conflict.kind is ConflictKind.ROW else not keep
    return next(side.cells for side in conflict.candidates if bool(side.cells[name].said) is wanted)


def _by_rule(conflict: Conflict, policy: Policy, case: Case) -> Candidate:
    if conflict.kind is ConflictKind.CONSTRAINT:
        raise ChoiceError("No rule settles answers that do not fit together; decide this one by itself.")
    ranks = {
        at: [case.ranks.get(writer, (0, writer)) for writer in side.writers]
        for at, side in enumerate(conflict.candidates)
    }
    match policy:
        case Policy.LATER:
            return conflict.candidates[max(ranks, key=lambda at: max(ranks[at]))]
        case Policy.FIRST:
            return conflict.candidates[min(ranks, key=lambda at: min(ranks[at]))]
        case Policy.LARGER | Policy.SMALLER:
            field = case.schema.by_path.get(conflict.path)
            is_measure = isinstance(field, Field) and field.type in MEASURES
            if conflict.kind is not ConflictKind.VALUE or not is_measure:
                raise ChoiceError(f"“{policy}” is for numbers, dates, times and choices of one list.")
            (name,) = conflict.cells
            said = [side for side in conflict.candidates if side.cells[name].said]
            pick = max if policy is Policy.LARGER else min
            return pick(said, key=lambda side: case.rules.rank(conflict.path, side.cells[name].said))
    raise ChoiceError("Use one of later, first, larger, smaller.")


def _typed(conflict: Conflict, texts: Mapping[str, str], case: Case) -> Cells:
    if conflict.kind in {ConflictKind.ROW, ConflictKind.DELETED}:
        raise ChoiceError("This is about keeping or deleting; nothing can be typed.")
    open_to = {name.partition("#")[0]: path_of(name) for side in conflict.candidates for name in side.cells}
    found: dict[str, Cell] = {}
    for name, text in texts.items():
        target = (name or conflict.cells[0]).partition("#")[0]
        if target not in open_to or (not name and len(open_to) > 1 and conflict.kind is ConflictKind.UNIT):
            raise ChoiceError("Name the question that the answer is for; it must be one of this conflict.")
        found |= _answer(target, open_to[target], text.strip(), conflict, case)
    if (
        conflict.kind is ConflictKind.CONSTRAINT
    ):  # what is constrained has to be written, or nothing is settled
        shown = conflict.candidates[0].cells.items()
        found = {name: cell for name, cell in shown if name.partition("#")[0] in conflict.cells} | found
    return found


def _answer(cell: str, path: str, text: str, conflict: Conflict, case: Case) -> Cells:
    """The cells of one typed answer: one, or of a select_multiple one for each choice."""
    field = case.schema.by_path.get(path)
    if not isinstance(field, Field):
        raise ChoiceError("This is no single question: choose one of the sides, or send an edit.")
    if field.type is FieldType.BINARY and text:
        raise ChoiceError("A file cannot be typed: choose one of the sides, or send an edit with the file.")
    try:
        said = values.canonical(field.type, text, values.read(field.type, field, text))
    except values.WrongTypeError as wrong:
        raise ChoiceError(f"The answer does not fit the question ({field.type}): {wrong}.") from None
    listed = case.listed.get(path)
    names = said.split() if field.type in {FieldType.SELECT_MULTIPLE, FieldType.RANK} else [said]
    if said and listed is not None and not listed.issuperset(names):
        raise ChoiceError("The answer is not in the question's list.")
    if path not in case.rules.sets:
        return {cell: Cell(text, said)}
    ticked = {f"{cell}#{name}": Cell(name, name) for name in said.split()}
    known = {*case.shown, *(name for side in conflict.candidates for name in side.cells)}
    return {name: BLANK for name in sorted(known) if name.startswith(f"{cell}#")} | ticked

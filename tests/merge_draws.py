"""Making up histories of one submission, for the laws of merging.

Documents are changed field by field from the one that was opened; who opens what, when it is first received and what
else happens is drawn freely: edits before their parents, siblings, circles, stamps that run backwards, decisions upon
anything, undone ones. A seed draws the same history again.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from forms.cells import BLANK, Cell
from forms.schema import Field, FieldType, Group, Node, Repeat
from sync.history import components
from sync.registers import DELETED
from sync.revision import RevisionKind
from tests.merge_cases import Case, Document, Fact, Form, decide, edit, form, merge


def upgraded(document: Document) -> Document:
    """A document of the form `laws` in its second version."""
    names = {"school": "college"}
    return {names.get(name, name): answer for name, answer in document.items() if name != "grade"}


@dataclass(frozen=True)
class Slot:
    """Where an answer can stand. names: of the groups, repeats and the question. keys: of each repeat, in its order."""

    names: tuple[str, ...]
    repeats: tuple[tuple[str, str], ...]
    answers: tuple[str, ...]

    @property
    def path(self) -> str:
        return "/" + "/".join(self.names)


ANSWERS: Mapping[FieldType, tuple[str, ...]] = {
    FieldType.INT: ("1", "02", "3"),
    FieldType.DECIMAL: ("1.5", "1.50", "2"),
    FieldType.DATE: ("2026-07-01", "2026-07-02"),
    FieldType.TIME: ("08:00:00", "09:00:00.000+03:30"),
    FieldType.DATETIME: ("2026-07-01T08:00:00.000+03:30", "2026-07-02T08:00:00"),
    FieldType.BINARY: ("p.jpg", "q.jpg"),
}


@cache
def slots(name: str, version: str) -> Mapping[str, Slot]:
    """Every slot of a form version by path."""
    found: dict[str, Slot] = {}

    def walk(nodes: Sequence[Node], names: tuple[str, ...], repeats: tuple[tuple[str, str], ...]) -> None:
        for node in nodes:
            here = (*names, node.name)
            match node:
                case Group():
                    walk(node.children, here, repeats)
                case Repeat():
                    walk(node.children, here, (*repeats, ("/".join(here), node.row_key)))
                case Field() if node.path not in {"/meta/instanceID", "/meta/deprecatedID"}:
                    if not any(node.name == key for _, key in repeats):
                        found[node.path] = Slot(here, repeats, _answers(node))

    walk(form(name).schema(version).children, (), ())
    return found


def _answers(node: Field) -> tuple[str, ...]:
    if node.choices and node.choices.choices:
        one, two = (node.choices.choices[place].name for place in (0, -1))
        several = node.type is not FieldType.SELECT_ONE
        return (one, two, f"{one} {two}") if several else (one, two)
    return ANSWERS.get(node.type, ("a", "b", "ب"))


def put(document: Document, slot: Slot, row: int, answer: str) -> None:
    """Set an answer, "" to blank it; in a repeat that of the row at this place, made when it is not there."""
    at = document
    keys = dict(slot.repeats)
    for depth, name in enumerate(slot.names[:-1]):
        here = "/".join(slot.names[: depth + 1])
        if here not in keys:
            at = at.setdefault(name, {})
            continue
        rows = at.setdefault(name, [])
        if len(rows) < row:
            used = {one.get(keys[here]) for one in rows}
            free = next(key for key in ("r1", "r2") if key not in used)
            rows.append({keys[here]: free} if keys[here] else {})
        at = rows[min(row, len(rows)) - 1]
    at.pop(slot.names[-1], None)
    if answer:
        at[slot.names[-1]] = answer


def drop(document: Document, slot: Slot, row: int) -> None:
    """Delete the outer row at this place."""
    at: Any = document
    for name in slot.repeats[0][0].split("/"):
        at = at.get(name, {})
    if isinstance(at, list):
        del at[row - 1 : row]


def draw_case(chance: random.Random, name: str = "laws", most: int = 7) -> Case:
    """Return one submission of up to `most` facts of which some people know nothing of the others."""
    drawn = form(name)
    focus = _focus(chance, drawn)
    count = chance.randint(3, most)
    facts: list[Fact] = []
    for number in range(count):
        decisions = [fact for fact in facts if fact.document is None]
        kinds = ["edit"] * 5 + ["resave", "sibling"] * bool(facts)
        kinds += ["resolution", "tombstone", "restore"] * bool(facts) + ["withdrawal"] * 2 * bool(decisions)
        match chance.choice(kinds):
            case "edit":
                facts.append(_edit(chance, drawn, focus, facts, number, count))
            case "resave":
                facts.append(resaved(chance.choice(facts), f"i{number}", _stamp(chance), facts))
            case "sibling":
                one = _edit(chance, drawn, focus, facts, number, count)
                twin = chance.choice(facts).revision.instance_id
                edits = one.revision.deprecated_id
                facts.append(
                    edit(twin, edits, one.revision.stamp, one.document or {}, one.version, one.files)
                )
            case kind:
                among = decisions if kind == "withdrawal" else facts
                facts.append(_decision(chance, drawn, facts, among, RevisionKind(kind), f"i{number}", focus))
    return Case(drawn, _largest(facts))


def smallest(case: Case, breaks: Callable[[Case], bool]) -> Case:
    """Return a part of the case that still breaks, and does no longer when any one fact is left out."""
    for fact in case.facts:
        rest = [one for one in case.facts if one is not fact]
        if len(components(one.revision for one in rest)) == 1 and breaks(fewer := Case(case.form, rest)):
            return smallest(fewer, breaks)
    return case


def _stamp(chance: random.Random) -> int:
    """When something is first received; ties are common."""
    return chance.randint(1, 4)


def _edit(
    chance: random.Random,
    drawn: Form,
    focus: Sequence[str],
    facts: Sequence[Fact],
    number: int,
    count: int,
) -> Fact:
    versions = [version.schema.version for version in drawn.line.versions]
    known_or_not = [*[0] * count, *range(count)] if number else [None, None, None, 0]
    opened = chance.choice(known_or_not)
    edits = f"i{opened}" if opened is not None else None
    known = {fact.revision.instance_id: fact for fact in facts if fact.document is not None}
    parent = known.get(edits or "")
    version = chance.choice([parent.version if parent else versions[0]] * 3 + [versions[-1]])
    document = copy.deepcopy((parent.document if parent else chance.choice(drawn.seeds)) or {})
    if drawn.name == "laws" and version == "2":
        document = upgraded(document)
    files = chance.choice([{}, {"p.jpg": "f1"}, {"p.jpg": "f2"}])
    _change(chance, document, slots(drawn.name, version), focus)
    return edit(f"i{number}", edits, _stamp(chance), document, version, files if "photo" in document else {})


def _change(
    chance: random.Random, document: Document, among: Mapping[str, Slot], focus: Sequence[str]
) -> None:
    """Change the document here and there."""
    found = [among[path] for path in focus if path in among]
    for _ in range(chance.randint(1, 3) if found else 0):
        slot = chance.choice(found)
        row = chance.choice((1, 1, 2)) if slot.repeats else 1
        if slot.repeats and chance.random() < 0.25:
            drop(document, slot, row)
        else:
            put(document, slot, row, chance.choice(("", *slot.answers)))


def _focus(chance: random.Random, drawn: Form) -> Sequence[str]:
    """A few questions that everybody changes; or one with what decides that it is asked."""
    controllers = drawn.line.rules[0].controllers
    if not controllers or chance.random() < 0.5:
        versions = (version.schema.version for version in drawn.line.versions)
        paths = sorted({path for version in versions for path in slots(drawn.name, version)})
        return chance.choices(paths, k=chance.randint(1, 3))
    below = chance.choice(sorted(controllers))
    return (below, *sorted(controllers[below])[:2])


def resaved(fact: Fact, name: str, stamp: int, facts: Sequence[Fact]) -> Fact:
    """An edit of a revision, or of the last edit, that changes nothing but the times of the tablet."""
    if fact.document is None:
        fact = next((one for one in reversed(facts) if one.document is not None), fact)
    document = (fact.document or {}) | {"end": f"2026-07-0{stamp}T09:00:00.000+03:30"}
    return edit(name, fact.revision.instance_id, stamp, document, fact.version or "1")


def _decision(
    chance: random.Random,
    drawn: Form,
    facts: Sequence[Fact],
    among: Sequence[Fact],
    kind: RevisionKind,
    name: str,
    focus: Sequence[str],
) -> Fact:
    """A decision: of what a person saw, or upon anything, in any order."""
    if kind is RevisionKind.WITHDRAWAL:
        return decide(kind, name, [chance.choice(among)], _stamp(chance))
    seen = _group_of(chance.choice(among), facts)
    upon = chance.sample(seen, chance.randint(1, len(seen)))
    decided: dict[str, Cell] = {}
    version = ""
    if kind is RevisionKind.RESOLUTION:
        merged = merge(drawn, seen)
        version = merged.schema.version
        if chance.random() < 0.5:
            past = merged.view.history
            heads = {past.order[place].digest for place in past.heads}
            upon = [fact for fact in seen if fact.revision.digest in heads] or upon
        for conflict in merged.view.conflicts:
            if conflict.cells != (DELETED,):
                decided |= chance.choice(conflict.candidates).cells
        if not decided:
            cells = sorted(cell for cell in merged.view.shown if any(path in cell for path in focus))
            for cell in chance.sample(cells, min(len(cells), chance.randint(0, 2))):
                decided[cell] = chance.choice([BLANK, merged.view.shown[cell]])
    return decide(kind, name, upon, _stamp(chance), decided, version)


def _group_of(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    for group in components(one.revision for one in facts):
        digests = {one.digest for one in group}
        if fact.revision.digest in digests:
            return [one for one in facts if one.revision.digest in digests]
    raise AssertionError("every fact is in a group")


def _largest(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    groups = components(fact.revision for fact in facts)
    digests = {one.digest for one in max(groups, key=len)}
    return tuple({one.revision.digest: one for one in facts if one.revision.digest in digests}.values())

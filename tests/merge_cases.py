"""Made-up histories of one submission over real forms, for the laws of merging: facts, how to draw them, a dump.

A fact is what one journal entry says: an edit with a whole document, or a decision. Documents are changed field by
field from the one that was opened; who opens what, when it is first received and what else happens is drawn freely:
edits before their parents, siblings, circles, stamps that run backwards, decisions upon anything, undone ones.
"""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from forms import instance
from forms.cells import Cell
from forms.compile import CompiledForm, compile_form
from forms.fill import fill
from forms.fill_form import prepare
from forms.lineage import Version
from forms.recheck import recheck
from forms.schema import Field, FieldType, FormSchema, Group, Node, Repeat
from server import merging
from server.merging import FormLine, Merged, Read
from sync.history import components
from sync.registers import DELETED
from sync.revision import Revision, RevisionKind
from sync.view import Candidate, Conflict

SHEETS = Path(__file__).parents[1] / "forms" / "sheets"
SHIPPED = ("flow_monitoring_registry", "flow_monitoring_survey", "protection_needs_assessment")
VECTORS = Path(__file__).parent / "vectors"
Document = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """One revision with what it says. document: of an edit. decided: of a resolution. files: name → hash."""

    revision: Revision
    version: str = ""
    document: Document | None = None
    decided: Mapping[str, Cell] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def stamped(self, stamp: int) -> Fact:
        return replace(self, revision=replace(self.revision, stamp=stamp))


class Form:
    """A form with all its versions. seeds: documents to begin from."""

    def __init__(
        self, name: str, made: Sequence[CompiledForm], seeds: Sequence[Document], **renames: str
    ) -> None:
        versions = [Version(one.schema) for one in made]
        versions[-1] = replace(versions[-1], renames={f"/{old}": f"/{new}" for old, new in renames.items()})
        self.name, self.line, self.seeds = name, FormLine(tuple(versions)), tuple(seeds)
        self.logic = {one.schema.version: recheck(one.schema, one.xform, lists()) for one in made}

    def schema(self, version: str) -> FormSchema:
        return self.line.versions[self.line.place(version)].schema


class Case:
    """Facts of one submission, in the order they were made. Shown as `tests/vectors` keeps it."""

    def __init__(self, form: Form, facts: Sequence[Fact]) -> None:
        self.form, self.facts = form, tuple(facts)

    def __repr__(self) -> str:
        return orjson.dumps(vector(self), option=orjson.OPT_INDENT_2).decode()


def vector(case: Case) -> dict[str, Any]:
    """The case as JSON; see tests/vectors/README.md."""
    return {"form": case.form.name, "facts": [_told(fact) for fact in case.facts]}


def _told(fact: Fact) -> dict[str, Any]:
    one = fact.revision
    told: dict[str, Any] = {"id": one.instance_id, "stamp": one.stamp, "kind": one.kind, "digest": one.digest}
    if fact.document is None:
        cells = {name: list(cell) for name, cell in fact.decided.items()}
        return told | {"about": one.deprecated_id, "upon": one.parents, "cells": cells}
    told |= {"edits": one.deprecated_id, "version": fact.version, "answers": fact.document}
    return told | ({"files": dict(fact.files)} if fact.files else {})


def outcome(merged: Merged) -> dict[str, Any]:
    """What the view of a vector must say."""
    seen = merged.view
    return {
        "shown": {name: cell.text for name, cell in seen.shown.items()},
        "open": [_contested(one) for one in seen.conflicts],
        "settled": [_contested(one) for one in seen.settled],
        "current": merged.current and merged.current.digest,
        "edits": seen.edits,
        "is_deleted": seen.is_deleted,
        "parent_missing": seen.history.parent_missing,
    }


def _contested(one: Conflict) -> dict[str, Any]:
    sides = [
        {"cells": {name: cell.text for name, cell in side.cells.items()}, "by": list(side.writers)}
        for side in one.candidates
    ]
    return {"kind": one.kind.value, "policy": one.policy, "sides": sides}


def of_vector(told: Mapping[str, Any]) -> Case:
    """The case that `vector` told."""
    return Case(form(told["form"]), [_fact(one) for one in told["facts"]])


def _fact(told: Mapping[str, Any]) -> Fact:
    if told["kind"] == RevisionKind.EDIT:
        words = (told["id"], told["edits"], told["stamp"], told["answers"], told["version"])
        made = edit(*words, told.get("files"))
    else:
        cells = {name: Cell(*cell) for name, cell in told["cells"].items()}
        made = Fact(
            Revision(
                told["id"],
                "",
                "",
                told["about"],
                told["stamp"],
                RevisionKind(told["kind"]),
                tuple(told["upon"]),
            ),
            decided=cells,
        )
    return replace(made, revision=replace(made.revision, digest=told["digest"]))


def edit(
    name: str,
    edits: str | None,
    stamp: int,
    document: Document,
    version: str = "1",
    files: Mapping[str, str] | None = None,
) -> Fact:
    """An edit of `edits`."""
    digest = _digest([name, edits, version, document])
    revision = Revision(name, digest, _digest([version, document]), edits, stamp)
    return Fact(revision, version, document, files=files or {})


def decide(
    kind: RevisionKind, name: str, upon: Sequence[Fact], stamp: int, decided: Mapping[str, Cell] | None = None
) -> Fact:
    """A decision of somebody who has seen `upon`."""
    parents = tuple(sorted({fact.revision.digest for fact in upon}))
    about = upon[0].revision.instance_id
    digest = _digest([kind, name, about, parents, decided])
    return Fact(Revision(name, digest, "", about, stamp, kind, parents), decided=decided or {})


def _digest(facts: object) -> str:
    return hashlib.sha256(orjson.dumps(facts, default=list, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def merge(form: Form, facts: Sequence[Fact]) -> Merged:
    """The view of facts that are one submission; of the same fact received twice, the first receipt counts."""
    (group,) = components(fact.revision for fact in facts)
    known = {fact.revision.digest: fact for fact in facts}
    reads = [read(form, replace(known[one.digest], revision=one)) for one in group]
    return merging.merge(form.line, reads, form.logic.__getitem__)


def read(form: Form, fact: Fact) -> Read:
    """The fact as the server reads it from its entry."""
    tree = None
    if fact.document is not None:
        tree = instance.from_json(fact.document, form.schema(fact.version))
    return Read(fact.revision, fact.version, tree, fact.decided, fact.files)


def dump(merged: Merged) -> bytes:
    """All that a view says, byte for byte."""
    seen = merged.view
    past = seen.history
    return orjson.dumps(
        {
            "submission": past.instance_id,
            "order": [one.digest for one in past.order],
            "parents": past.parents,
            "parent_missing": past.parent_missing,
            "current": merged.current and merged.current.digest,
            "edits": seen.edits,
            "is_deleted": seen.is_deleted,
            "conflicts": [_conflict(one) for one in seen.conflicts],
            "settled": [_conflict(one) for one in seen.settled],
            "decisions": [
                [one.revision.digest, [[cell, _sides(sides)] for cell, sides in one.candidates.items()]]
                for one in seen.decisions
            ],
            "shown": list(seen.shown.items()),
            "document": merged.document,
            "files": merged.files,
            "is_single": merged.is_single,
            "misfits": merged.misfits,
        },
        default=list,
        option=orjson.OPT_INDENT_2,
    )


def _conflict(one: Conflict) -> list[Any]:
    return [one.kind, one.path, one.cells, one.policy, one.state_digest, _sides(one.candidates)]


def _sides(candidates: Sequence[Candidate]) -> list[Any]:
    return [[one.writers, list(one.cells.items())] for one in candidates]


@cache
def form(name: str) -> Form:
    """The form `laws`, in two versions, or a shipped one."""
    if name == "laws":
        made = [compile_form((VECTORS / f"laws-{n}.md").read_bytes(), "laws.md") for n in (1, 2)]
        row = {
            "row": "r1",
            "name": "Ali",
            "ill": "yes",
            "clinic": "K",
            "visit": [{"v_row": "v1", "place": "P"}],
        }
        seed = {
            "head": "Zahra",
            "age": "30",
            "child": "yes",
            "school": "M",
            "needs": "food",
            "member": [row, {"row": "r3"}],
        }
        return Form(name, made, [seed, {"photo": "p.jpg", "asset": [{"thing": "bed"}]}], school="college")
    sheet = compile_form((SHEETS / f"{name}.xlsx").read_bytes(), f"{name}.xlsx")
    tablet = prepare(sheet.schema, sheet.xform, lists())
    now = datetime(2026, 7, 1, 8, tzinfo=UTC)
    filled = [fill(tablet, now=now, chance=random.Random(seed)).xml for seed in range(6)]
    read = [instance.to_json(instance.read(xml, sheet.schema).answers) for xml in filled]
    read = sorted((one for one in read if len(str(one)) < 6000), key=lambda one: len(str(one)))
    return Form(name, [sheet], read[-2:])


@cache
def lists() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in (SHEETS / "media").iterdir()}


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


Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def cases(draw: Draw, name: str = "laws", most: int = 7) -> Case:
    """One submission of up to `most` facts of which some people know nothing of the others."""
    drawn = form(name)
    versions = [version.schema.version for version in drawn.line.versions]
    focus = draw(focuses(name))
    count = draw(st.sampled_from(range(3, most + 1)))
    facts: list[Fact] = []
    for number in range(count):
        decisions = [fact for fact in facts if fact.document is None]
        kinds = ["edit"] * 5 + ["resave", "sibling"] * bool(facts)
        kinds += ["resolution", "tombstone", "restore"] * bool(facts) + ["withdrawal"] * 2 * bool(decisions)
        match draw(st.sampled_from(kinds)):
            case "edit":
                facts.append(_draw_edit(draw, drawn, name, focus, facts, number, count, versions))
            case "resave":
                facts.append(resaved(draw(st.sampled_from(facts)), f"i{number}", draw(STAMPS), facts))
            case "sibling":
                one = _draw_edit(draw, drawn, name, focus, facts, number, count, versions)
                twin = draw(st.sampled_from(facts)).revision.instance_id
                edits = one.revision.deprecated_id
                facts.append(
                    edit(twin, edits, one.revision.stamp, one.document or {}, one.version, one.files)
                )
            case kind:
                among = decisions if kind == "withdrawal" else facts
                facts.append(
                    draw(decisions_upon(drawn, facts, among, RevisionKind(kind), f"i{number}", focus))
                )
    return Case(drawn, _largest(facts))


STAMPS = st.integers(1, 4)


def _draw_edit(
    draw: Draw,
    drawn: Form,
    name: str,
    focus: tuple[str, ...],
    facts: Sequence[Fact],
    number: int,
    count: int,
    versions: Sequence[str],
) -> Fact:
    known_or_not = st.sampled_from([*[0] * count, *range(count)])
    opened = draw(known_or_not) if number else draw(st.sampled_from([None, None, None, 0]))
    edits = f"i{opened}" if opened is not None else None
    known = {fact.revision.instance_id: fact for fact in facts if fact.document is not None}
    parent = known.get(edits or "")
    version = draw(st.sampled_from([parent.version if parent else versions[0]] * 3 + [versions[-1]]))
    before = parent.document if parent else drawn.seeds[draw(st.integers(0, len(drawn.seeds) - 1))]
    document = copy.deepcopy(before or {})
    if name == "laws" and version == "2":
        document = upgraded(document)
    changes = draw(st.integers(1, 3))
    return edit(
        f"i{number}",
        edits,
        draw(STAMPS),
        changed(draw, document, slots(name, version), focus, changes),
        version,
        draw(st.sampled_from([{}, {"p.jpg": "f1"}, {"p.jpg": "f2"}])) if "photo" in document else {},
    )


def changed(
    draw: Draw, document: Document, among: Mapping[str, Slot], focus: Sequence[str], count: int
) -> Document:
    """The document after some changes; in place."""
    found = [among[path] for path in focus if path in among]
    for _ in range(count if found else 0):
        slot = draw(st.sampled_from(found))
        row = draw(st.sampled_from((1, 1, 2))) if slot.repeats else 1
        if slot.repeats and draw(st.integers(0, 3)) == 0:
            drop(document, slot, row)
        else:
            put(document, slot, row, draw(st.sampled_from(("", *slot.answers))))
    return document


@st.composite
def focuses(draw: Draw, name: str) -> tuple[str, ...]:
    """A few questions that everybody changes; or one with what decides that it is asked."""
    drawn = form(name)
    paths = sorted({path for version in drawn.line.versions for path in slots(name, version.schema.version)})
    controllers = drawn.line.rules[0].controllers
    if not controllers or draw(st.booleans()):
        return tuple(draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3)))
    below = draw(st.sampled_from(sorted(controllers)))
    return (below, *sorted(controllers[below])[:2])


def resaved(fact: Fact, name: str, stamp: int, facts: Sequence[Fact]) -> Fact:
    """An edit of a revision, or of the last edit, that changes nothing but the times of the tablet."""
    if fact.document is None:
        fact = next((one for one in reversed(facts) if one.document is not None), fact)
    document = (fact.document or {}) | {"end": f"2026-07-0{stamp}T09:00:00.000+03:30"}
    return edit(name, fact.revision.instance_id, stamp, document, fact.version or "1")


@st.composite
def decisions_upon(
    draw: Draw,
    drawn: Form,
    facts: Sequence[Fact],
    among: Sequence[Fact],
    kind: RevisionKind,
    name: str,
    focus: Sequence[str],
) -> Fact:
    """A decision: of what a person saw, or upon anything, in any order."""
    if kind is RevisionKind.WITHDRAWAL:
        return decide(kind, name, [draw(st.sampled_from(among))], draw(STAMPS))
    seen = _group_of(draw(st.sampled_from(among)), facts)
    upon = draw(st.lists(st.sampled_from(seen), min_size=1, unique_by=lambda fact: fact.revision.digest))
    decided: dict[str, Cell] = {}
    if kind is RevisionKind.RESOLUTION:
        merged = merge(drawn, seen)
        if draw(st.booleans()):
            past = merged.view.history
            heads = {past.order[place].digest for place in past.heads}
            upon = [fact for fact in seen if fact.revision.digest in heads] or upon
        for conflict in merged.view.conflicts:
            if conflict.cells != (DELETED,):
                decided |= draw(st.sampled_from(conflict.candidates)).cells
        if not decided:
            cells = sorted(cell for cell in merged.view.shown if any(path in cell for path in focus))
            for cell in draw(st.lists(st.sampled_from(cells), max_size=2)) if cells else ():
                decided[cell] = Cell("", "") if draw(st.booleans()) else merged.view.shown[cell]
    return decide(kind, name, upon, draw(STAMPS), decided)


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

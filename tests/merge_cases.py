"""Histories of one submission over real forms, for the laws of merging: facts, their view and all that it says.

A fact is what one journal entry says: an edit with a whole document, or a decision. `merge_draws` makes them up.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from forms import instance
from forms.cells import Cell
from forms.compile import CompiledForm, compile_form
from forms.fill import fill
from forms.fill_form import prepare
from forms.lineage import Version
from forms.recheck import recheck
from forms.schema import FormSchema
from server import merging
from server.merging import FormLine, Merged, Read
from sync.history import components
from sync.revision import Revision, RevisionKind
from sync.view import Candidate, Conflict

SHEETS = Path(__file__).parents[1] / "forms" / "sheets"
SHIPPED = ("flow_monitoring_registry", "flow_monitoring_survey", "protection_needs_assessment")
VECTORS = Path(__file__).parent / "vectors"
Document = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """One revision with what it says. version: its words are of this form version.

    document: of an edit. decided: of a resolution. files: name → hash.
    """

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
        about = {"about": one.deprecated_id, "upon": one.parents, "version": fact.version}
        return told | about | {"cells": cells}
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
                told["about"],
                told["stamp"],
                RevisionKind(told["kind"]),
                tuple(told["upon"]),
            ),
            told.get("version", ""),
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
    revision = Revision(name, digest, edits, stamp)
    return Fact(revision, version, document, files=files or {})


def decide(
    kind: RevisionKind,
    name: str,
    upon: Sequence[Fact],
    stamp: int,
    decided: Mapping[str, Cell] | None = None,
    version: str = "",
) -> Fact:
    """A decision of somebody who has seen `upon` in a form version."""
    parents = tuple(sorted({fact.revision.digest for fact in upon}))
    about = upon[0].revision.instance_id
    digest = _digest([kind, name, about, parents, decided])
    return Fact(Revision(name, digest, about, stamp, kind, parents), version, decided=decided or {})


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
    return Read(fact.revision, fact.version, lambda: tree, fact.decided, fact.files)


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

"""Revisions in a few words, for tests of merging: `edit("b", "a", 2, age=4)` is an edit of `a` received second."""

from __future__ import annotations

from collections.abc import Mapping

from forms.cells import Cell
from forms.merge_rules import MergeRules, Policy
from sync.history import components
from sync.registers import Snapshot
from sync.revision import Revision, RevisionKind
from sync.view import View, view

Fact = tuple[Revision, Snapshot]


def rules(
    policies: Mapping[str, str] | None = None,
    unattended: tuple[str, ...] = (),
    sets: tuple[str, ...] = ("/needs",),
    files: tuple[str, ...] = ("/photo",),
    controllers: Mapping[str, tuple[str, ...]] | None = None,
) -> MergeRules:
    return MergeRules(
        policies={path: Policy(policy) for path, policy in (policies or {}).items()},
        unattended=frozenset(unattended),
        sets=frozenset(sets),
        files=frozenset(files),
        controllers={path: frozenset(above) for path, above in (controllers or {}).items()},
        ranks={},
        keys={"/member": "row_id"},
    )


def cell(text: str) -> Cell:
    return Cell(text, text)


def edit(
    instance_id: str,
    edits: str | None = None,
    stamp: int = 1,
    answers: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    lacks: tuple[str, ...] = (),
    **fields: str | int,
) -> Fact:
    """An edit of `edits`. fields: answers at the top. answers: cells by name. lacks: paths its version has not."""
    cells = {f"/{name}": cell(str(text)) for name, text in fields.items() if text != ""}
    cells |= {name: cell(text) for name, text in (answers or {}).items()}
    content = ",".join(f"{name}={one.said}" for name, one in sorted(cells.items()))
    digest = f"{instance_id}<{edits}:{content}:{sorted((files or {}).items())}"
    revision = Revision(instance_id, digest, edits, stamp)
    return revision, Snapshot(cells, lambda path: path not in lacks, files or {})


def decide(
    kind: str, upon: list[Fact], stamp: int, cells: Mapping[str, str] | None = None, name: str = ""
) -> Fact:
    """A decision of a person who has seen the facts in `upon`."""
    instance_id = name or f"{kind}-{stamp}"
    parents = tuple(sorted(revision.digest for revision, _ in upon))
    revision = Revision(
        instance_id,
        f"{instance_id}<{parents}:{sorted((cells or {}).items())}",
        upon[0][0].instance_id,
        stamp,
        RevisionKind(kind),
        parents,
    )
    return revision, Snapshot({one: cell(text) for one, text in (cells or {}).items()}, lambda _: True)


def merge(facts: list[Fact], by: MergeRules | None = None) -> View:
    """The view of facts that are one submission."""
    (group,) = components(revision for revision, _ in facts)
    snapshots = {revision.digest: snapshot for revision, snapshot in facts}
    return view(group, snapshots.__getitem__, by or rules())


def answers(seen: View) -> dict[str, str]:
    """What is shown, by cell."""
    return {name: one.text for name, one in seen.shown.items()}


def contested(seen: View) -> dict[str, list[dict[str, str]]]:
    """The open conflicts: kind and path, with the answers of each side, the one shown first."""
    return {
        f"{one.kind} {one.path}": [
            {name: answer.text for name, answer in candidate.cells.items()} for candidate in one.candidates
        ]
        for one in seen.conflicts
    }

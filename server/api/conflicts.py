"""Conflicts: listing, counting, resolving one or many, undoing. Central has none; in the style of its API.

Answers flagged personal, sensitive or restricted are null for who may not export them: such a person sees that the
sides differ, who said so and when, and may choose a side or type an answer all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, model_validator

from forms.cells import Cells
from forms.merge_rules import Policy
from server import resolving
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.disclosure import Veil, veil
from server.node import Node
from server.permissions import Action, Actor
from server.problems import Problem
from server.store import conflicts
from server.store.conflicts import Counts, StoredConflict, Wanted
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import StoredRevision
from sync.choosing import ByRule, Choice, Kept, Side, Typed
from sync.view import ConflictKind

PAGE = 100
PAGE_MAX = 1000

router = APIRouter(prefix="/projects/{project_id}", tags=["conflicts"])
State = Literal["open", "settled", "resolved"]
Rule = Literal["later", "first", "larger", "smaller"]
Reason = Annotated[str, Field(max_length=2000)]


class Filter(BaseModel):
    """Which conflicts; state "all" for every state. device, post: of any revision they are between."""

    state: State | Literal["all"] = "open"
    xmlFormId: str = ""  # noqa: N815  (Central's name)
    instanceId: str = ""  # noqa: N815
    kind: ConflictKind | Literal[""] = ""
    path: str = ""
    device: str = ""
    post: str = ""

    def wanted(self) -> Wanted:
        """Return it as the store asks."""
        state = "" if self.state == "all" else self.state
        return Wanted(self.xmlFormId, self.instanceId, state, self.kind, self.path, self.device, self.post)


class Resolution(BaseModel):
    """A decision: exactly one of candidate, revision, value, values, keep and policy.

    seen: the conflict's `seen` that it was made upon. candidate: its place from 0. revision: the SHA-256 of one that
    says so. value: the answer; values: answers by cell. keep: of a row or submission that one side deleted.
    """

    seen: str
    candidate: int | None = None
    revision: str | None = None
    value: str | None = None
    values: dict[str, str] | None = None
    keep: bool | None = None
    policy: Rule | None = None
    reason: Reason = ""

    @model_validator(mode="after")
    def _is_one(self) -> Resolution:
        given = (self.candidate, self.revision, self.value, self.values, self.keep, self.policy)
        if sum(one is not None for one in given) != 1:
            raise ValueError("Give exactly one of candidate, revision, value, values, keep, policy.")
        return self

    def choice(self) -> Choice:
        """Return what was chosen."""
        if self.candidate is not None:
            return Side(self.candidate)
        if self.revision is not None:
            return Side(self.revision)
        if self.keep is not None:
            return Kept(self.keep)
        if self.policy is not None:
            return ByRule(Policy(self.policy))
        return Typed({"": self.value} if self.value is not None else self.values or {})


class Undoing(BaseModel):
    """Why."""

    reason: Reason = ""


class Bulk(Filter):
    """To preview: a filter and a policy. To apply: the token of a preview."""

    policy: Rule | None = None
    token: str = ""
    reason: Reason = ""


FilterDep = Annotated[Filter, Depends()]
After = Annotated[str, Query(pattern=r"^(\d{1,18}\.[0-9a-f]{16})?$")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


@router.get("/conflicts")
def list_conflicts(
    node: NodeDep, actor: ActorDep, project_id: int, wanted: FilterDep, after: After = "", limit: Limit = PAGE
) -> list[dict[str, Any]]:
    """List one page, what waits longest first. after: the `position` of the last one seen."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    stamp, _, name = after.partition(".")
    with reading(node.engine) as connection:
        place = (int(stamp), name) if after else None
        page = conflicts.list_conflicts(connection, project_id, wanted.wanted(), place, limit)
    return describe(node, actor, page)


@router.get("/forms/{form_id}/conflicts")
def list_form_conflicts(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    wanted: FilterDep,
    after: After = "",
    limit: Limit = PAGE,
) -> list[dict[str, Any]]:
    """List one page of a form's conflicts."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    get_form(node, project_id, form_id)
    wanted.xmlFormId = form_id
    return list_conflicts(node, actor, project_id, wanted, after, limit)


@router.get("/conflicts/counts")
def count_conflicts(node: NodeDep, actor: ActorDep, project_id: int, wanted: FilterDep) -> dict[str, Any]:
    """Count conflicts by form, by field, by the post they came in at and by device."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    with reading(node.engine) as connection:
        return describe_counts(conflicts.count_conflicts(connection, project_id, wanted.wanted()))


@router.post("/conflicts/bulk")
def resolve_many(
    node: NodeDep, actor: ActorDep, project_id: int, bulk: Bulk, preview: bool = False
) -> dict[str, Any]:
    """Preview what a policy would do to many conflicts, or apply exactly what a preview showed."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    if not preview:
        done = resolving.apply(node, actor, project_id, bulk.token, bulk.reason)
        return {"batch": done.batch, "resolved": done.resolved, "left": _left(done.left)}
    if bulk.policy is None:
        raise Problem(400.1, "Give a policy: later, first, larger or smaller.")
    return describe_plan(node, actor, resolving.preview(node, project_id, bulk.wanted(), Policy(bulk.policy)))


@router.post("/conflicts/bulk/{batch}/undo")
def undo_many(
    node: NodeDep, actor: ActorDep, project_id: int, batch: str, undoing: Undoing | None = None
) -> dict[str, int]:
    """Undo what was resolved in bulk, as a whole."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    return {"undone": resolving.undo_batch(node, actor, project_id, batch, undoing.reason if undoing else "")}


@router.get("/conflicts/{conflict_id}")
def get_conflict(node: NodeDep, actor: ActorDep, project_id: int, conflict_id: str) -> dict[str, Any]:
    """Tell about one conflict; of a row, also what stands in it."""
    admit(node, actor, Action.READ_CONFLICTS, project_id)
    return describe_one(node, actor, resolving.get_conflict(node, project_id, conflict_id))


@router.post("/conflicts/{conflict_id}/resolve")
def resolve(
    node: NodeDep, actor: ActorDep, project_id: int, conflict_id: str, resolution: Resolution
) -> dict[str, Any]:
    """Settle one conflict; the others of the submission stay open."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    choice, seen = resolution.choice(), resolution.seen
    found = resolving.resolve(node, actor, project_id, conflict_id, choice, seen, resolution.reason)
    return describe_one(node, actor, found)


@router.post("/conflicts/{conflict_id}/undo")
def undo(
    node: NodeDep, actor: ActorDep, project_id: int, conflict_id: str, undoing: Undoing | None = None
) -> dict[str, Any] | None:
    """Withdraw the newest decision about a conflict: it is open again, or as the decision before left it.

    null when other changes made it another conflict, or none.
    """
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    found = resolving.undo(node, actor, project_id, conflict_id, undoing.reason if undoing else "")
    return describe_one(node, actor, found) if found else None


def describe_one(node: Node, actor: Actor, one: StoredConflict) -> dict[str, Any]:
    """Return the document of one conflict."""
    (document,) = describe(node, actor, [one])
    if one.about.kind is ConflictKind.ROW:
        document["row"] = _veil(node, actor, one).answers(resolving.read_row(node, one))
    return document


def describe(node: Node, actor: Actor, found: Iterable[StoredConflict]) -> list[dict[str, Any]]:
    """Return the documents of conflicts."""
    page = list(found)
    with reading(node.engine) as connection:
        writers = conflicts.read_writers(connection, page)
    veils = {one.form_id: _veil(node, actor, one) for one in {one.form_id: one for one in page}.values()}
    return [_describe(one, veils[one.form_id], writers) for one in page]


def describe_counts(counts: Counts) -> dict[str, Any]:
    """Return the document of counts."""
    return {
        "forms": [{"xmlFormId": name, "count": count} for name, count in counts.forms.items()],
        "fields": [
            {"xmlFormId": name, "path": path, "count": count} for (name, path), count in counts.fields.items()
        ],
        "posts": [{"post": name, "count": count} for name, count in counts.posts.items()],
        "devices": [{"device": name, "count": count} for name, count in counts.devices.items()],
    }


def describe_plan(node: Node, actor: Actor, plan: resolving.Plan) -> dict[str, Any]:
    """Return the document of a preview."""
    veils: dict[str, Veil] = {}
    planned = []
    for one in plan.planned:
        about = one.conflict
        seen = veils.setdefault(about.form_id, _veil(node, actor, about))
        planned.append(_name(about) | {"before": seen.answers(one.before), "after": seen.answers(one.after)})
    return {
        "token": plan.token,
        "count": len(planned),
        "more": plan.more,
        "resolves": planned,
        "left": _left({one.id: reason for one, reason in plan.left}),
    }


def _left(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"id": name, "reason": reason} for name, reason in reasons.items()]


def _veil(node: Node, actor: Actor, one: StoredConflict) -> Veil:
    with reading(node.engine) as connection:
        return veil(actor, one.project_id, node.schemas.line(connection, one.project_id, one.form_id))


def _answers(one: StoredConflict, cells: Cells, seen: Veil) -> dict[str, str | None]:
    """What one side says: of a row and of the submission (""), that it is kept or deleted."""
    match one.about.kind:
        case ConflictKind.ROW:
            return {name: "kept" if cell.said else "deleted" for name, cell in cells.items()}
        case ConflictKind.DELETED:
            return {"": "deleted" if any(cell.said for cell in cells.values()) else "kept"}
    return seen.answers(cells)


def _name(one: StoredConflict) -> dict[str, Any]:
    return {
        "id": one.id,
        "xmlFormId": one.form_id,
        "instanceId": one.instance_id,
        "kind": one.about.kind,
        "path": one.about.path,
    }


def _describe(one: StoredConflict, seen: Veil, writers: Mapping[str, StoredRevision]) -> dict[str, Any]:
    decision = writers.get(one.decision)
    return _name(one) | {
        "state": one.state,
        "policy": one.about.policy or None,
        "seen": one.seen,
        "since": iso(one.stamp),
        "position": f"{one.stamp}.{one.id}",
        "candidates": [
            {
                "answers": _answers(one, side.cells, seen),
                "revisions": [_revision(digest, writers.get(digest)) for digest in side.writers],
            }
            for side in one.about.candidates
        ],
        "decision": _revision(one.decision, decision)
        | {"reason": decision.reason, "batch": decision.batch or None}
        if decision
        else None,
    }


def _revision(digest: str, one: StoredRevision | None) -> dict[str, Any]:
    """Who said so, when and where; only the digest of a revision that has not come yet."""
    if one is None:
        return {"sha256": digest}
    return {
        "sha256": digest,
        "instanceId": one.instance_id,
        "kind": one.kind,
        "version": one.version or None,
        "submitter": {"id": one.submitter_id, "displayName": one.submitter_name},
        "deviceId": one.device_id or None,
        "post": one.origin,
        "createdAt": iso(one.stamp),
    }

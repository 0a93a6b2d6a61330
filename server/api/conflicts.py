"""Conflicts: listing, counting, resolving one or many, undoing. Central has none; in the style of its API.

Answers flagged personal, sensitive or restricted are null for who may not export them: such a person sees that the
sides differ, who said so and when, and may choose a side or type an answer all the same.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, model_validator

from forms.merge_rules import Policy
from server import resolving
from server.api.conflict_json import describe, describe_counts, describe_left, describe_one, describe_plan
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.permissions import Action, Actor, may
from server.problems import Problem
from server.store import conflicts
from server.store.conflicts import Wanted
from server.store.engine import reading
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
    return describe(node, page, personal=_sees_all(actor, project_id))


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
        return {"batch": done.batch, "resolved": done.resolved, "left": describe_left(done.left)}
    if bulk.policy is None:
        raise Problem(400.1, "Give a policy: later, first, larger or smaller.")
    plan = resolving.preview(node, project_id, bulk.wanted(), Policy(bulk.policy))
    return describe_plan(node, plan, personal=_sees_all(actor, project_id))


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
    found = resolving.get_conflict(node, project_id, conflict_id)
    return describe_one(node, found, personal=_sees_all(actor, project_id))


@router.post("/conflicts/{conflict_id}/resolve")
def resolve(
    node: NodeDep, actor: ActorDep, project_id: int, conflict_id: str, resolution: Resolution
) -> dict[str, Any]:
    """Settle one conflict; the others of the submission stay open."""
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    choice, seen = resolution.choice(), resolution.seen
    found = resolving.resolve(node, actor, project_id, conflict_id, choice, seen, resolution.reason)
    return describe_one(node, found, personal=_sees_all(actor, project_id))


@router.post("/conflicts/{conflict_id}/undo")
def undo(
    node: NodeDep, actor: ActorDep, project_id: int, conflict_id: str, undoing: Undoing | None = None
) -> dict[str, Any] | None:
    """Withdraw the newest decision about a conflict: it is open again, or as the decision before left it.

    null when other changes made it another conflict, or none.
    """
    admit(node, actor, Action.RESOLVE_CONFLICTS, project_id)
    found = resolving.undo(node, actor, project_id, conflict_id, undoing.reason if undoing else "")
    return describe_one(node, found, personal=_sees_all(actor, project_id)) if found else None


def _sees_all(actor: Actor, project_id: int) -> bool:
    return may(actor, Action.EXPORT_PERSONAL, project_id)

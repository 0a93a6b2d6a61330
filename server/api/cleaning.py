"""The cleaning log of a form: reading it, adding to it, changing many records at once, and taking back.

Answers flagged personal, sensitive or restricted are null for who may not export them, and only others clean them.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.api.bodies import read_body
from server.api.cleaning_json import describe_faults, describe_log
from server.api.deps import ActorDep, NodeDep, admit, get_form
from server.cleaning import entering, exchange
from server.cleaning.desk import Wish
from server.cleaning.dialects import Dialect
from server.cleaning.files import BYTES_MAX
from server.cleaning.scripts import Script, write_script
from server.cleaning.steps import read_steps
from server.permissions import Action, Actor, may
from server.problems import Problem
from server.store.engine import reading
from sync.cleaning import EntryKind

PAGE = 100
PAGE_MAX = 1000
ENTRIES_MAX = 10_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/cleaning", tags=["cleaning"])

Reason = Annotated[str, Field(max_length=2000)]
Asked = Annotated[EntryKind, Field(description="All but undo.")]


class NewEntry(BaseModel):
    """One line. field: the question by path or name, `needs/water` for a choice. row: of a repeat, as an export's KEY
    has it, its number or its key. old: what was seen; the line is refused when the record says something else.
    """

    model_config = ConfigDict(extra="forbid")
    instanceId: str  # noqa: N815  (Central's name)
    kind: Asked
    field: str = ""
    row: str = ""
    new: str = ""
    old: str | None = None
    reason: Reason = ""
    checkId: str = ""  # noqa: N815

    def wish(self, number: int) -> Wish:
        """Return it as the log takes it."""
        return Wish(
            number,
            self.instanceId,
            self.kind,
            self.field,
            self.row,
            self.new,
            self.old,
            self.reason,
            self.checkId,
        )


class NewEntries(BaseModel):
    """Lines to enter as one batch. partial: enter those without a fault; else one fault stops all."""

    model_config = ConfigDict(extra="forbid")
    entries: list[NewEntry] = Field(min_length=1, max_length=ENTRIES_MAX)
    partial: bool = False

    @model_validator(mode="after")
    def _undoes_nothing(self) -> NewEntries:
        if any(one.kind is EntryKind.UNDO for one in self.entries):
            raise ValueError("To take back an entry, POST to undo.")
        return self


class Undoing(BaseModel):
    """What to take back: a batch, or entries by id."""

    model_config = ConfigDict(extra="forbid")
    batch: str = ""
    ids: list[str] = Field(default=[], max_length=ENTRIES_MAX)
    reason: Reason = ""


@router.get("")
def list_cleaning(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    batch: str = "",
    instanceId: str = "",  # noqa: N803  (Central's name)
    after: Annotated[str, Query(pattern=r"^(\d{1,19}\.[0-9a-f]{32})?$")] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
) -> dict[str, Any]:
    """List one page of the log, oldest first, with what became of each entry. after: the `position` of the last seen.

    count and sha256 name the whole log, as an export of the clean view does.
    """
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    stamp, _, name = after.partition(".")
    return describe_log(
        node,
        (project_id, form_id),
        after=(int(stamp or 0), name),
        limit=limit,
        batch=batch,
        instance_id=instanceId,
        personal=sees_all(actor, project_id),
    )


@router.post("")
def add_entries(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, new: NewEntries
) -> dict[str, Any]:
    """Enter lines as one batch. A fault stops all (400.33, with details) unless `partial`."""
    admit(node, actor, Action.CLEAN, project_id)
    get_form(node, project_id, form_id)
    wishes = [one.wish(number) for number, one in enumerate(new.entries)]
    with reading(node.engine) as connection:
        plan = entering.plan(
            connection, node, (project_id, form_id), wishes, personal=sees_all(actor, project_id)
        )
    if plan.faults and not new.partial:
        raise Problem(
            400.33,
            f"{len(plan.faults)} of {len(wishes)} lines cannot be entered; nothing was.",
            extra={"faults": describe_faults(plan.faults)},
        )
    return entered(entering.record(node, actor, plan), plan)


@router.post("/undo")
def undo(node: NodeDep, actor: ActorDep, project_id: int, form_id: str, undoing: Undoing) -> dict[str, str]:
    """Take back a batch as a whole, or single entries. What is taken back is a batch too."""
    admit(node, actor, Action.CLEAN, project_id)
    get_form(node, project_id, form_id)
    batch = entering.undo(
        node,
        actor,
        (project_id, form_id),
        batch=undoing.batch,
        ids=undoing.ids,
        reason=undoing.reason,
        personal=sees_all(actor, project_id),
    )
    return {"batch": batch}


@router.post("/import")
async def import_log(
    request: Request,
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    dialect: Dialect,
    apply: bool = False,
) -> dict[str, Any]:
    """Hold a log of another tool, CSV or XLSX in the body, against the records; with `apply` enter what has no fault."""
    await run_in_threadpool(admit, node, actor, Action.CLEAN, project_id)
    await run_in_threadpool(get_form, node, project_id, form_id)
    data = await read_body(request, BYTES_MAX)
    personal = sees_all(actor, project_id)

    def run() -> dict[str, Any]:
        done = exchange.import_log(
            node, actor, (project_id, form_id), data, "", dialect, apply=apply, personal=personal
        )
        found = entered(done.batch, done.plan)
        return found | {"lines": done.lines, "encoding": done.encoding}

    return await run_in_threadpool(run)


@router.get("/export")
def export_log(
    node: NodeDep,
    actor: ActorDep,
    project_id: int,
    form_id: str,
    dialect: Dialect,
    removed: bool = False,
    workbook: bool = False,
) -> Response:
    """Give what counts of the log in a tool's layout, as CSV; with `removed` its file of removed records instead.

    workbook: both as XLSX, whose cells offer what may stand in them.
    """
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    form, personal = (project_id, form_id), sees_all(actor, project_id)
    if workbook:
        data = exchange.export_workbook(node, form, dialect, personal=personal)
        return Response(data, media_type=XLSX)
    files = exchange.export_log(node, form, dialect, personal=personal)
    return Response(files[removed], media_type="text/csv; charset=utf-8")


@router.get("/script")
def give_script(node: NodeDep, actor: ActorDep, project_id: int, form_id: str, language: Script) -> Response:
    """Give a script that makes the clean tables of a plain CSV export from the merged ones."""
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    log = read_steps(node, (project_id, form_id), personal=sees_all(actor, project_id))
    return Response(write_script(log, language), media_type="text/plain; charset=utf-8")


def entered(batch: str, plan: entering.Plan) -> dict[str, Any]:
    """Return what was entered, and what was not."""
    return {
        "batch": batch or None,
        "entered": plan.count if batch else 0,
        "unchanged": list(plan.unchanged),
        "faults": describe_faults(plan.faults),
    }


def sees_all(actor: Actor, project_id: int) -> bool:
    """Return whether the actor may see answers that few may."""
    return may(actor, Action.EXPORT_PERSONAL, project_id)

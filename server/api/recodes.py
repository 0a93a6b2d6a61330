"""One change to many records of a form: previewed and made once, or kept and made again to what arrives later."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from server import recoding
from server.api.cleaning import ENTRIES_MAX, Asked, Reason, entered, sees_all
from server.api.cleaning_json import describe_faults, describe_plan
from server.api.deps import ActorDep, Line, NodeDep, admit, get_form
from server.cleaning import bulk_edit
from server.cleaning.bulk_edit import Edit
from server.permissions import Action
from server.store import recodes
from server.store.engine import reading
from server.store.forms import iso
from sync.cleaning import EntryKind

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/cleaning", tags=["cleaning"])


class Bulk(BaseModel):
    """To preview: where (an expression, as `${size} > 20`), what to do, and new or formula, or values: what is written in
    the question `source` (or the field itself) → the new answer or choice. To apply: the token.
    """

    model_config = ConfigDict(extra="forbid")
    where: str = ""
    kind: Asked = EntryKind.CHANGE
    field: str = ""
    new: str = ""
    formula: str = ""
    reason: Reason = ""
    checkId: str = ""  # noqa: N815
    source: str = ""
    values: dict[str, str] = Field(default={}, max_length=ENTRIES_MAX)
    token: str = ""

    def edit(self) -> Edit:
        """Return it as it is done."""
        return Edit(
            self.where,
            self.kind,
            self.field,
            self.new,
            self.formula,
            self.reason,
            self.checkId,
            self.source,
            self.values,
        )


@router.post("/bulk")
def change_many(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, bulk: Bulk, preview: bool = False
) -> dict[str, Any]:
    """Preview one change to many records, or apply exactly what a preview showed."""
    admit(node, actor, Action.CLEAN, project_id)
    get_form(node, project_id, form_id)
    form, personal = (project_id, form_id), sees_all(actor, project_id)
    if not preview:
        return entered(*bulk_edit.apply(node, actor, form, bulk.token, personal=personal))
    found = bulk_edit.preview(node, form, bulk.edit(), personal=personal)
    return {"token": found.token, "more": found.more} | describe_plan(node, found.plan, personal=personal)


@router.get("/recodes")
def list_recodes(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> list[dict[str, Any]]:
    """List the changes to many records that are kept."""
    admit(node, actor, Action.READ_SUBMISSIONS, project_id)
    get_form(node, project_id, form_id)
    personal = sees_all(actor, project_id)
    with reading(node.engine) as connection:
        kept = recodes.list_recodes(connection, (project_id, form_id))
    return [
        {
            "name": one.name,
            "edit": orjson.loads(one.edit) if personal or not one.personal else None,
            "actor": {"id": one.actor_id, "displayName": one.actor_name},
            "createdAt": iso(one.stamp),
        }
        for one in kept
    ]


@router.put("/recodes/{name}")
def keep_recode(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: Line, bulk: Bulk
) -> dict[str, bool]:
    """Keep a change to many records under a name, to be made again to what arrives later."""
    admit(node, actor, Action.CLEAN, project_id)
    get_form(node, project_id, form_id)
    form = (project_id, form_id)
    recoding.keep(node, actor, form, name, bulk.edit(), personal=sees_all(actor, project_id))
    return {"success": True}


@router.delete("/recodes/{name}")
def give_up_recode(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, name: str
) -> dict[str, bool]:
    """Keep a recode no more; what it has entered stays."""
    admit(node, actor, Action.CLEAN, project_id)
    recoding.give_up(node, actor, (project_id, form_id), name)
    return {"success": True}


@router.post("/recodes/run")
def run_recodes(node: NodeDep, actor: ActorDep, project_id: int, form_id: str) -> dict[str, Any]:
    """Make every kept recode again; tells by name how many entries it made."""
    admit(node, actor, Action.CLEAN, project_id)
    get_form(node, project_id, form_id)
    done = recoding.run(node, (project_id, form_id))
    return {
        name: {"entered": count, "faults": describe_faults(faults)} for name, (count, faults) in done.items()
    }

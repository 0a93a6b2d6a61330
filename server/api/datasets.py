"""Datasets (entity lists) in the shape of ODK Central's API: which there are, their properties and forms, the CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from forms.schema import FormSchema
from server import entity_lists
from server.api.deps import ActorDep, NodeDep, admit
from server.etags import known_etags
from server.node import Node
from server.permissions import Action, Actor
from server.store import datasets, entities, forms
from server.store.datasets import StoredDataset
from server.store.engine import reading
from server.store.forms import PublishedForm, iso
from server.streamed import Streamed

router = APIRouter(prefix="/projects/{project_id}", tags=["entities"])


@router.get("/datasets")
def list_datasets(node: NodeDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List every dataset of the project with how many entities it has."""
    admit(node, actor, Action.READ_ENTITIES, project_id)
    with reading(node.engine) as connection:
        return [_describe(connection, one) for one in datasets.list_datasets(connection, project_id)]


@router.get("/datasets/{name}")
def get_dataset(node: NodeDep, actor: ActorDep, project_id: int, name: str) -> dict[str, Any]:
    """Tell about one dataset: its properties, the forms that write it and those that read it."""
    found = find(node, actor, Action.READ_ENTITIES, project_id, name)
    with reading(node.engine) as connection:
        described = _describe(connection, found)
        published = list(_forms(connection, node, project_id))
        linked = [
            one
            for one, _ in published
            if any(read.name == name for read in entity_lists.list_read(connection, node.schemas, one))
        ]
    writing = [(one, schema) for one, schema in published if any(e.dataset == name for e in schema.entities)]
    return described | {
        "properties": [
            {
                "name": one.name,
                "odataName": one.name,
                "publishedAt": iso(one.stamp),
                "withheld": one.withheld,
                "forms": [_name(form) for form, schema in writing if _saves(schema, name, one.name)],
            }
            for one in found.properties
        ],
        "linkedForms": [_name(one) for one in linked],
        "sourceForms": [_name(one) for one, _ in writing],
    }


@router.get("/datasets/{name}/entities.csv")
def get_csv(
    request: Request, node: NodeDep, actor: ActorDep, project_id: int, name: str, personal: bool = False
) -> Response:
    """Give all listed entities as CSV, in order of creation; only administrators get restricted properties."""
    found = find(node, actor, Action.READ_ENTITIES, project_id, name, personal=personal)
    etag = f'"{found.md5}{"-personal" if personal else ""}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in known_etags(request):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name, safe='')}.csv"
    chunks = entity_lists.for_people(node.engine, found, personal=personal)
    return Streamed(chunks, chunks.close, "text/csv; charset=utf-8", headers)


@router.get("/entity-faults")
def list_faults(node: NodeDep, actor: ActorDep, project_id: int) -> list[dict[str, Any]]:
    """List what records wanted of entities and could not have, oldest first. Not in Central's API."""
    admit(node, actor, Action.READ_ENTITIES, project_id)
    with reading(node.engine) as connection:
        found = entities.list_faults(connection, project_id)
    return [
        {
            "dataset": one.dataset,
            "uuid": one.uuid or None,
            "xmlFormId": one.form_id,
            "instanceId": one.instance_id,
            "fault": one.fault,
            "createdAt": iso(one.stamp),
        }
        for one in found
    ]


def find(
    node: Node, actor: Actor, action: Action, project_id: int, name: str, *, personal: bool = False
) -> StoredDataset:
    """Return a dataset. Raises Problem 403.1 unless the actor may, 404.1 when there is none of this name."""
    admit(node, actor, action, project_id)
    if personal:
        admit(node, actor, Action.EXPORT_PERSONAL, project_id)
    return entity_lists.get(node, project_id, name)


def _describe(connection: Connection, found: StoredDataset) -> dict[str, Any]:
    counts = datasets.count_entities(connection, found.project_id, found.name)
    return {
        "name": found.name,
        "projectId": found.project_id,
        "createdAt": iso(found.created_stamp),
        "approvalRequired": False,
        "ownerOnly": False,
        "entities": counts.entities,
        "conflicts": counts.conflicts,
        "lastEntity": None if counts.newest_stamp is None else iso(counts.newest_stamp),
    }


def _forms(connection: Connection, node: Node, project_id: int) -> Iterator[tuple[PublishedForm, FormSchema]]:
    for one in forms.list_current(connection, project_id):
        schema = node.schemas.find(connection, project_id, one.form_id, one.version)
        assert schema is not None, "a published version has a schema"
        yield one, schema


def _saves(schema: FormSchema, name: str, own: str) -> bool:
    return any(own in one.properties for one in schema.entities if one.dataset == name)


def _name(one: PublishedForm) -> dict[str, str]:
    return {"xmlFormId": one.form_id, "name": one.name}

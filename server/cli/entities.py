"""`chapar entities`: what is in the entity lists, what is in conflict, and what records could not have."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

app = typer.Typer(
    name="entities", help="Entities: cases and other things that forms share.", no_args_is_help=True
)
Dataset = Annotated[str, typer.Argument(help="The entity list, as `cases`.")]
Personal = Annotated[
    bool, typer.Option("--personal", help="Include personal, sensitive and restricted properties.")
]


@app.command("list")
def list_entities(
    dataset: Dataset,
    personal: Personal = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Those that wait for the record that creates them.")
    ] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were deleted.")] = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List the entities of DATASET in order of creation."""
    from server import entity_lists
    from server.api.entity_json import Shown

    with opened(data) as node:
        found = entity_lists.get(node, project, dataset)
        shown = Shown(found, personal)
        rows: list[dict[str, Any]] = [
            shown.entity(one)
            for page in entity_lists.iter_pages(node.engine, found, pending=pending, deleted=deleted)
            for one in page
        ]
    lines = [
        f"{row['uuid']}  version {row['currentVersion']['version']}  {row['conflict'] or '-':4}  "
        f"{row['currentVersion']['label']}"
        for row in rows
    ]
    tell({"entities": rows}, "\n".join(lines) or "No entity is there.", as_json=as_json)


@app.command("show")
def show_entity(
    dataset: Dataset,
    uuid: Annotated[str, typer.Argument(help="The entity's UUID.")],
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Show an entity of DATASET: its values, its versions and what is in conflict."""
    from server import entity_changes, entity_lists
    from server.api.entity_json import Shown

    with opened(data) as node:
        found = entity_lists.get(node, project, dataset)
        one = entity_changes.get(node, found, uuid)
        seen, sources = entity_changes.read_history(node, found, one.uuid)
        shown = Shown(found, personal)
        versions = shown.versions(one.uuid, seen, sources)
        told = shown.entity(one) | {"currentVersion": versions[-1], "versions": versions}
    newest = versions[-1]
    lines = [
        f"{newest['label']}  ({one.uuid}, version {newest['version']}, conflict: {one.conflict or 'none'})"
    ]
    lines += [f"  {name} = {value}" for name, value in newest["data"].items()]
    for name, candidates in newest["conflicts"].items():
        lines.append(f"  open: {name}: {' | '.join(candidate['value'] for candidate in candidates)}")
    tell(told, "\n".join(lines), as_json=as_json)


@app.command("faults")
def list_faults(data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """List what records wanted of entities and could not have."""
    from server.store import entities
    from server.store.engine import reading
    from server.store.forms import iso

    with opened(data) as node, reading(node.engine) as connection:
        found = entities.list_faults(connection, project)
    rows = [
        {
            "received_at": iso(one.stamp),
            "dataset": one.dataset,
            "uuid": one.uuid,
            "form_id": one.form_id,
            "instance_id": one.instance_id,
            "fault": one.fault,
        }
        for one in found
    ]
    lines = [f"{row['received_at']}  {row['form_id']}  {row['instance_id']}  {row['fault']}" for row in rows]
    tell({"faults": rows}, "\n".join(lines) or "Nothing is wrong.", as_json=as_json)

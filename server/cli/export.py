"""`chapar export`, `chapar rebuild`, `chapar quarantine`: getting data out, and looking after the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.common import Data, Json, Project, opened, tell
from server.exports.options import Format, Options, Profile, View


def export(
    form: Annotated[str, typer.Argument(help="The form's ID.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    personal: Annotated[
        bool, typer.Option("--personal", help="Include personal, sensitive and restricted columns.")
    ] = False,
    media: Annotated[
        bool, typer.Option("--media", help="Write the submitted files beside the tables.")
    ] = False,
    wanted: Annotated[Format, typer.Option("--format", help="How to write the tables.")] = Format.CSV,
    view: Annotated[
        View, typer.Option("--view", help="What a record says; see docs/exports.md.")
    ] = View.MERGED,
    as_of: Annotated[
        str, typer.Option("--as-of", help="As the records were then: 2026-11-22T21:00:00Z.")
    ] = "",
    where: Annotated[
        str, typer.Option("--filter", help="ODK Central's $filter: __system/reviewState eq 'approved'.")
    ] = "",
    split: Annotated[
        bool, typer.Option("--split", help="A column of 0 and 1 for each choice of a select_multiple.")
    ] = False,
    group_paths: Annotated[
        bool, typer.Option("--group-paths/--no-group-paths", help="Put the groups into the titles.")
    ] = True,
    deleted_fields: Annotated[
        bool, typer.Option("--deleted-fields/--newest-fields", help="Also what only older versions ask.")
    ] = True,
    empty_columns: Annotated[
        bool, typer.Option("--empty-columns/--no-empty-columns", help="Also questions that nobody answered.")
    ] = False,
    labels: Annotated[
        str, typer.Option("--labels", help="Labels instead of names, in this language: fa.")
    ] = "",
    profile: Annotated[
        Profile, typer.Option("--profile", help="Whose column names and order.")
    ] = Profile.ODK,
    hxl: Annotated[
        bool, typer.Option("--hxl", help="A row of HXL tags under the titles (csv, xlsx).")
    ] = False,
    solar: Annotated[bool, typer.Option("--solar", help="Dates in the Solar Hijri calendar too.")] = False,
    recipient: Annotated[
        str,
        typer.Option("--recipient", help="Only what may be shared, under this recipient's own pseudonyms."),
    ] = "",
    bands: Annotated[
        list[str] | None, typer.Option("--band", help="Numbers as bands: age=0,5,18,60. Can be repeated.")
    ] = None,
    keys: Annotated[
        str, typer.Option("--keys", help="Questions that people may be known by (those flagged Q): sex,age.")
    ] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Write a form's submissions: one table for the form and one for each repeat, with a codebook and a manifest."""
    from server.cli.bars import bars
    from server.exports.folder import export_form

    options = Options(
        format=wanted,
        view=view,
        as_of=as_of,
        personal=personal,
        filter=where,
        split=split,
        group_paths=group_paths,
        deleted_fields=deleted_fields,
        empty_columns=empty_columns,
        labels=labels,
        profile=profile,
        hxl=hxl,
        solar=solar,
        recipient=recipient,
        bands=";".join(bands or ()),
        keys=keys,
    )
    with opened(data) as node, bars() as report:
        done = export_form(node, project, form, out, options, media=media, report=report)
    files = [{"name": file.name, "rows": file.rows} for file in done.files]
    lines = [f"{out / file.name}: {file.rows} rows" for file in done.files]
    if media or wanted is Format.MEDIA:
        gone = f", {done.media_gone} that are not here" if done.media_gone else ""
        lines.append(f"{out / 'media'}: {done.media} files{gone}")
    if not done.files and wanted is Format.GEOJSON:
        lines.append("The form asks for no place: there is nothing to put on a map.")
    lines += [f"risk {one.risk:.1%} by {', '.join(one.keys) or 'nothing'}" for one in done.risks]
    tell(
        {
            "out": str(out),
            "files": files,
            "rows": sum(file.rows for file in done.files),
            "media": done.media,
            "mediaGone": done.media_gone,
        },
        "\n".join(lines),
        as_json=as_json,
    )


def flows(
    form: Annotated[str, typer.Argument(help="The form that counts flows.")],
    out: Annotated[Path, typer.Option("--out", help="The CSV to write.")],
    view: Annotated[
        View, typer.Option("--view", help="What a record says; see docs/exports.md.")
    ] = View.CLEAN,
    as_of: Annotated[
        str, typer.Option("--as-of", help="As the records were then: 2026-11-22T21:00:00Z.")
    ] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Write the table of flows that may be published: people by day, crossing and direction, small counts blank."""
    from server.api.slots_json import describe_slots
    from server.exports.flows import public_flows

    with opened(data) as node:
        content = public_flows(node, project, form, Options(view=view, as_of=as_of))
        slots = None if as_of else describe_slots(node, (project, form))
    out.write_bytes(content)
    rows = content.count(b"\n") - 2
    told, note = {"out": str(out), "rows": rows}, ""
    if slots:
        told["gaps"] = slots["gaps"]
        note = f"\n{slots['gaps']} planned slots have no record: a gap is not zero. See: chapar cleaning slots {form}"
    tell(told, f"{out}: {rows} rows{note}", as_json=as_json)


def rebuild(data: Data = None, as_json: Json = False) -> None:
    """Derive all state again from the journal. Safe to repeat; a running server should be stopped first."""
    from server import projection
    from server.node import lock_data
    from server.store import journal
    from server.store.engine import reading

    with opened(data) as node, lock_data(node.settings.data):
        projection.rebuild(node.engine, node.schemas)
        with reading(node.engine) as connection:
            entries = journal.head_position(connection)
    tell({"entries": entries}, f"derived again from {entries} entries", as_json=as_json)


def quarantine(data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """List what came in and could not be read."""
    from server.store.engine import reading
    from server.store.forms import iso
    from server.store.quarantine import list_quarantined

    with opened(data) as node, reading(node.engine) as connection:
        found = list_quarantined(connection, project)
    rows = [
        {
            "id": one.position,
            "received_at": iso(one.stamp),
            "form_id": one.form_id,
            "size": one.size,
            "reason": one.reason,
        }
        for one in found
    ]
    lines = [
        f"{row['id']}  {row['received_at']}  {row['form_id'] or '?'}  {row['size']} bytes  {row['reason']}"
        for row in rows
    ]
    tell({"quarantine": rows}, "\n".join(lines) or "Nothing waits in quarantine.", as_json=as_json)

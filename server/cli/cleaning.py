"""`chapar cleaning`: the log of what people corrected, to and from the tools that they clean with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.cleaning_checks import Form, Personal, checks, days, plan, quality, slots
from server.cli.common import Data, Json, Project, opened, tell

if TYPE_CHECKING:
    from server.cleaning.exchange import Imported

app = typer.Typer(help="The cleaning log: list, import, export, undo.", no_args_is_help=True)
for command in (checks, quality, days, plan, slots):
    app.command(command.__name__)(command)

DialectName = Annotated[
    str, typer.Option("--dialect", help="Whose layout: cleaningtools, utilityr, kobold or ipacheck.")
]
SHOWN = 50
CHANGING = frozenset({"change", "blank", "add_option", "remove_option"})


@app.command("list")
def list_log(
    form: Form,
    record: Annotated[str, typer.Option(help="Only of this record.")] = "",
    batch: Annotated[str, typer.Option(help="Only of this batch.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List the log, oldest first, with what became of each entry."""
    from server.api.cleaning_json import describe_log

    with opened(data) as node:
        node.catch_up()
        found = describe_log(
            node, (project, form), limit=limit, batch=batch, instance_id=record, personal=personal
        )
    lines = [f"{found['count']} entries, SHA-256 {found['sha256']}"]
    lines += [
        f"{one['id']}  {one['createdAt'][:16]}  {one['status']:<10}  {one['kind']:<13}  {one['instanceId']}  "
        f"{one['cell']}  {_arrow(one)}  {one['actor']['displayName']}  {one['reason']}".rstrip()
        for one in found["entries"]
    ]
    tell(found, "\n".join(lines), as_json=as_json)


@app.command("import")
def import_log(
    form: Form,
    file: Annotated[Path, typer.Argument(help="The log: CSV or XLSX.", exists=True, dir_okay=False)],
    dialect: DialectName = "cleaningtools",
    apply: Annotated[
        bool, typer.Option("--apply", help="Enter what has no fault; without it nothing is entered.")
    ] = False,
    deletions: Annotated[
        Path | None, typer.Option(help="The removed records, where the tool keeps them apart.", exists=True)
    ] = None,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Hold a log of another tool against the records, tell every line that does not fit, and enter the rest if asked."""
    from server.cleaning import exchange
    from server.permissions import OPERATOR

    chosen = _dialect(dialect)
    results = []
    with opened(data) as node:
        node.catch_up()
        for path in filter(None, (file, deletions)):
            done = exchange.import_log(
                node,
                OPERATOR,
                (project, form),
                path.read_bytes(),
                path.suffix[1:].lower(),
                chosen,
                apply=apply,
                personal=True,
            )
            results.append((path, done))
    lines = [line for path, done in results for line in _report(path, done, apply=apply)]
    tell({"files": [_json(path, done) for path, done in results]}, "\n".join(lines), as_json=as_json)


@app.command("export")
def export_log(
    form: Form,
    file: Annotated[Path, typer.Argument(help="Where to write it: its name ends in .csv or .xlsx.")],
    dialect: DialectName = "cleaningtools",
    script: Annotated[
        str,
        typer.Option(help="Instead of the log a script, r or stata, that makes clean tables of merged ones."),
    ] = "",
    personal: Personal = False,
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Write what counts of the log in a tool's layout; removed records into NAME_deletions.csv where it has them apart."""
    from server.cleaning import exchange
    from server.cleaning.scripts import Script, write_script
    from server.cleaning.steps import read_steps

    chosen, apart = _dialect(dialect), b""
    if script and script.lower() not in set(Script):
        raise typer.BadParameter(f"Use one of {', '.join(Script)}.", param_hint="--script")
    with opened(data) as node:
        node.catch_up()
        if script:
            log = write_script(read_steps(node, (project, form), personal=personal), Script(script.lower()))
        elif file.suffix.lower() == ".xlsx":
            log = exchange.export_workbook(node, (project, form), chosen, personal=personal)
        else:
            log, apart = exchange.export_log(node, (project, form), chosen, personal=personal)
    file.write_bytes(log)
    written = [file]
    if apart:
        written.append(file.with_name(f"{file.stem}_deletions.csv"))
        written[-1].write_bytes(apart)
    tell({"files": list(map(str, written))}, "\n".join(map(str, written)), as_json=as_json)


@app.command("recode")
def recode(
    form: Form,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    field: Annotated[str, typer.Option(help="The question whose answer is given, or `needs/water`.")],
    source: Annotated[str, typer.Option(help="The question that is looked at, when it is another.")] = "",
    values: Annotated[
        Path | None, typer.Option(help="CSV of two columns: what is written, what is given.", exists=True)
    ] = None,
    where: Annotated[str, typer.Option(help="An expression, as ${size} > 20.")] = "",
    formula: Annotated[str, typer.Option(help="An expression that gives the answer: ${litres} * 1000.")] = "",
    kind: Annotated[str, typer.Option(help="change, blank, add_option, …")] = "change",
    reason: Annotated[str, typer.Option(help="Why; kept with each entry.")] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Keep a change to many records: recoded others, a spelling list, a unit. A server makes it to what arrives later."""
    import csv

    from server import recoding
    from server.cleaning.bulk_edit import Edit
    from server.cleaning.files import decode
    from server.permissions import OPERATOR
    from sync.cleaning import EntryKind

    text = decode(values.read_bytes())[0] if values else ""
    given = {row[0]: row[1] for row in csv.reader(text.lstrip("\ufeff").splitlines()) if len(row) >= 2}
    if kind not in set(EntryKind):
        raise typer.BadParameter(f"Use one of {', '.join(EntryKind)}.", param_hint="--kind")
    edit = Edit(where, EntryKind(kind), field, "", formula, reason, "", source, given)
    with opened(data) as node:
        recoding.keep(node, OPERATOR, (project, form), name, edit, personal=True)
    tell(
        {"name": name, "values": len(given)},
        f"kept for what arrives from now on; for what is here: chapar cleaning recodes {form} --run",
        as_json=as_json,
    )


@app.command("recodes")
def recodes(
    form: Form,
    run: Annotated[bool, typer.Option("--run", help="Make each of them again.")] = False,
    give_up: Annotated[str, typer.Option(help="Keep this one no more; what it has entered stays.")] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """List the recodes that are kept, make them again, or give one up."""
    from server import recoding
    from server.permissions import OPERATOR
    from server.store import recodes as stored
    from server.store.engine import reading

    with opened(data) as node:
        node.catch_up()
        if give_up:
            recoding.give_up(node, OPERATOR, (project, form), give_up)
        done = recoding.run(node, (project, form)) if run else {}
        with reading(node.engine) as connection:
            kept = [one.name for one in stored.list_recodes(connection, (project, form))]
    entered = {name: {"entered": count, "faults": len(faults)} for name, (count, faults) in done.items()}
    lines = [
        f"{name}: {entered[name]['entered']} entered, {entered[name]['faults']} faults"
        if name in entered
        else name
        for name in kept
    ]
    tell({"recodes": kept, "made": entered}, "\n".join(lines) or "No recode is kept.", as_json=as_json)


@app.command("undo")
def undo(
    form: Form,
    batch: Annotated[str, typer.Option(help="Take back what was entered as one.")] = "",
    entry: Annotated[list[str] | None, typer.Option(help="Take back this entry.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Take back a batch or single entries. Taking back is an entry too, and can be taken back."""
    from server.cleaning import entering
    from server.permissions import OPERATOR

    if bool(batch) == bool(entry):
        raise typer.BadParameter("Give --batch, or --entry one or more times.")
    with opened(data) as node:
        node.catch_up()
        form_key = (project, form)
        made = entering.undo(
            node, OPERATOR, form_key, batch=batch, ids=entry or [], reason=reason, personal=True
        )
    tell(
        {"batch": made},
        f"taken back; to have it again: chapar cleaning undo {form} --batch {made}",
        as_json=as_json,
    )


def _dialect(name: str) -> Any:
    from server.cleaning.dialects import Dialect

    if name.lower() not in set(Dialect):
        raise typer.BadParameter(f"Use one of {', '.join(Dialect)}.", param_hint="--dialect")
    return Dialect(name.lower())


def _arrow(one: dict[str, Any]) -> str:
    if one["old"] is None:
        return "(hidden)"
    if one["kind"] in CHANGING:
        return f"“{one['old']}” → “{one['new']}”"
    return f"“{one['old']}”" if one["old"] else ""


def _report(path: Path, done: Imported, *, apply: bool) -> list[str]:
    faults = done.plan.faults
    lines = [f"{path}, row {one.number}: {one.message}  [{one.code}]" for one in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"and {len(faults) - SHOWN} more; --json tells all")
    verb = "entered" if apply else "to enter"
    lines.append(
        f"{path} ({done.encoding}): {done.lines} lines, {done.plan.count} {verb}, "
        f"{len(done.plan.unchanged)} so already, {len(faults)} faults"
    )
    if done.batch:
        lines.append(f"undo with: --batch {done.batch}")
    elif not apply:
        lines.append("Nothing was entered; --apply enters what has no fault.")
    return lines


def _json(path: Path, done: Imported) -> dict[str, Any]:
    from server.api.cleaning_json import describe_faults

    return {
        "file": str(path),
        "encoding": done.encoding,
        "lines": done.lines,
        "entries": done.plan.count,
        "unchanged": list(done.plan.unchanged),
        "faults": describe_faults(done.plan.faults),
        "batch": done.batch or None,
    }

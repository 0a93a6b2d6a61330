"""Taking in the logs of other tools, and giving ours to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from forms.cells import path_of
from forms.schema import FormSchema
from server.cleaning import entering
from server.cleaning.dialects import LAYOUTS, Dialect, Line, read_wishes, write_lines
from server.cleaning.entering import Plan, open_current
from server.cleaning.files import plain, read_log, write_csv
from server.cleaning.places import ROWS
from server.cleaning.records import Cleaned
from server.cleaning.workbook import answers_of, write_workbook
from server.disclosure import veil
from server.node import Node
from server.permissions import Actor
from server.store import forms, submissions
from server.store.cleaning import StoredEntry
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import FormKey
from sync.cleaning import EntryKind, Status

PAGE = 100


@dataclass(frozen=True)
class Imported:
    """What a file comes to. lines: how many it has. batch: "" while nothing is entered."""

    lines: int
    encoding: str
    plan: Plan
    batch: str


def import_log(
    node: Node,
    actor: Actor,
    form: FormKey,
    data: bytes,
    suffix: str,
    dialect: Dialect,
    *,
    apply: bool,
    personal: bool,
) -> Imported:
    """Hold a log of another tool against the records; with `apply` enter what has no fault.

    Raises Problem 400.33 for a file without a table.
    """
    wanted = [name for names in LAYOUTS[dialect].what.values() for name in names]
    file = read_log(data, suffix, [plain(name) for name in wanted])
    wishes, faults = read_wishes(file, dialect)
    with reading(node.engine) as connection:
        plan = entering.plan(connection, node, form, wishes, personal=personal)
    whole = sorted((*faults, *plan.faults), key=lambda one: one.number)
    plan = Plan(form, plan.records, tuple(whole), plan.unchanged)
    batch = entering.record(node, actor, plan) if apply else ""
    return Imported(len(file.rows), file.encoding, plan, batch)


def export_log(node: Node, form: FormKey, dialect: Dialect, *, personal: bool) -> tuple[bytes, bytes]:
    """Return the log as it counts now in a tool's layout, as CSV, and the removed records apart, b"" if it has no such file.

    personal: False leaves out entries about answers that few may see.
    """
    log, apart = write_lines(_lines(node, form, personal=personal), dialect)
    return write_csv(log), write_csv(apart) if apart else b""


def export_workbook(node: Node, form: FormKey, dialect: Dialect, *, personal: bool) -> bytes:
    """Return the same as a workbook whose cells offer what may stand in them, see `server.cleaning.workbook`."""
    log, apart = write_lines(_lines(node, form, personal=personal), dialect)
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, *form)
        lists = forms.read_lists(connection, node.blobs, *form)
    schema, shown = line.versions[-1].schema, veil(line, personal=personal)
    names = {field.path: _title(field.path, schema) for field in schema.fields}
    return write_workbook(log, apart, LAYOUTS[dialect], answers_of(schema, names, shown, lists))


def _lines(node: Node, form: FormKey, *, personal: bool) -> Iterator[Line]:
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        shown = veil(cleaner.line, personal=personal)
        after = 0
        while page := submissions.list_submissions(connection, *form, after, PAGE):
            found = cleaner.clean(connection, page)
            for one in page:
                done = found.get(one.instance_id)
                for entry in done.entries if done else ():
                    cell = cleaner.cell(one, entry.version, entry.cell)
                    if done and _counts(done, entry) and not shown.hides_cell(cell):
                        yield _line(one.instance_id, entry, cell, cleaner.schema(one))
            after = page[-1].position


def _counts(done: Cleaned, entry: StoredEntry) -> bool:
    status, kind = done.status[entry.id], EntryKind(entry.kind)
    if kind is EntryKind.NO_ACTION:
        return status is Status.NOTED
    return status is Status.APPLIED and kind is not EntryKind.RESTORE


def _line(instance_id: str, entry: StoredEntry, cell: str, schema: FormSchema) -> Line:
    path, _, choice = path_of(cell), *cell.partition("#")[1:]
    rows = "/".join(f"{name}[{key.removeprefix('@')}]" for name, key in ROWS.findall(cell))
    return Line(
        instance_id,
        rows,
        _title(path, schema),
        EntryKind(entry.kind),
        entry.old,
        entry.new,
        entry.reason,
        entry.check_id,
        orjson.loads(entry.remarks),
        choice,
        iso(entry.stamp),
    )


def _title(path: str, schema: FormSchema) -> str:
    """The question's name, with its groups where others have it too."""
    name = path.rpartition("/")[2]
    others: Sequence[str] = [one for one in schema.by_path if one.rpartition("/")[2] == name]
    return name if len(others) < 2 else path.strip("/").replace("/", "-")

"""What the exported files say, and what a record should look like there, both as the same tables.

A table is {KEY: {column: cell}}, one per CSV, by the path of its repeat ("" for the form's own): what stands in the
XML on the tablet and what stands in the CSV can be held against each other cell by cell.
Source: ODK Central's CSV layout.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from forms import xml
from forms.schema import FieldType, FormSchema
from server.demo.records import Finished

Row = Mapping[str, str]
Tables = dict[str, dict[str, Row]]

FROM_SERVER = frozenset(
    [
        "SubmissionDate",
        "KEY",
        "PARENT_KEY",
        "SubmitterID",
        "SubmitterName",
        "AttachmentsPresent",
        "AttachmentsExpected",
        "Status",
        "ReviewState",
        "DeviceID",
        "Edits",
        "FormVersion",
    ]
)
"""Columns that no tablet fills."""
POINT_PARTS = ("Latitude", "Longitude", "Altitude", "Accuracy")


@dataclass(frozen=True)
class Exported:
    """What was exported of one form. names: of the CSVs. columns: of each table. files: SHA-256 by (record, name)."""

    names: tuple[str, ...]
    tables: Tables
    columns: Mapping[str, frozenset[str]]
    files: Mapping[tuple[str, str], str]


def read_export(out: Path, names: Sequence[str], schema: FormSchema) -> Exported:
    """Return what the CSVs hold (named in the order of the form and its repeats) and the files beside them."""
    tables: Tables = {}
    columns: dict[str, frozenset[str]] = {}
    for name, path in zip(names, ["", *(repeat.path for repeat in schema.repeats)], strict=True):
        with (out / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            # Rows under one KEY would hide each other: the second gets a name that no tablet knows.
            tables[path] = {}
            for row in reader:
                key = row["KEY"]
                tables[path][f"{key} again" if key in tables[path] else key] = row
            columns[path] = frozenset(reader.fieldnames or ()) - FROM_SERVER
    return Exported(tuple(names), tables, columns, dict(_files(out, tables[""])))


def expected_tables(one: Finished, schema: FormSchema) -> Tables:
    """Return what an export of this revision must show."""
    root: dict[str, str] = {}
    tables: dict[str, dict[str, Row]] = {repeat.path: {} for repeat in schema.repeats}
    _Reader(schema, tables).read(xml.parse(one.filled.xml), "", "", one.record, root)
    return {"": {one.record: root}, **tables}


def file_columns(schema: FormSchema) -> frozenset[str]:
    """Return the columns of the form's own table that name files."""
    places = [place(field.path, schema) for field in schema.fields if field.type is FieldType.BINARY]
    return frozenset(title for table, title in places if not table)


def place(path: str, schema: FormSchema) -> tuple[str, str]:
    """Return the table and the column title of a field."""
    around = [repeat.path for repeat in schema.repeats if path.startswith(f"{repeat.path}/")]
    table = max(around, key=len, default="")
    return table, path.removeprefix(f"{table}/").replace("/", "-")


@dataclass(frozen=True)
class _Reader:
    schema: FormSchema
    tables: dict[str, dict[str, Row]]

    def read(self, element: etree._Element, path: str, table: str, key: str, row: dict[str, str]) -> None:
        """Fill the row of `table` from what stands below the element."""
        seen: Counter[str] = Counter()
        for child in element:
            below = f"{path}/{xml.local_name(child.tag)}"
            if below in self.tables:
                seen[below] += 1
                own = f"{key}{below.removeprefix(table)}[{seen[below]}]"
                inner: dict[str, str] = {}
                self.tables[below][own] = inner
                self.read(child, below, below, own, inner)
            elif len(child):
                self.read(child, below, table, key, row)
            else:
                row.update(self._cells(below, child.text or ""))

    def _cells(self, path: str, text: str) -> Row:
        title = place(path, self.schema)[1]
        node = self.schema.by_path.get(path)
        if getattr(node, "type", None) is not FieldType.GEOPOINT:
            return {title: text}
        return {f"{title}-{part}": cell for part, cell in zip(POINT_PARTS, text.split(), strict=False)}


def _files(out: Path, records: Mapping[str, Row]) -> Iterable[tuple[tuple[str, str], str]]:
    for record in records:
        for file in sorted((out / "media" / record.removeprefix("uuid:")).glob("*")):
            yield (record, file.name), hashlib.sha256(file.read_bytes()).hexdigest()

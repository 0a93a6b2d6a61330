"""A real cleaning case, REACH's: form, raw records, log and published clean table, from beside the project if it is there."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from workbooks import book

from forms import instance
from forms.header import Header
from forms.schema import Field, FieldType, FormSchema
from server import receiving
from server.node import Node
from server.publishing import publish
from server.receiving import Sender
from server.store import journal
from server.store.engine import reading, writing

CASE = Path(__file__).parents[2] / "shared/data/reach-cleaningtools"
FORM = (1, "water")
WHY = "A survey of water bills, as it was in the field."
SENDER = Sender(1, "tablet", "", "test")
Rows = list[dict[str, str]]


def table(name: str) -> Rows:
    if not CASE.exists():
        pytest.skip(f"the case is not here: {CASE}")
    with (CASE / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return [
            {key.removeprefix("X.U.FEFF."): text for key, text in row.items()} for row in csv.DictReader(file)
        ]


def publish_form(node: Node) -> FormSchema:
    """Publish the survey as it was, with a text question for each column that Kobo adds; return its schema."""
    survey, columns = table("survey"), list(table("raw_data")[0])
    names = {row["name"] for row in survey}
    added = [column for column in columns if column not in names and column.split(".")[0] not in names]
    rows = [*survey, *({"type": "text", "name": name} for name in added)]
    kept = ["type", "name", "label::English (en)", "relevant", "required"]
    logic = [[_kept(column, row.get(column, "")) for column in kept] for row in rows]
    lists = [
        [row["list_name"].strip(), row["name"].strip(), row["label::English (en)"] or row["name"]]
        for row in table("choices")
        if row["list_name"]
    ]
    sheet = book(
        survey=[[*kept, "chapar::why"], *([*row, WHY] for row in logic)],
        choices=[["list_name", "name", "label::English (en)"], *lists],
        settings=[["form_id", "form_title", "version"], ["water", "Water", "1"]],
    )
    publish(node, 1, sheet, "water.xlsx", {})
    with reading(node.engine) as connection:
        return node.schemas.line(connection, *FORM).versions[0].schema


def _kept(column: str, text: str) -> str:
    if column == "name":
        return text
    return re.sub(r"\s+", " ", text or ("-" if column.startswith("label") else ""))


def send_raw(node: Node, schema: FormSchema) -> None:
    """Take in the raw records as tablets would have sent them."""
    facts = []
    for row in table("raw_data"):
        document: dict[str, Any] = {"meta": {"instanceID": f"uuid:{row['X_uuid']}"}}
        for field in schema.fields:
            if row.get(field.name):
                _put(document, field.path, row[field.name])
        header = Header("water", "1", f"uuid:{row['X_uuid']}")
        xml = instance.write(header, instance.from_json(document, schema), schema)
        facts += receiving.facts_of(receiving.examine(1, xml, (), SENDER, lambda *_: True))
    with writing(node.engine) as connection:
        journal.append(connection, facts)
    node.catch_up()


def _put(document: dict[str, Any], path: str, text: str) -> None:
    *groups, name = path.split("/")[1:]
    for group in groups:
        document = document.setdefault(group, {})
    document[name] = text


def columns_of(document: Mapping[str, Any], schema: FormSchema) -> dict[str, str]:
    """Return a record as the published tables have it: each question, each choice of a select_multiple."""
    found: dict[str, str] = {}
    for field in schema.fields:
        node: Any = document
        for name in field.path.split("/")[1:]:
            node = node.get(name, "") if isinstance(node, dict) else ""
        found[field.name] = " ".join(sorted(node.split())) if is_set(field) else node
        if is_set(field):
            found |= {column: str(name in node.split()) for name, column in columns(field).items()}
    return found


def published(schema: FormSchema) -> tuple[dict[str, dict[str, str]], int]:
    """Return the published clean table by record, comparable, and how many select_multiples contradict themselves in it.

    R writes 1 and 0 as TRUE and FALSE and 500000 as 5e+05. A choice that is blank is not chosen. Where the column of a
    choice was cleaned and that of the whole answer was not, the choices count: the package has a step of its own to
    write the whole answer again from them.
    """
    found, contradicting = {}, 0
    for row in table("clean_data"):
        cells = {column: folded(text) for column, text in row.items()}
        for field in filter(is_set, schema.fields):
            there = {name: column for name, column in columns(field).items() if column in row}
            for column in there.values():
                cells[column] = str(cells[column] == "1")
            if field.name in row:
                chosen = sorted(name for name, column in there.items() if cells[column] == "True")
                contradicting += sorted(row[field.name].split()) != chosen
                cells[field.name] = " ".join(chosen)
        found[row["X_uuid"]] = cells
    return found, contradicting


def is_set(field: Field) -> bool:
    return field.type is FieldType.SELECT_MULTIPLE


def columns(field: Field) -> dict[str, str]:
    """Choice → its column."""
    assert field.choices is not None, "a select_multiple has choices"
    return {one.name: f"{field.name}.{one.name}" for one in field.choices.choices}


def folded(text: str) -> str:
    text = {"TRUE": "1", "FALSE": "0", "NA": ""}.get(text, text)
    return str(int(float(text))) if re.fullmatch(r"\d+e\+\d+", text) else text

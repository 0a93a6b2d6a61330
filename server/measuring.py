"""Clean records measured for `sync.quality`: how long, how complete, which amounts, where."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from forms.schema import Field, FieldType, FormSchema, Place
from forms.values import WrongTypeError, read
from server.cleaning.entering import open_current
from server.cleaning.records import Cleaner
from server.disclosure import Veil, veil
from server.node import Node
from server.store import forms, submissions
from server.store.submissions import FormKey, StoredSubmission
from sync.audit import active_minutes
from sync.clock import to_datetime
from sync.quality import Measured

UNKNOWN = frozenset(
    {"dont_know", "do_not_know", "dontknow", "dk", "dnk", "dont_know_or_refuse", "not_known", "unknown"}
    | {"98", "99", "998", "999", "-98", "-99"}
)
"""How choices are named that say don't know; the numbers are IPA's and ODK's custom."""
NO = frozenset({"no", "0", "false", "refused", "refuse"})
CONSENT = "consent"
"""Begins the name of the question whose no is a refusal."""
EARTH_KM = 6371.0
PAGE = 100
AUDITS_AT_ONCE = 8

Spots = Mapping[str, tuple[float, float]]
"""Answer → latitude and longitude in degrees."""


def measured(
    connection: Connection, node: Node, form: FormKey, *, personal: bool, audits: bool = False
) -> Iterator[Measured]:
    """Yield what is measured of each record of the clean view. personal: False leaves out questions that few may see.

    audits: read the audit logs too, a file for each record, some at once: each is a way to S3 and back.
    """
    cleaner = open_current(connection, node, form)
    lists = _spots(forms.read_lists(connection, node.blobs, *form))
    shown = veil(cleaner.line, personal=personal)
    after = 0
    with ThreadPoolExecutor(AUDITS_AT_ONCE) as pool:
        while page := submissions.list_submissions(connection, *form, after, PAGE):
            found = cleaner.clean(connection, page)
            records = [
                (one, done.answers if done else orjson.loads(one.answers))
                for one in page
                for done in [found.get(one.instance_id)]
                if not one.encrypted and not (done and done.is_removed)
            ]
            active_min = pool.map(lambda record: _active_min(node, *record), records) if audits else None
            for one, answers in records:
                measure = _measure(one, answers, cleaner, lists, shown)
                yield replace(measure, active_min=next(active_min)) if active_min else measure
            after = page[-1].position


def _active_min(node: Node, one: StoredSubmission, answers: Mapping[str, Any]) -> float | None:
    """How long somebody was at the questions, by the audit log that came with the record."""
    name = (answers.get("meta") or {}).get("audit")
    digest = orjson.loads(one.files).get(name) if isinstance(name, str) else None
    try:
        return active_minutes(node.blobs.get(digest).decode(errors="replace")) if digest else None
    except FileNotFoundError:
        return None


@dataclass
class _Sheet:
    """What is gathered while a record is walked through."""

    asked: int = 0
    answered: int = 0
    unknown: int = 0
    refused: bool = False
    moments: dict[str, datetime] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    lists: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    points: list[tuple[str, tuple[float, float]]] = field(default_factory=list)
    places: list[tuple[float, float]] = field(default_factory=list)


def _measure(
    one: StoredSubmission,
    document: Mapping[str, Any],
    cleaner: Cleaner,
    lists: Mapping[str, Spots],
    shown: Veil,
) -> Measured:
    schema: FormSchema = cleaner.schema(one)
    sheet = _Sheet()
    _walk(document, schema.top, "", sheet, lists, shown)
    start, end = sheet.moments.get("timestamp:start"), sheet.moments.get("timestamp:end")
    received = to_datetime(one.created_stamp)
    alike = [found for found in sheet.lists.values() if len({text for _, text in found}) == 1]
    far = [(cell, _km(point, sheet.places[0])) for cell, point in sheet.points if sheet.places]
    return Measured(
        one.instance_id,
        one.submitter_name or one.device_id,
        (end - start).total_seconds() / 60 if start and end else None,
        (end - received).total_seconds() / 60 if end else None,
        sheet.asked,
        sheet.answered,
        sheet.unknown,
        sheet.refused,
        sheet.numbers,
        tuple(cell for cell, _ in max(alike, key=len, default=[])),
        max(far, key=lambda pair: pair[1], default=None),
    )


def _walk(
    node: Mapping[str, Any], place: Place, path: str, sheet: _Sheet, lists: Mapping[str, Spots], shown: Veil
) -> None:
    for name, child in node.items():
        below = place.below.get(name)
        if below is None:
            continue
        here = f"{path}/{name}"
        if below.field is not None and isinstance(child, str):
            _take(here, below.field, child.strip(), sheet, lists, shown)
        elif below.is_group and isinstance(child, Mapping):
            _walk(child, below, here, sheet, lists, shown)
        elif below.is_repeat and isinstance(child, list):
            for number, row in enumerate(child, 1):
                if isinstance(row, Mapping):
                    _walk(row, below, f"{here}[{number}]", sheet, lists, shown)


def _take(
    cell: str, question: Field, text: str, sheet: _Sheet, lists: Mapping[str, Spots], shown: Veil
) -> None:
    try:
        value = read(question.type, question, text)
    except WrongTypeError:
        value = None
    if question.preload and isinstance(value, datetime) and value.tzinfo:
        sheet.moments[question.preload] = value
    if not question.control or question.readonly:
        return
    sheet.asked += 1
    sheet.answered += bool(text)
    if question.choices is not None and text:
        sheet.unknown += not UNKNOWN.isdisjoint(text.lower().split())
        sheet.refused |= question.name.startswith(CONSENT) and text.lower() in NO
        spot = lists.get(question.choices.file, {}).get(text)
        if spot is not None:
            sheet.places.append(spot)
        if question.type is FieldType.SELECT_ONE and question.choices.nodeset:
            sheet.lists.setdefault(question.choices.nodeset, []).append((cell, text))
    if shown.hides_cell(cell) or value is None:
        return
    if question.type in {FieldType.INT, FieldType.DECIMAL}:
        sheet.numbers[cell] = float(value)  # type: ignore[arg-type]
    elif question.type is FieldType.GEOPOINT and isinstance(value, tuple):
        sheet.points.append((cell, (float(value[0]), float(value[1]))))  # type: ignore[arg-type]


def _spots(lists: Mapping[str, bytes]) -> dict[str, Spots]:
    """Where the choices of attached lists are, of those lists that say so in columns `lat` and `lon`."""
    found: dict[str, Spots] = {}
    for name, content in lists.items():
        if not name.endswith(".csv"):
            continue
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
        if {"name", "lat", "lon"} <= set(rows.fieldnames or ()):
            found[name] = {
                row["name"]: (float(row["lat"]), float(row["lon"]))
                for row in rows
                if _is_number(row["lat"], row["lon"])
            }
    return found


def _is_number(*texts: str | None) -> bool:
    try:
        return all(math.isfinite(float(text or "")) for text in texts)
    except ValueError:
        return False


def _km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance on a sphere."""
    (lat, lon), (lat_end, lon_end) = (tuple(map(math.radians, point)) for point in (one, other))
    square = (
        math.sin((lat_end - lat) / 2) ** 2
        + math.cos(lat) * math.cos(lat_end) * math.sin((lon_end - lon) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(square)))

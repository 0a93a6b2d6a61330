"""Attached lists as choices: CSV, GeoJSON and XML files that a select takes its answers from.

The columns become `Choice.extra`, so that choice filters see them. Digests and downloads are elsewhere.
Source: https://docs.getodk.org/form-datasets/ ; JavaRosa `CsvExternalInstance`, `GeoJsonExternalInstance`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson

from forms import xml
from forms.errors import Fault, FormError
from forms.schema import NO_TEXT, Choice

FAULTS_MAX = 50
ELEMENTS_MAX = 5_000_000

Item = tuple[int, Mapping[str, str]]
"""Row number (1 is a CSV's header; features and elements count from 1) and columns."""


def read_choices(
    data: bytes, file_name: str, value_ref: str = "name", label_ref: str = "label"
) -> tuple[Choice, ...]:
    """Return the choices of an attached list, in the file's order.

    value_ref, label_ref: columns of the answer and of its label, as `ChoiceList` names them; a `search()` may name
    several label columns with commas between them.
    Raises FormError: no such column, a row without value, a value twice, a file that cannot be read.
    """
    items = list(_items(data, file_name))
    columns = set().union(*(item.keys() for _, item in items)) if items else set()
    shown = _label_columns(label_ref, columns)
    missing = [column for column in (value_ref, *shown) if items and column not in columns]
    if missing:
        fix = f"Add it, or name another one in the form; the file has: {', '.join(sorted(columns))}."
        raise FormError(
            *(Fault("The file has no such column.", fix, file_name, 1, column) for column in missing)
        )
    _check_values(items, file_name, value_ref)
    return tuple(_choice(item, value_ref, shown) for _, item in items)


def _label_columns(label_ref: str, columns: set[str]) -> list[str]:
    if label_ref in columns or "," not in label_ref:
        return [label_ref]
    return [column.strip() for column in label_ref.split(",")]


def _check_values(items: Sequence[Item], file_name: str, value_ref: str) -> None:
    seen: dict[str, int] = {}
    faults = []
    for number, item in items:
        value = item.get(value_ref, "")
        if not value:
            faults.append(
                Fault("The row has no value.", "Write one, or remove the row.", file_name, number, value_ref)
            )
        elif first := seen.get(value):
            fix = "Rename or remove one of them."
            faults.append(Fault(f"“{value}” stands in row {first} too.", fix, file_name, number, value_ref))
        seen.setdefault(value, number)
    if faults:
        raise FormError(*faults[:FAULTS_MAX])


def _choice(item: Mapping[str, str], value_ref: str, shown: Sequence[str]) -> Choice:
    label = ", ".join(filter(None, (item.get(column, "") for column in shown)))
    extra = {column: text for column, text in item.items() if column != value_ref and column not in shown}
    text = MappingProxyType({"default": label}) if label else NO_TEXT
    return Choice(item[value_ref], text, MappingProxyType(extra))


def _items(data: bytes, file_name: str) -> Iterator[Item]:
    match file_name.rpartition(".")[2].lower():
        case "csv":
            return _csv_items(data, file_name)
        case "geojson":
            return _geojson_items(data, file_name)
        case "xml":
            return _xml_items(data, file_name)
        case _:
            raise _unreadable(file_name, "is no list", "Attach a .csv, .geojson or .xml file.")


def _unreadable(file_name: str, reason: str, fix: str, row: int | None = None) -> FormError:
    return FormError(Fault(f"The file {reason}.", fix, file_name, row))


def _csv_items(data: bytes, file_name: str) -> Iterator[Item]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(file_name, "is not UTF-8", "Save it as “CSV UTF-8”.", line) from None
    header = text.partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter="," if "," in header or ";" not in header else ";"
    )
    number = 0
    try:
        columns = [column.strip() for column in next(rows, [])]
        number = 1
        for number, row in enumerate(rows, start=2):
            if any(cell.strip() for cell in row):
                cells = [*row, *[""] * (len(columns) - len(row))]
                yield number, dict(zip(columns, map(str.strip, cells), strict=False))
    except csv.Error as error:
        raise _unreadable(
            file_name, f"cannot be read: {error}", "Save it as CSV again.", number + 1
        ) from None


def _geojson_items(data: bytes, file_name: str) -> Iterator[Item]:
    try:
        features = orjson.loads(data)["features"]
        for number, feature in enumerate(features, start=1):
            columns = {str(name): _plain(value) for name, value in (feature.get("properties") or {}).items()}
            if "id" in feature:
                columns["id"] = _plain(feature["id"])
            yield number, columns | {"geometry": _geometry(feature.get("geometry"))}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError):
        raise _unreadable(
            file_name, "is no GeoJSON FeatureCollection", "Export it again as GeoJSON."
        ) from None


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case dict() | list():
            return orjson.dumps(value).decode()
        case _:
            return str(value).strip()


def _geometry(geometry: Any) -> str:
    """Return a geometry as ODK writes it: `latitude longitude altitude accuracy`, points with `; ` between them."""
    match geometry:
        case {"type": "Point", "coordinates": point}:
            points = [point]
        case {"type": "LineString", "coordinates": points}:
            pass
        case {"type": "Polygon", "coordinates": [points, *_]}:
            pass
        case _:
            return ""
    return "; ".join(f"{point[1]} {point[0]} 0 0" for point in points)


def _xml_items(data: bytes, file_name: str) -> Iterator[Item]:
    try:
        root = xml.parse(data, elements_max=ELEMENTS_MAX)
    except FormError as error:
        raise _unreadable(
            file_name, f"cannot be read: {error.faults[0].message}", "Export it again as XML."
        ) from None
    for number, item in enumerate(root, start=1):
        yield number, {xml.local_name(child.tag): (child.text or "").strip() for child in item}

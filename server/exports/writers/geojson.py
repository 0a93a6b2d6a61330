"""GeoJSON (RFC 7946): a feature for each row, at the first place that it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from forms.schema import FieldType
from server.exports.frames import Frame
from server.exports.layout import POINT_PARTS
from server.exports.sinks import Output
from server.exports.variables import Kind, Variable

SHAPES = {FieldType.GEOPOINT, FieldType.GEOTRACE, FieldType.GEOSHAPE}
LATITUDE = POINT_PARTS[0]
Geometry = dict[str, Any]


def has_places(one: Frame) -> bool:
    """Return whether a table asks for a place."""
    return any(_asks_place(variable) for variable in one.variables)


def write(one: Frame, output: Output) -> None:
    """Write a table: its columns as properties, numbers as numbers, what is blank as null."""
    places = [
        (number, variable.field.type, variable.part)
        for number, variable in enumerate(one.variables)
        if _asks_place(variable) and variable.field and variable.part in ("", LATITUDE)
    ]
    names = [variable.title for variable in one.variables]
    reads = [_read(variable.kind) for variable in one.variables]
    output.write(b'{"type":"FeatureCollection","features":[')
    separator = b"\n"
    for page in one.pages():
        for row in page:
            found = (_geometry(row, *place) for place in places)
            properties = {
                name: read(cell) if cell else None for name, read, cell in zip(names, reads, row, strict=True)
            }
            feature = {
                "type": "Feature",
                "geometry": next(filter(None, found), None),
                "properties": properties,
            }
            output.write(separator + orjson.dumps(feature))
            separator = b",\n"
    output.write(b"\n]}\n")


def _asks_place(variable: Variable) -> bool:
    return variable.field is not None and variable.field.type in SHAPES


def _read(kind: Kind) -> Callable[[str], object]:
    return {Kind.INTEGER: int, Kind.DECIMAL: float}.get(kind, str)


def _geometry(row: list[str], place: int, kind: FieldType, part: str) -> Geometry | None:
    """Return the place in a cell (a split point stands in three), None when it is blank or cannot be read."""
    text = " ".join(row[place : place + 3]) if part else row[place]
    points = [_position(point) for point in text.split(";") if point.strip()]
    found = [point for point in points if point is not None]
    if not found or len(found) < len(points):
        return None
    if kind is FieldType.GEOPOINT:
        return {"type": "Point", "coordinates": found[0]}
    if kind is FieldType.GEOTRACE and len(found) > 1:
        return {"type": "LineString", "coordinates": found}
    if kind is FieldType.GEOSHAPE and len(found) > 3 and found[0] == found[-1]:
        return {"type": "Polygon", "coordinates": [found]}
    return None


def _position(point: str) -> list[float] | None:
    try:
        lat, lon, *rest = map(float, point.split()[:3])
    except ValueError:
        return None
    is_earthly = -90 <= lat <= 90 and -180 <= lon <= 180
    return [lon, lat, *rest] if is_earthly else None

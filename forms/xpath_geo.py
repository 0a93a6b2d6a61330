"""The functions of ODK XForms on geopoints, traces and shapes: metres on a sphere, altitude left out."""

from __future__ import annotations

import math
from itertools import pairwise

from forms.xpath_values import Context, Value, spread, to_text

EARTH_RADIUS_M = 6_378_100.0
"""JavaRosa's GeoUtils.EARTH_EQUATORIAL_RADIUS_METERS."""


def _points(values: tuple[Value, ...]) -> list[tuple[float, float]]:
    texts = [part for value in spread(values) for part in to_text(value).split(";") if part.strip()]
    return [(math.radians(float(lat)), math.radians(float(lon))) for lat, lon, *_ in map(str.split, texts)]


def distance(_: Context, *values: Value) -> float:
    """Metres along a trace, on a sphere."""
    points = _points(values)
    return sum(_arc(start, end) for start, end in pairwise(points)) * EARTH_RADIUS_M


def _arc(start: tuple[float, float], end: tuple[float, float]) -> float:
    (lat, lon), (lat_end, lon_end) = start, end
    square = (
        math.sin((lat_end - lat) / 2) ** 2
        + math.cos(lat) * math.cos(lat_end) * math.sin((lon_end - lon) / 2) ** 2
    )
    return 2 * math.asin(math.sqrt(square))


def area(_: Context, *values: Value) -> float:
    """Square metres inside a shape, on a sphere."""
    points = _points(values)
    if len(points) < 3:
        return 0.0
    ring = zip(points, points[1:] + points[:1], strict=True)
    total = sum(
        (lon_end - lon) * (2 + math.sin(lat) + math.sin(lat_end)) for (lat, lon), (lat_end, lon_end) in ring
    )
    return abs(total * EARTH_RADIUS_M**2 / 2)

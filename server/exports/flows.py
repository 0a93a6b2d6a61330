"""What may be published of the flow monitoring registry: people counted by day, crossing and direction, as IOM DTM has it.

Counts are of movements, not of different people. A day without a record has no row: a gap is not zero.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from itertools import chain

from sqlalchemy import Connection

from server.exports.frames import Frame
from server.exports.gathering import gather
from server.exports.limit import one_of_few
from server.exports.options import Format, Options
from server.exports.past import seen_by
from server.exports.rows import Row, csv_bytes
from server.exports.scope import open_scope
from server.exports.spool import fits
from server.exports.suppression import suppress
from server.exports.variables import Kind
from server.node import Node
from server.problems import Problem
from server.store import forms
from server.store.engine import reading

HOME, HOME_NAME = "IRN", "Iran"
LEAVING, ENTERING = "leaving_iran", "entering_iran"
ASKED = ("shift_date", "crossing_id", "direction")
AGES = ("0_4", "5_17", "18_59", "60p")
SEXES = ("f", "m")
COLUMNS = {
    "operation": "#operation+name",
    "reporting_date": "#date+reported",
    "year": "#date+year+reported",
    "month": "#date+month+reported",
    "round_number": "#round+code",
    "country": "#country+code",
    "country_name": "#country+name",
    "adm1_code": "#adm1+code",
    "adm1_name": "#adm1+name",
    "fmp_code": "#loc+code",
    "fmp_name": "#loc+name",
    "fmp_type": "",
    "lat": "#geo+lat",
    "lon": "#geo+lon",
    "from_country": "#country+code+origin",
    "to_country": "#country+code+dest",
    "direction": "#event+type",
    "n": "#affected+ind",
    "n_f": "#affected+f",
    "n_m": "#affected+m",
    "status": "#status+code",
}
"""The columns and their HXL tags. Source: IOM DTM's flow files on HDX; HXL 1.1."""

Counts = dict[tuple[str, ...], list[list[int]]]
"""By day, crossing and direction: a row for each sex, a column for each age."""


def public_flows(node: Node, project_id: int, form_id: str, options: Options) -> bytes:
    """Return the table as CSV, a row of HXL tags under the titles. options: the view, the moment and the filter.

    Small counts are blank, and with them others from which they would follow. Raises Problem 404.1, 400.1 for a form
    that asks for no such counts, 503.1 when enough exports are being made.
    """
    scratch = node.settings.data / "tmp"
    with (
        one_of_few(),
        seen_by(node, project_id, form_id, options) as seen,
        reading(seen.engine) as connection,
    ):
        # plain CSV would be kept as bytes
        rows_wanted = replace(options, format=Format.SQLITE, empty_columns=True)
        scope = open_scope(connection, seen, project_id, form_id, rows_wanted, now=node)
        found = gather(connection, scope, scratch)
        places, provinces = (
            _list(connection, node, project_id, form_id, name) for name in ("crossings", "admin1")
        )
    with closing(found):
        counts = _counted(found.frames[0])
    rows = (
        row
        for key, table in sorted(counts.items())
        for row in _row(key, table, places, provinces, found.time[:10])
    )
    return csv_bytes(chain([list(COLUMNS), list(COLUMNS.values())], rows))


def _counted(own: Frame) -> Counts:
    names = [variable.field.name if variable.field else "" for variable in own.variables]
    wanted = [*ASKED, *(f"n_{sex}_{age}" for sex in SEXES for age in AGES)]
    if missing := [name for name in wanted if name not in names]:
        raise Problem(400.1, f"The form asks for no {', '.join(missing)}: it counts no flows.")
    places = [names.index(name) for name in wanted]
    counts: Counts = {}
    for page in own.pages():
        for row in page:
            day, crossing, direction, *numbers = (row[place].strip() for place in places)
            if not fits(Kind.DATE, [day]) or not day or not any(numbers):
                continue
            table = counts.setdefault((day, crossing, direction), [[0] * len(AGES) for _ in SEXES])
            for place, number in enumerate(numbers):
                if number and fits(Kind.INTEGER, [number]):
                    table[place // len(AGES)][place % len(AGES)] += max(int(number), 0)
    return counts


def _row(
    key: tuple[str, ...],
    table: Sequence[Sequence[int]],
    places: Mapping[str, Mapping[str, str]],
    provinces: Mapping[str, Mapping[str, str]],
    until: str,
) -> Iterator[Row]:
    day, crossing, direction = key
    on = date.fromisoformat(day)
    place = places.get(crossing, {})
    province = place.get("province_pcode", "")
    there = place.get("country", "")
    ends = {LEAVING: (HOME, there), ENTERING: (there, HOME)}.get(direction, ("", ""))
    women, men, everybody = suppress([list(map(sum, table))])[0]
    yield [
        "Flow monitoring",
        day,
        str(on.year),
        str(on.month),
        str(on.isocalendar().week),
        HOME,
        HOME_NAME,
        province,
        provinces.get(province, {}).get("label", ""),
        crossing,
        place.get("label", ""),
        place.get("type", ""),
        place.get("lat", ""),
        place.get("lon", ""),
        *ends,
        direction,
        *("" if count is None else str(count) for count in (everybody, women, men)),
        "complete" if day < until else "provisional",
    ]


def _list(
    connection: Connection, node: Node, project_id: int, form_id: str, name: str
) -> dict[str, dict[str, str]]:
    """A list that is attached to the form, by its names; nothing when it is not."""
    content = forms.read_lists(connection, node.blobs, project_id, form_id).get(f"{name}.csv", b"")
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
    return {row["name"]: row for row in rows if row.get("name")}

"""Other systems' columns: their names and order for what no question asks. Pure.

Source: SurveyCTO's documentation of exported data, and ODK Briefcase, whose `SET-OF-` columns it has; KoboToolbox's
formpack, with comma.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from server.exports.layout import POINT_PARTS, ROOT_AFTER, Table
from server.exports.options import Profile
from server.exports.rows import Row
from server.exports.spool import Cells, Seen
from server.exports.turns import Turn
from server.exports.variables import Kind, Variable

Shaped = tuple[Variable, Seen, Turn | None]
"""A column as it is written, what is known of the one it comes from, and how it is made of it."""

KEY_FROM_END = len(ROOT_AFTER)
ROOT_NUMBERS = {"_index": (Kind.INTEGER, "number of the row in its table")}
REPEAT_NUMBERS = {
    **ROOT_NUMBERS,
    "_parent_table_name": (Kind.TEXT, "table of the row around this one"),
    "_parent_index": (Kind.INTEGER, "number of the row around this one"),
    "_submission__id": (Kind.INTEGER, "number of the record"),
    "_submission__uuid": (Kind.TEXT, "KEY of the record"),
}
POINTS = dict(zip(POINT_PARTS, ("latitude", "longitude", "altitude", "precision"), strict=True))
STATES = {
    "approved": "validation_status_approved",
    "rejected": "validation_status_not_approved",
    "hasIssues": "validation_status_on_hold",
}


class Numbering:
    """Numbers the rows of an export as Kobo does. names: of the tables, the form's own first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._counts = [0] * len(names)

    def add(self, tables: Sequence[list[Row]]) -> None:
        """Append the cells of `ROOT_NUMBERS` or `REPEAT_NUMBERS` to the rows of a page of whole records."""
        known: dict[str, tuple[str, str, str, str]] = {}
        for table, rows in enumerate(tables):
            for row in rows:
                self._counts[table] += 1
                number = str(self._counts[table])
                if table == 0:
                    key = row[-KEY_FROM_END]
                    known[key] = (self._names[0], number, number, _without_prefix(key))
                    row.append(number)
                else:
                    parent, key = row[-2:]
                    around, above, record, uuid = known[parent]
                    known[key] = (self._names[table], number, record, uuid)
                    row += (number, around, above, record, uuid)


def surveycto(table: Table, columns: list[Shaped]) -> list[Shaped]:
    """Return SurveyCTO's columns: SubmissionDate, the questions, the sets of rows inside, instanceID, formdef_version,
    review_status, keys, and in a repeat the set that the row is in.
    """
    by_title = {one.title: (one, seen, turn) for one, seen, turn in columns}
    found = [*_asked(columns), *(_set_of(name, by_title["KEY"]) for name in table.inner)]
    if "SubmissionDate" in by_title:
        dates = [shaped for shaped in columns if shaped[0].title.startswith("SubmissionDate")]
        found = [*dates, *found]
        named = {"KEY": "instanceID", "FormVersion": "formdef_version", "ReviewState": "review_status"}
        found += [_named(by_title[title], other) for title, other in named.items()]
        return [*found, by_title["KEY"]]
    parent = by_title["PARENT_KEY"]
    return [*found, parent, by_title["KEY"], _set_of(table.suffix.removeprefix("-"), parent)]


def kobo(_: Table, columns: list[Shaped]) -> list[Shaped]:
    """Return Kobo's columns: the questions, a place whole and in parts, then what begins with an underscore."""
    by_title = {one.title: (one, seen, turn) for one, seen, turn in columns}
    found = [other for shaped in _asked(columns) for other in _point(shaped)]
    if "SubmissionDate" not in by_title:
        return [*found, *(by_title[title] for title in REPEAT_NUMBERS)]
    return [
        *found,
        _named(by_title["_index"], "_id"),
        _named(by_title["KEY"], "_uuid", lambda cells, _: map(_without_prefix, cells)),
        _named(
            by_title["SubmissionDate"],
            "_submission_time",
            lambda cells, _: (cell[:19] for cell in cells),
            Kind.TEXT,
        ),
        _named(
            by_title["ReviewState"],
            "_validation_status",
            lambda cells, _: (STATES.get(cell, "") for cell in cells),
        ),
        _named(by_title["SubmitterName"], "_notes", _blank),
        _named(by_title["SubmitterName"], "_status", lambda cells, _: ["submitted_via_web"] * len(cells)),
        _named(by_title["SubmitterName"], "_submitted_by"),
        _named(by_title["FormVersion"], "__version__"),
        _named(by_title["SubmitterName"], "_tags", _blank),
        _named(by_title["KEY"], "meta/rootUuid"),
        by_title["_index"],
    ]


PROFILES: dict[Profile, Callable[[Table, list[Shaped]], list[Shaped]]] = {
    Profile.ODK: lambda _, columns: columns,
    Profile.SURVEYCTO: surveycto,
    Profile.KOBO: kobo,
}


def _asked(columns: list[Shaped]) -> list[Shaped]:
    return [
        shaped
        for shaped in columns
        if shaped[0].column and shaped[0].title not in ("meta-instanceID", "instanceID")
    ]


def _named(shaped: Shaped, title: str, turn: Turn | None = None, kind: Kind | None = None) -> Shaped:
    one, seen, own = shaped
    return replace(one, title=title, kind=kind or one.kind), seen, turn or own


def _set_of(name: str, key: Shaped) -> Shaped:
    """A column that the row around and the rows of a repeat have in common."""
    one, seen, _ = _named(key, f"SET-OF-{name}")
    one = replace(one, meaning="names the rows of a repeat that are in one row around them")
    return one, seen, lambda cells, _: (f"{cell}/{name}" for cell in cells)


def _point(shaped: Shaped) -> Iterator[Shaped]:
    one, seen, turn = shaped
    if one.part not in POINTS:
        yield shaped
        return
    whole = one.title.removesuffix(f"-{one.part}")
    if one.part == POINT_PARTS[0]:
        yield replace(one, title=whole, kind=Kind.TEXT, part="", span=len(POINT_PARTS)), seen, turn
    yield _named(shaped, f"_{whole}_{POINTS[one.part]}")


def _blank(cells: Cells, _: Cells) -> Iterable[str]:
    return [""] * len(cells)


def _without_prefix(key: str) -> str:
    return key.removeprefix("uuid:")

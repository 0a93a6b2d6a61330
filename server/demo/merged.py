"""What a record must show that tablets changed apart, worked out from what they say: the server is not asked how.

A change that only one of them made must be there; where they changed one answer differently, either may be shown, and
somebody must be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from forms.schema import Field, FieldType, FormSchema
from server.demo.exported import POINT_PARTS, Tables, expected_tables, place
from server.demo.records import Finished, heads

SECOND = len("2026-11-22T08:00:00")
Place = tuple[str, str, str]
"""Table, KEY and column."""
UNDECIDED: Mapping[Place, str] = MappingProxyType({})


@dataclass(frozen=True)
class Expected:
    """What one record must show. cells: at each place what may stand there, as `meaning` spells it.

    joined: what only one of several heads changed. contested: the places at which people must be asked, with the
    answers that they must be shown. rows: KEYs by table.
    """

    cells: Mapping[Place, frozenset[str]]
    joined: frozenset[Place]
    contested: Mapping[Place, frozenset[str]]
    rows: Mapping[str, tuple[str, ...]]


def expect(
    revisions: tuple[Finished, ...], schema: FormSchema, decided: Mapping[Place, str] = UNDECIDED
) -> Expected:
    """Return what a record must show. revisions: all of it, in the order they were finished.

    decided: the answers that a person chose where tablets disagree.
    """
    last = heads(revisions)
    base = next(
        (one for one in revisions if {one.filled.instance_id} == {head.parent for head in last}), None
    )
    fields = columns(schema)
    before = _said(expected_tables(base, schema), fields) if base else {}
    tables = [expected_tables(one, schema) for one in last]
    said = [_said(one, fields) for one in tables]
    cells, joined, contested = {}, set(), {}
    for spot in {spot for one in said for spot in one}:
        unchanged = before.get(spot, "")
        changed = frozenset(one.get(spot, "") for one in said) - {unchanged}
        cells[spot] = changed or frozenset({unchanged})
        if len(last) > 1 and changed and fields[spot[0], spot[2]].control:
            if len(changed) > 1:
                contested[spot] = changed
                cells[spot] = frozenset({decided[spot]}) if spot in decided else changed
            elif any(one.get(spot, "") == unchanged for one in said):
                joined.add(spot)
    return Expected(
        cells, frozenset(joined), contested, {path: tuple(rows) for path, rows in tables[-1].items()}
    )


def columns(schema: FormSchema) -> dict[tuple[str, str], Field]:
    """Return the field that stands in a table under a title; a point stands under four."""
    found = {}
    for field in schema.fields:
        table, title = place(field.path, schema)
        titles = [f"{title}-{part}" for part in POINT_PARTS] if field.type is FieldType.GEOPOINT else [title]
        found.update(dict.fromkeys(((table, one) for one in titles), field))
    return found


def meaning(field: Field, text: str) -> str:
    """Return an answer in one spelling: choices in any order, times to the second."""
    match field.type:
        case FieldType.SELECT_MULTIPLE:
            return " ".join(sorted(text.split()))
        case FieldType.DATETIME:
            return text[:SECOND]
    return text


def _said(tables: Tables, fields: Mapping[tuple[str, str], Field]) -> dict[Place, str]:
    return {
        (path, key, title): meaning(fields[path, title], text)
        for path, rows in tables.items()
        for key, row in rows.items()
        for title, text in row.items()
        if (path, title) in fields
    }

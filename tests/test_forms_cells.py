"""Cells: what has an identity of its own in an instance, and how answers are ordered by size."""

import time
from decimal import Decimal

import pytest

from forms import cells, instance
from forms.compile import compile_form
from forms.merge_rules import Shape, merge_rules

SHEET = b"""
| survey |              |         |         |             |               |
|        | type         | name    | label   | chapar::key | chapar::merge |
|        | decimal      | weight  | Weight  |             | larger        |
|        | dateTime     | seen    | Seen    |             | larger        |
|        | begin_repeat | member  | Member  | row         |               |
|        | text         | row     | Row     |             |               |
|        | text         | name    | Name    |             |               |
|        | end_repeat   |         |         |             |               |
"""


@pytest.fixture(scope="module")
def form():
    schema = compile_form(SHEET, "weights.md").schema
    return schema, merge_rules(schema)


def cells_of(rows, form):
    schema, rules = form
    tree = instance.from_json({"member": [{"row": key, "name": name} for key, name in rows]}, schema)
    return cells.read(tree, schema, Shape(rules.sets, rules.keys))


@pytest.mark.parametrize("keys", ["123", "112", "111", "1  ", "   "])
def test_rows_are_known_by_key_or_content_and_never_by_their_place(form, keys):
    rows = list(zip(keys, "abc", strict=True))
    assert cells_of(reversed(rows), form) == cells_of(rows, form)
    assert len([cell for cell in cells_of(rows, form) if cells.is_row(cell)]) == 3


def test_the_larger_of_answers_is_found_though_one_is_no_number(form):
    _, rules = form
    found = max(["2", "NaN", "-Infinity", "sNaN", "much", "10"], key=lambda said: rules.rank("/weight", said))
    assert found == "10"


def test_a_time_without_a_zone_counts_alike_wherever_the_node_stands(form, monkeypatch):
    _, rules = form
    ranks = []
    for zone in ("Asia/Tehran", "UTC"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        ranks.append(rules.rank("/seen", "2026-07-01T08:00:00"))
    monkeypatch.undo()
    time.tzset()
    assert ranks == [(Decimal(1782892800), "2026-07-01T08:00:00")] * 2

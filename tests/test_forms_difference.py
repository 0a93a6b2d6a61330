"""What differs between two states of a record, in the shape of Central's `/diffs`."""

from __future__ import annotations

import pytest

from forms.compile import compile_form
from forms.difference import differences

SHEET = """
| survey |              |        |       |             |
|        | type         | name   | label | chapar::key |
|        | text         | head   | H     |             |
|        | begin_group  | g      | G     |             |
|        | integer      | age    | A     |             |
|        | end_group    |        |       |             |
|        | begin_repeat | member | M     | row_id      |
|        | text         | row_id | R     |             |
|        | text         | name   | N     |             |
|        | end_repeat   |        |       |             |
|        | begin_repeat | visit  | V     |             |
|        | text         | by     | B     |             |
|        | end_repeat   |        |       |             |
"""


@pytest.fixture(scope="module")
def schema():
    return compile_form(SHEET.encode(), "f.md").schema


def told(old, new, schema) -> list[tuple[object, ...]]:
    return [(change.path, change.old, change.new) for change in differences(old, new, schema)]


def test_fields_and_groups_are_told_by_path(schema):
    old = {"head": "Dana", "g": {"age": "4"}, "gone": "x"}
    assert told(old, {"head": "Donna", "g": {"age": "5"}, "new": "y"}, schema) == [
        (("head",), "Dana", "Donna"),
        (("g", "age"), "4", "5"),
        (("gone",), "x", None),
        (("new",), None, "y"),
    ]
    assert told(old, old, schema) == []


def member(key: str, name: str) -> dict[str, str]:
    return {"row_id": key, "name": name}


def test_rows_with_a_key_are_compared_by_it(schema):
    old = {"member": [member("1", "Ali"), member("2", "Sara")]}
    new = {"member": [member("3", "Omid"), member("2", "Sarah")]}
    assert told(old, new, schema) == [
        ((("member", 0),), member("1", "Ali"), None),
        ((("member", 1), "name"), "Sara", "Sarah"),
        ((("member", 0),), None, member("3", "Omid")),
    ]


def test_rows_without_a_key_are_compared_where_they_stand(schema):
    old = {"visit": [{"by": "x"}, {"by": "y"}, {"by": "z"}]}
    assert told(old, {"visit": [{"by": "x"}, {"by": "w"}, {"by": "z"}]}, schema) == [
        ((("visit", 1), "by"), "y", "w")
    ]
    assert told(old, {"visit": [{"by": "y"}, {"by": "z"}]}, schema) == [((("visit", 0),), {"by": "x"}, None)]
    assert told({}, {"visit": [{"by": "x"}]}, schema) == [((("visit", 0),), None, {"by": "x"})]

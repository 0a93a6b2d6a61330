"""Attached lists: what a select takes from them, and which are refused."""

from __future__ import annotations

import pytest

from forms.errors import FormError
from forms.media import read_choices

GEOJSON = b"""{"type": "FeatureCollection", "features": [
  {"type": "Feature", "id": "p1", "properties": {"title": "Gate", "lanes": 3, "open": true, "note": null},
   "geometry": {"type": "Point", "coordinates": [61.5, 34.25]}},
  {"type": "Feature", "id": 7, "properties": {"title": "Road"},
   "geometry": {"type": "LineString", "coordinates": [[61, 34], [62, 35]]}}]}"""


def test_a_csv_gives_choices_in_its_order_with_the_other_columns() -> None:
    choices = read_choices('\ufeffname,label,tier\nb,ب,1\na,"A, old",2\n'.encode(), "posts.csv")

    assert [(choice.name, dict(choice.label), dict(choice.extra)) for choice in choices] == [
        ("b", {"default": "ب"}, {"tier": "1"}),
        ("a", {"default": "A, old"}, {"tier": "2"}),
    ]


def test_the_form_names_the_columns() -> None:
    (choice,) = read_choices(b"pcode;title;code\n\nAF01;Gate;G\n", "posts.csv", "pcode", "title, code")

    assert (choice.name, dict(choice.label), dict(choice.extra)) == ("AF01", {"default": "Gate, G"}, {})


def test_a_list_without_rows_has_no_choices() -> None:
    assert read_choices(b"name,label\n", "cases.csv") == ()


def test_geojson_gives_properties_and_geometry_as_odk_writes_it() -> None:
    gate, road = read_choices(GEOJSON, "posts.geojson", "id", "title")

    assert (gate.name, dict(gate.label)) == ("p1", {"default": "Gate"})
    assert dict(gate.extra) == {"lanes": "3", "open": "true", "note": "", "geometry": "34.25 61.5 0 0"}
    assert (road.name, road.extra["geometry"]) == ("7", "34 61 0 0; 35 62 0 0")


def test_xml_gives_its_items() -> None:
    data = (
        b"<root><item><name>a</name><label>A</label></item><item><name>b</name><label>B</label></item></root>"
    )

    assert [choice.name for choice in read_choices(data, "posts.xml")] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "file_name", "row", "column"),
    [
        (b"name,title\na,A\n", "posts.csv", 1, "label"),
        (b"name,label\na,A\n,B\n", "posts.csv", 3, "name"),
        (b"name,label\na,A\n\na,B\n", "posts.csv", 4, "name"),
        ("name,label\na,A\nb,é\n".encode("latin-1"), "posts.csv", 3, ""),
        (b'name,label\na,"' + b"x" * 140_000 + b'"\n', "posts.csv", 2, ""),
        (b"{}", "posts.geojson", None, ""),
        (b"[" * 5_000, "posts.geojson", None, ""),
        (
            b'{"features": [{"properties": {}, "geometry": {"type": "Point", "coordinates": [1]}}]}',
            "p.geojson",
            None,
            "",
        ),
        (b"<root><item>", "posts.xml", None, ""),
        (b"name,label\n", "posts.xlsx", None, ""),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_at_its_place(
    data: bytes, file_name: str, row: int | None, column: str
) -> None:
    with pytest.raises(FormError) as refusal:
        read_choices(data, file_name)

    (fault,) = refusal.value.faults
    assert (fault.sheet, fault.row, fault.column) == (file_name, row, column)
    assert fault.fix

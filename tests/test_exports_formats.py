"""Every format gives back what tablets sent: read by pandas, DuckDB and SQLite, the same bytes for the same state."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import duckdb
import openpyxl
import pandas as pd
import pytest
from exporting import FAMILY, NASTY, TEXTS, made, publish_sheet, store, unzipped, xml
from openpyxl.utils.escape import unescape

from server import setup
from server.exports.names import unlike
from server.exports.options import Format, Options
from server.exports.spool import fits
from server.exports.variables import Kind
from server.exports.writers import xlsx
from server.node import Node, open_node
from server.settings import Settings

TYPED = """
| survey |
| | type | name | label |
| | integer | age | Age |
| | decimal | weight | Weight |
| | date | born | Born |
| | dateTime | seen | Seen |
| | text | words | Words |
| | geopoint | place | Place |
| | begin_repeat | walk | Walk |
| | geotrace | way | Way |
| | end_repeat | | |
| settings |
| | form_id | version |
| | typed | 1 |
"""
ONE = (
    "<age>-7</age><weight>3.50</weight><born>1969-12-31</born><seen>2026-11-22T10:00:00.250+03:30</seen>"
    "<words>007</words><place>34.5 62 960.5 4</place><walk><way>1 2 0 0; 3 4 0 0</way></walk>"
)
LONGEST = 32_767
EXACT = [text for text in NASTY if len(text) < LONGEST]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


@pytest.fixture
def typed(node: Node) -> Node:
    publish_sheet(node, TYPED)
    store(node, xml("typed", 1, ONE), xml("typed", 2, "<words/>"))
    return node


def store_texts(node: Node, texts: list[str]) -> None:
    publish_sheet(node, TEXTS)
    escaped = [escape(text, {"\r": "&#13;"}) for text in texts]
    store(node, *(xml("texts", place, f"<words>{text}</words>") for place, text in enumerate(escaped)))


def test_parquet_has_types_that_pandas_and_duckdb_know(typed: Node, tmp_path: Path) -> None:
    path = unzipped(made(typed, "typed", tmp_path, Format.PARQUET)) / "typed.parquet"
    first, blank = pd.read_parquet(path).to_dict("records")
    moment = datetime(2026, 11, 22, 6, 30, 0, 250_000, tzinfo=UTC)
    assert (first["age"], first["weight"], first["born"], first["seen"], first["words"]) == (
        -7,
        3.5,
        date(1969, 12, 31),
        moment,
        "007",
    )
    assert (first["place-Latitude"], first["place-Altitude"]) == (34.5, 960.5)
    assert all(pd.isna(blank[name]) for name in ("age", "weight", "born", "seen", "words"))
    rows = duckdb.sql(f"SELECT age, born, epoch_ms(seen), words FROM '{path}' ORDER BY KEY").fetchall()  # noqa: S608
    milliseconds = int(moment.timestamp() * 1000)
    assert rows == [(-7, date(1969, 12, 31), milliseconds, "007"), (None,) * 4]


def test_a_column_with_an_answer_that_is_no_number_stays_text(typed: Node, tmp_path: Path) -> None:
    store(typed, xml("typed", 3, "<age>about 40</age><born>1404-05-32</born>"))
    out = unzipped(made(typed, "typed", tmp_path, Format.PARQUET))
    read = pd.read_parquet(out / "typed.parquet")
    assert read["age"].tolist()[::2] == ["-7", "about 40"]
    assert read["born"].tolist()[::2] == ["1969-12-31", "1404-05-32"]
    book = pd.read_csv(out / "codebook.csv").drop_duplicates(["table", "column"]).set_index("column")
    assert book.loc[["age", "weight"], "type"].tolist() == ["text", "decimal"]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.INTEGER, ["", "0", "-5", "007"], ["1.0", " 5", "1_000", "۱۲", "5-", str(1 << 63), "five"]),
        (Kind.DECIMAL, ["", "-.5", "5.", "10"], ["nan", "inf", "1,5", "1e5", "1.2.3", "9" * 400, "٫5"]),
        (Kind.DATE, ["", "2026-02-28"], ["2026-02-30", "20260228", "1404-05-32", "2026-2-1"]),
        (
            Kind.DATETIME,
            ["2026-11-22T10:00:00Z"],
            ["2026-11-22T10:00:00", "2026-11-22", "2026-11-22T25:00:00Z"],
        ),
    ],
)
def test_only_what_every_program_reads_alike_has_a_type(kind: Kind, good: list[str], bad: list[str]) -> None:
    assert fits(kind, good)
    assert [text for text in bad if fits(kind, [*good, text])] == []
    assert fits(Kind.TEXT, bad)


def test_parquet_and_sqlite_give_back_every_text_exactly(node: Node, tmp_path: Path) -> None:
    store_texts(node, NASTY)
    parquet = unzipped(made(node, "texts", tmp_path, Format.PARQUET)) / "texts.parquet"
    assert pd.read_parquet(parquet)["words"].tolist() == NASTY
    assert [row[0] for row in duckdb.sql(f"SELECT words FROM '{parquet}'").fetchall()] == NASTY  # noqa: S608
    with sqlite3.connect(made(node, "texts", tmp_path, Format.SQLITE)) as database:
        assert [row[0] for row in database.execute("SELECT words FROM texts")] == NASTY
    database.close()


def test_duckdb_reads_every_text_of_the_csv_exactly(node: Node, tmp_path: Path) -> None:
    store_texts(node, NASTY)
    path = unzipped(made(node, "texts", tmp_path, Format.CSV)) / "texts.csv"
    read = duckdb.read_csv(
        str(path),
        all_varchar=True,
        max_line_size=4_000_000,
        quotechar='"',
        escapechar='"',
        delimiter=",",
        header=True,
    )
    assert [row[0] for row in read.project("coalesce(words, '')").fetchall()] == NASTY


def test_excel_gives_back_every_text_up_to_its_limit_and_says_what_it_cut(node: Node, tmp_path: Path) -> None:
    store_texts(node, NASTY)
    path = made(node, "texts", tmp_path, Format.XLSX)
    read = pd.read_excel(path, dtype=str, keep_default_na=False, sheet_name=None)
    words = [
        unescape(text) for text in read["texts"]["words"]
    ]  # Excel does it, openpyxl leaves it to its caller
    assert words == [text[:LONGEST] for text in NASTY]
    assert read["cut"].iloc[0, 0] == "1"
    formulas = openpyxl.load_workbook(path)["texts"]["B"]
    assert {cell.data_type for cell in formulas} <= {"s", "n", "inlineStr"}  # no cell is a formula


def test_excel_escapes_what_xml_cannot_hold() -> None:
    book = xlsx._Book.__new__(xlsx._Book)
    book.cut = 0
    assert book._clean("a\x01b_x0041_<&\r") == "a_x0001_b_x005F_x0041_&lt;&amp;&#13;"


def test_excel_has_a_sheet_for_each_table_numbers_dates_codebook_and_manifest(
    typed: Node, tmp_path: Path
) -> None:
    book = openpyxl.load_workbook(made(typed, "typed", tmp_path, Format.XLSX))
    assert book.sheetnames == ["typed", "typed-walk", "codebook", "manifest"]
    head, row, blank = book["typed"].iter_rows(values_only=True)
    found = dict(zip(head, row, strict=True))
    assert (found["age"], found["weight"], found["words"], found["seen"]) == (
        -7,
        3.5,
        "007",
        "2026-11-22T10:00:00.250+03:30",
    )
    assert found["born"].date() == date(1969, 12, 31)
    assert dict(zip(head, blank, strict=True))["age"] is None
    told = dict(book["manifest"].iter_rows(values_only=True, min_row=2))
    assert (told["form"], told["records.exported"]) == ("typed", "2")


def test_long_tables_go_on_in_another_sheet(
    typed: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "ROWS_MAX", 3)
    store(typed, *(xml("typed", number, "<age>1</age>") for number in range(3, 8)))
    sheets = pd.read_excel(made(typed, "typed", tmp_path, Format.XLSX), sheet_name=None, dtype=str)
    keys = [key for name in ("typed", "typed~2", "typed~3", "typed~4") for key in sheets[name]["KEY"]]
    assert keys == [f"uuid:{number}" for number in range(1, 8)]


def test_sheet_names_differ_within_31_characters() -> None:
    long = "a" * 40
    assert unlike([long, long.upper(), "b", "B"], 31) == ["a" * 31, "A" * 29 + "~2", "b", "B~2"]


def test_geojson_has_a_feature_for_each_row(typed: Node, tmp_path: Path) -> None:
    store(typed, xml("typed", 3, "<place>95 200 0 0</place><walk><way>1 2</way></walk>"))
    out = unzipped(made(typed, "typed", tmp_path, Format.GEOJSON))
    whole = json.loads((out / "typed.geojson").read_bytes())
    first, blank, unearthly = whole["features"]
    assert first["geometry"] == {"type": "Point", "coordinates": [62.0, 34.5, 960.5]}
    assert (first["properties"]["age"], first["properties"]["words"]) == (-7, "007")
    assert blank["geometry"] is None
    assert unearthly["geometry"] is None
    walks = json.loads((out / "typed-walk.geojson").read_bytes())["features"]
    assert walks[0]["geometry"] == {"type": "LineString", "coordinates": [[2, 1, 0], [4, 3, 0]]}


@pytest.mark.parametrize("wanted", list(Format))
def test_every_format_has_the_same_bytes_twice_and_a_manifest_that_adds_up(
    node: Node, tmp_path: Path, wanted: Format
) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, "<needs>food</needs><people><child><age>4</age></child></people>"))
    first, second = (made(node, "family", tmp_path / name, wanted) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    if wanted.is_one_file:
        return
    out = unzipped(first)
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert {file.name for file in out.iterdir()} == {
        "manifest.json",
        *(one["name"] for one in manifest["files"]),
    }
    for one in manifest["files"]:
        assert hashlib.sha256((out / one["name"]).read_bytes()).hexdigest() == one["sha256"]


@pytest.mark.parametrize("wanted", [Format.XLSX, Format.GEOJSON, Format.SQLITE])
def test_memory_does_not_grow_with_rows(node: Node, tmp_path: Path, wanted: Format) -> None:
    publish_sheet(node, TEXTS)
    made(node, "texts", tmp_path, wanted)

    def peak_bytes() -> int:
        tracemalloc.start()
        made(node, "texts", tmp_path, wanted)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    store(node, *(xml("texts", number, f"<words>{'x' * 4000}</words>") for number in range(200)))
    small = min(peak_bytes(), peak_bytes())
    store(node, *(xml("texts", number, f"<words>{'x' * 4000}</words>") for number in range(200, 1000)))
    assert min(peak_bytes(), peak_bytes()) < small * 1.3


def test_personal_answers_stay_out_of_every_format(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, "<head>Gulnar7731</head><needs>food</needs>"))
    for wanted in Format:
        path = made(node, "family", tmp_path, wanted)
        content = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = b"".join(map(archive.read, archive.namelist()))
        assert b"Gulnar7731" not in content
    assert Options().personal is False

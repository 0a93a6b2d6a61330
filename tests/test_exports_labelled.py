"""SPSS and Stata files, read by other programs' readers: values, labels in a language, texts of any length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd
import pyreadstat
import pytest
from exporting import NASTY, TEXTS, made, publish_sheet, store, unzipped, xml

from server import setup
from server.exports.options import Format, Profile
from server.node import Node, open_node
from server.problems import Problem
from server.settings import Settings

FORM = """
| survey |
| | type | name | label::English (en) | label::Farsi (fa) |
| | select_one sex | sex | Sex | جنسیت |
| | select_one yn | 1st | First? | |
| | select_multiple need | needs | Needs | نیازها |
| | integer | age | Age | سن |
| | decimal | weight | Weight | وزن |
| | date | born | Born | |
| | dateTime | seen | Seen | |
| | text | a_very_long_name_of_a_question_beyond_32 | Words | |
| | begin_repeat | child | Child | کودک |
| | integer | age | Age | |
| | end_repeat | | | |
| choices |
| | list_name | name | label::English (en) | label::Farsi (fa) |
| | sex | f | Female | زن |
| | sex | m | Male | مرد |
| | yn | 1 | Yes | بله |
| | yn | 0 | No | نه |
| | need | food | Food | غذا |
| settings |
| | form_id | version |
| | labelled | 1 |
"""
ONE = (
    "<sex>m</sex><_1st>1</_1st><needs>food</needs><age>-7</age><weight>3.25</weight><born>1969-12-31</born>"
    "<seen>2026-11-22T10:00:00.250+03:30</seen><a_very_long_name_of_a_question_beyond_32>بله"
    "</a_very_long_name_of_a_question_beyond_32><child><age>4</age></child>"
)
FORM = FORM.replace("1st", "_1st")
READ = {Format.SAV: pyreadstat.read_sav, Format.DTA: pyreadstat.read_dta}
LABELLED = pytest.mark.parametrize("wanted", list(READ))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


def tables(node: Node, form: str, out: Path, wanted: Format, name: str = "", **options: object):
    folder = unzipped(made(node, form, out, wanted, **options))
    return READ[wanted](folder / f"{name or form}.{wanted.value}")


@LABELLED
def test_answers_are_numbers_with_labels_in_the_language_asked_for(
    node: Node, tmp_path: Path, wanted: Format
) -> None:
    publish_sheet(node, FORM)
    store(node, xml("labelled", 1, ONE), xml("labelled", 2, "<sex>other</sex>"))
    read, about = tables(node, "labelled", tmp_path, wanted, labels="fa", split=True)
    assert read["sex"].tolist() == [2, 3]
    assert about.variable_value_labels["sex"] == {1: "زن", 2: "مرد", 3: "other"}
    assert about.variable_value_labels["v_1st" if "v_1st" in read else "v1st"] == {0: "نه", 1: "بله"}
    labels = about.column_names_to_labels
    assert (labels["sex"], labels["needs_food"]) == ("جنسیت", "نیازها: غذا")
    assert labels["KEY"] == "names the row for ever"
    first, blank = read.iloc[0], read.iloc[1]
    assert (first["age"], first["weight"], first["needs"], first["needs_food"]) == (-7, 3.25, "food", 1)
    assert first["a_very_long_name_of_a_question_b"] == "بله"
    assert pd.Timestamp(first["born"]).date() == date(1969, 12, 31)
    assert pd.Timestamp(first["seen"]).to_pydatetime() == datetime(2026, 11, 22, 6, 30, 0, 250_000)  # noqa: DTZ001
    assert math.isnan(blank["age"])
    assert pd.isna(blank["born"])


@LABELLED
def test_a_repeat_has_its_file(node: Node, tmp_path: Path, wanted: Format) -> None:
    publish_sheet(node, FORM)
    store(node, xml("labelled", 1, ONE))
    read, _ = tables(node, "labelled", tmp_path, wanted, name="labelled-child")
    assert read.to_dict("records") == [{"age": 4.0, "PARENT_KEY": "uuid:1", "KEY": "uuid:1/child[1]"}]


@LABELLED
def test_what_is_made_of_answers_is_as_wide_as_it_is(node: Node, tmp_path: Path, wanted: Format) -> None:
    publish_sheet(node, FORM)
    store(node, xml("labelled", 1, ONE.replace("-7", "9")))
    read, _ = tables(node, "labelled", tmp_path, wanted, bands="age=5,18", profile=Profile.KOBO)
    assert (read["age"].tolist(), read["status"].tolist()) == (["5-17"], ["submitted_via_web"])
    read, _ = tables(node, "labelled", tmp_path, wanted, "labelled-child", profile=Profile.SURVEYCTO)
    assert read["SET_OF_child"].tolist() == ["uuid:1/child"]


def test_stata_gives_back_every_text_exactly(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    escaped = [escape(text, {"\r": "&#13;"}) for text in NASTY]
    store(node, *(xml("texts", place, f"<words>{text}</words>") for place, text in enumerate(escaped)))
    folder = unzipped(made(node, "texts", tmp_path, Format.DTA))
    assert pd.read_stata(folder / "texts.dta")["words"].tolist() == NASTY


def test_spss_gives_back_every_text_up_to_its_limit(node: Node, tmp_path: Path) -> None:
    texts = [
        *(text for text in NASTY if len(text) < 1000),
        *("ab" * size for size in (126, 127, 128, 252, 253, 300, 9000)),
    ]
    publish_sheet(node, TEXTS)
    escaped = [escape(text, {"\r": "&#13;"}) for text in texts]
    store(node, *(xml("texts", place, f"<words>{text}</words>") for place, text in enumerate(escaped)))
    read, _ = tables(node, "texts", tmp_path, Format.SAV)
    assert read["words"].tolist() == [text.rstrip(" ") for text in texts]


def test_spss_cuts_a_text_at_a_whole_character(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    store(node, xml("texts", 1, f"<words>a{'ز' * 20_000}</words>"))
    read, _ = tables(node, "texts", tmp_path, Format.SAV)
    assert read["words"].tolist() == ["a" + "ز" * 16_383]


@LABELLED
def test_a_table_without_rows_can_be_read(node: Node, tmp_path: Path, wanted: Format) -> None:
    publish_sheet(node, FORM)
    read, _ = tables(node, "labelled", tmp_path, wanted)
    assert len(read) == 0
    assert "sex" in read


def test_a_language_that_the_form_has_not_is_refused(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FORM)
    with pytest.raises(Problem, match="Farsi"):
        made(node, "labelled", tmp_path, Format.SAV, labels="de")

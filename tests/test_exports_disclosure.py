"""Files for others: what stays out, pseudonyms that two recipients cannot join, bands, and how far people stand out."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exporting import publish_sheet, store, xml, zipped_with
from hypothesis import given
from hypothesis import strategies as st

from server import setup
from server.exports.disclosure import RISK_MAX, band, ladder, read_bands
from server.exports.options import Options, View
from server.node import Node, open_node
from server.problems import Problem
from server.settings import Settings

FORM = """
| survey |
| | type | name | label | calculation | chapar::flags |
| | deviceid | deviceid | | | M |
| | text | head | Who? | | P |
| | select_one sex | sex | Sex | | Q |
| | integer | age | Age | | Q |
| | integer | size | Size | | |
| | text | village | Village | | H |
| | text | remarks | Remarks | | |
| | geopoint | place | Place | | |
| | image | photo | Photo | | |
| | calculate | both | | concat(${remarks}, ' x') | |
| | begin_repeat | child | Child | | |
| | integer | c_age | Age | | Q |
| | text | c_name | Name | | |
| | end_repeat | | | | |
| choices |
| | list_name | name | label |
| | sex | f | Female |
| | sex | m | Male |
| settings |
| | form_id | version |
| | shared | 1 |
"""
ONE = (
    "<deviceid>collect:7731</deviceid><head>Gulnar</head><sex>f</sex><age>{}</age><size>4</size><village>Islam Qala</village>"
    "<remarks>SECRET</remarks><place>34.6612 61.07 0 0</place><photo>SECRET.jpg</photo><both>SECRET x</both>"
    "<child><c_age>4</c_age><c_name>SECRET</c_name></child>"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    publish_sheet(node, FORM)
    store(node, *(xml("shared", number, ONE.format(age)) for number, age in enumerate((31, 34, 4, 70))))
    yield node
    node.close()


def exported(node: Node, **options: Any) -> dict[str, bytes]:
    return zipped_with(node, "shared", Options(**options), documents=True)


def table(files: dict[str, bytes], name: str = "shared.csv") -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(files[name]), dtype=str, keep_default_na=False)


def test_a_file_for_others_holds_no_names_texts_places_files_or_devices(node: Node) -> None:
    files = exported(node, recipient="UN Habitat", view=View.CLEAN)
    read = table(files)
    assert list(read)[1:5] == ["sex", "age", "size", "village"]
    assert list(read)[5] == "KEY"
    secrets = (b"Gulnar", b"SECRET", b"34.66", b"7731", b"uuid:", b"Tablet 7", b"collect:x")
    assert [word for word in secrets if any(word in content for content in files.values())] == []
    children = table(files, "shared-child.csv")
    assert list(children) == ["c_age", "PARENT_KEY", "KEY"]
    assert children["PARENT_KEY"].tolist() == read["KEY"].tolist()
    assert children["KEY"].tolist() == [f"{key}/child[1]" for key in read["KEY"]]


def test_two_recipients_cannot_join_their_files_and_one_can_join_two_of_their_own(node: Node) -> None:
    first, again, other = (table(exported(node, recipient=name)) for name in ("A", "A", "B"))
    assert first["KEY"].tolist() == again["KEY"].tolist()
    for column in ("KEY", "SubmitterID", "DeviceID"):
        assert all(first[column])
        assert not set(first[column]) & set(other[column])
    assert set(first["SubmitterName"]) == {""}
    assert not {"SubmitterID", "DeviceID"} - set(first)


def test_numbers_are_told_as_bands(node: Node) -> None:
    read = table(exported(node, bands="age=0,5,18,60; c_age=0,3"))
    assert read["age"].tolist() == ["18-59", "18-59", "0-4", "60+"]
    assert table(exported(node, bands="c_age=0,3"), "shared-child.csv")["c_age"].tolist() == ["3+"] * 4


@pytest.mark.parametrize(
    ("cell", "told"),
    [("", ""), ("-1", "<0"), ("0", "0-4"), ("4", "0-4"), ("4.9", "0-4"), ("5", "5"), ("6", "6+"), ("x", "?")],
)
def test_a_band_holds_its_lower_bound(cell: str, told: str) -> None:
    assert band((0, 5, 6), cell) == told


def test_a_band_for_a_question_that_is_not_there_is_refused_and_not_forgotten(node: Node) -> None:
    with pytest.raises(Problem, match="no question aeg, agee to tell as bands"):
        exported(node, bands="agee=0,5,18,60;aeg=0,18;age=0,5")


@pytest.mark.parametrize(
    "text", ["age", "age=", "age=a", "age=5,5", "age=5,1", "=1", "age=" + ",".join(map(str, range(99)))]
)
def test_bands_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(Problem) as caught:
        read_bands(text)
    assert caught.value.code == 400.1


def test_the_manifest_of_a_file_for_others_says_what_to_drop_to_come_below_the_limit(node: Node) -> None:
    told = json.loads(exported(node, recipient="A")["manifest.json"])["risk"]
    assert told["steps"][0] == {"keys": ["sex", "age"], "unique": 1, "fewerThanFive": 1, "globalRisk": 1}
    assert told["steps"][1]["keys"] == ["sex"]
    assert told["isBelowLimit"] is False
    banded = json.loads(exported(node, recipient="A", bands="age=0,5,18,60")["manifest.json"])["risk"]
    assert (banded["steps"][0]["unique"], banded["steps"][0]["globalRisk"]) == (0.5, 0.75)
    asked = json.loads(exported(node, keys="size,village")["manifest.json"])["risk"]
    assert asked["steps"][0]["globalRisk"] == 0.25


def test_a_question_that_nobody_answered_tells_nobody_apart(node: Node) -> None:
    publish_sheet(node, FORM.replace("| | shared | 1 |", "| | blank | 1 |"))
    store(node, *(xml("blank", number, "<age>4</age>") for number in range(4)))
    told = json.loads(zipped_with(node, "blank", Options(keys="age,size"), documents=True)["manifest.json"])
    assert told["risk"]["steps"][0]["globalRisk"] == 0.25
    assert "size" in told["tables"][0]["unanswered"]


def test_what_makes_no_sense_is_refused(node: Node) -> None:
    with pytest.raises(Problem, match="no question head"):
        exported(node, recipient="A", keys="head")
    with pytest.raises(Problem, match="personal"):
        exported(node, recipient="A", personal=True)


COMBINATIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from("123")), max_size=40
)


@given(COMBINATIONS)
def test_each_step_of_the_ladder_lowers_the_risk_until_it_is_low(people: list[tuple[str, ...]]) -> None:
    steps = ladder(["one", "two", "three"], Counter(people))
    risks = [step.risk for step in steps]
    assert risks == sorted(risks, reverse=True)
    assert steps[-1].risk < RISK_MAX or not steps[-1].keys
    assert all(step.risk >= RISK_MAX for step in steps[:-1])
    each = Counter(people)
    assert risks[0] == pytest.approx(sum(1 / each[one] for one in people) / len(people) if people else 0)

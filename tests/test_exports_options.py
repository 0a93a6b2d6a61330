"""What may be asked of an export: Central's options mean what they mean there, and the manifest reconciles."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from exporting import FAMILY, FAMILY_ONE, exported_with, made, publish_sheet, store, xml, zipped_with
from sqlalchemy import text

from server.exports.conditions import condition
from server.exports.layout import ROOT_AFTER
from server.exports.options import Format, Options, Profile
from server.node import Node
from server.problems import Problem
from server.store.engine import reading, writing
from server.store.submissions import iter_submissions

GROWN = "| survey |\n| | type | name | label |\n{}| settings |\n| | form_id | version |\n| | grown | {} |\n"


def table(files: dict[str, bytes], name: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(files[name]), dtype=str, keep_default_na=False)


def review(node: Node, number: int, state: str) -> None:
    with writing(node.engine) as connection:
        connection.execute(
            text("UPDATE submission SET review_state = :state WHERE instance_id = :name"),
            {"state": state, "name": f"uuid:{number}"},
        )


@pytest.fixture
def family(node: Node) -> Node:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, FAMILY_ONE), xml("family", 2, "<needs>water  food</needs>"))
    store(node, xml("family", 3, "<head>Eve</head>"))
    return node


def test_select_multiples_are_split_by_the_answers_given(family: Node) -> None:
    read = table(zipped_with(family, "family", Options(split=True)), "family.csv")
    split = ["needs", "needs/food", "needs/shelter", "needs/water"]
    assert [name for name in read if name.startswith("needs")] == split
    assert read[split].to_numpy().tolist() == [
        ["food shelter", "1", "1", "0"],
        ["water  food", "1", "0", "1"],
        ["", "0", "0", "0"],
    ]


def test_a_sealed_record_says_nothing_in_split_columns(family: Node) -> None:
    store(
        family,
        b'<data id="family" version="1" encrypted="yes"><base64EncryptedKey>a2V5</base64EncryptedKey>'
        b"<encryptedXmlFile>s.enc</encryptedXmlFile><meta><instanceID>uuid:9</instanceID></meta></data>",
    )
    read = table(zipped_with(family, "family", Options(split=True)), "family.csv")
    assert read["needs/food"].tolist() == ["1", "1", "0", ""]


def test_groups_are_left_out_of_the_titles(family: Node) -> None:
    read = table(zipped_with(family, "family", Options(group_paths=False)), "family.csv")
    assert [name for name in read if name in {"street", "place-Latitude", "instanceID", "home-street"}] == [
        "street",
        "place-Latitude",
        "instanceID",
    ]


def test_only_the_newest_version_s_fields_come_when_deleted_ones_are_not_wanted(node: Node) -> None:
    publish_sheet(node, GROWN.format("| | text | old | O |\n| | text | both | B |\n", 1))
    publish_sheet(node, GROWN.format("| | text | both | B |\n| | text | new | N |\n", 2))
    store(node, xml("grown", 1, "<old>o</old><both>b</both>"))
    read = table(zipped_with(node, "grown", Options(deleted_fields=False, empty_columns=True)), "grown.csv")
    assert list(read)[1:4] == ["both", "new", "meta-instanceID"]
    assert "old" not in read


def test_questions_that_nobody_answered_are_left_out_unless_asked_for(node: Node) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, "<needs>food</needs><home><place>1 2</place></home>"))
    files = zipped_with(node, "family", Options())
    asked = ["home-place-Latitude", "home-place-Longitude", "needs", "meta-instanceID"]
    assert list(table(files, "family.csv")) == ["SubmissionDate", *asked, *ROOT_AFTER]
    assert len(table(files, "family-child.csv").columns) > 2, "a table without rows says what it would hold"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("__system/reviewState eq 'approved'", [1]),
        ("__system/reviewState ne 'approved'", [2, 3]),
        ("__system/reviewState eq null", [3]),
        ("not (__system/reviewState eq null) and __system/submitterId eq 7", [1, 2]),
        ("__system/submissionDate ge 2020-01-01T00:00:00.000Z", [1, 2, 3]),
        ("__system/submissionDate lt '2020-01-01'", []),
        ("year($root/Submissions/__system/submissionDate) gt 2020", [1, 2, 3]),
        ("__system/reviewState eq 'rejected' or __system/reviewState eq 'approved'", [1, 2]),
        ("__system/updatedAt gt 2020-01-01", []),
        ("not (__system/updatedAt gt 2020-01-01)", []),
    ],
)
def test_a_filter_means_what_it_means_in_central(family: Node, asked: str, found: list[int]) -> None:
    review(family, 1, "approved")
    review(family, 2, "rejected")
    with reading(family.engine) as connection:
        wanted = [
            one.instance_id for one in iter_submissions(connection, 1, "family") if condition(asked)(one)
        ]
    assert wanted == [f"uuid:{number}" for number in found]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("__system/reviewState eq", 400.18),
        ("(__system/reviewState eq 'x'", 400.18),
        ("__system/reviewState eq 'x' 'y'", 400.18),
        ("__system/submissionDate gt 2020-13-45", 400.18),
        ("\x00", 400.18),
        ("(" * 3000, 400.18),
        ("(" * 500 + "null" + ")" * 500, 400.18),
        ("age gt 5", 501.5),
        ("__system/submissionDate lt now()", 501.4),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(asked: str, code: float) -> None:
    with pytest.raises(Problem) as caught:
        condition(asked)
    assert caught.value.code == code


def test_the_manifest_reconciles_with_the_files(family: Node, tmp_path: Path) -> None:
    review(family, 1, "approved")
    with writing(family.engine) as connection:
        connection.exec_driver_sql("UPDATE submission SET is_deleted = true WHERE instance_id = 'uuid:3'")
    wanted = Options(filter="__system/reviewState eq 'approved'", split=True)
    exported_with(family, "family", tmp_path, wanted)
    manifest = json.loads((tmp_path / "family.manifest.json").read_bytes())
    assert manifest["records"] == {
        "exported": 1,
        "excluded": [
            {"why": "deleted", "count": 1, "keys": ["uuid:3"]},
            {"why": "filter", "count": 1, "keys": ["uuid:2"]},
        ],
        "quarantined": 0,
    }
    assert manifest["options"]["split"] is True
    for file in manifest["files"]:
        content = (tmp_path / file["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    for one in manifest["tables"]:
        with (tmp_path / f"{one['name']}.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == one["rows"]


def test_the_codebook_explains_every_column_and_choice(family: Node) -> None:
    files = zipped_with(family, "family", Options(split=True, personal=True), documents=True)
    book = table(files, "codebook.csv")
    for name in ("family", "family-child", "family-toy"):
        columns = list(table(files, f"{name}.csv"))
        explained = book[book["table"] == name]
        assert list(dict.fromkeys(explained["column"])) == columns
    head = book[book["column"] == "head"].iloc[0]
    assert (head["type"], head["question"], head["flags"], head["label::default"]) == (
        "text",
        "/head",
        "P",
        "Who?",
    )
    needs = book[book["column"] == "needs"]
    assert needs["choice"].tolist() == ["", "food", "shelter"]
    assert needs["label::default"].tolist() == ["What?", "Food", "Shelter"]


LABELLED = """
| survey |
| | type | name | label::English (en) | label::Farsi (fa) |
| | begin_group | g | G | |
| | select_one yn | consent | Consent | رضایت |
| | select_multiple need | needs | Needs | نیازها |
| | select_one_from_file places.csv | place | Place | جا |
| | end_group | | | |
| | date | shift_date | Day | روز |
| | dateTime | seen | Seen | Seen |
| | integer | n_f_0_4 | Girls | دختران |
| | geopoint | post | Post | پاسگاه |
| choices |
| | list_name | name | label::English (en) | label::Farsi (fa) |
| | yn | yes | Yes | بله |
| | need | food | Food | غذا |
| | need | water | Water | آب |
| settings |
| | form_id | version |
| | labelled | 1 |
"""
ANSWERS = (
    "<g><consent>yes</consent><needs>water food other</needs><place>herat</place></g>"
    "<shift_date>2026-03-21</shift_date><seen>2026-03-20T23:30:00.000+03:30</seen><n_f_0_4>3</n_f_0_4>"
)


@pytest.fixture
def labelled(node: Node) -> Node:
    publish_sheet(node, LABELLED)
    store(node, xml("labelled", 1, ANSWERS), xml("labelled", 2, "<g><consent>maybe</consent></g>"))
    return node


def test_labels_stand_for_names_in_titles_and_answers(labelled: Node) -> None:
    read = table(
        zipped_with(labelled, "labelled", Options(labels="fa", split=True, empty_columns=True)),
        "labelled.csv",
    )
    assert read["رضایت"].tolist() == ["بله", "maybe"]
    assert read["نیازها"].tolist() == ["آب; غذا; other", ""]
    assert read["نیازها: آب"].tolist() == ["1", "0"]
    assert read["جا"].tolist() == ["herat", ""]
    assert {"KEY", "SubmissionDate", "پاسگاه: Latitude"} <= set(read)


def test_dates_stand_in_the_solar_hijri_calendar_beside_the_others(labelled: Node) -> None:
    store(labelled, xml("labelled", 3, "<shift_date>1404-13-41</shift_date>"))
    read = table(zipped_with(labelled, "labelled", Options(solar=True)), "labelled.csv")
    assert read["shift_date"].tolist() == ["2026-03-21", "", "1404-13-41"]
    assert read["shift_date-SolarHijri"].tolist() == ["1405-01-01", "", ""]
    assert read["seen-SolarHijri"].tolist() == ["1404-12-29", "", ""]
    assert list(read).index("shift_date-SolarHijri") == list(read).index("shift_date") + 1


def test_hxl_tags_stand_under_the_titles(labelled: Node, tmp_path: Path) -> None:
    read = table(zipped_with(labelled, "labelled", Options(hxl=True, empty_columns=True)), "labelled.csv")
    tags = dict(zip(read, read.iloc[0], strict=True))
    assert tags["shift_date"] == "#date+reported"
    assert tags["n_f_0_4"] == "#affected+f+infants+age0_4"
    assert (tags["post-Latitude"], tags["g-needs"]) == ("#geo+lat", "")
    assert len(read) == 3
    book = pd.read_excel(made(labelled, "labelled", tmp_path, Format.XLSX, hxl=True))
    assert book["n_f_0_4"].tolist()[:2] == ["#affected+f+infants+age0_4", 3]
    with pytest.raises(Problem, match="HXL"):
        made(labelled, "labelled", tmp_path, Format.PARQUET, hxl=True)


def test_surveycto_s_names_and_order(labelled: Node) -> None:
    read = table(zipped_with(labelled, "labelled", Options(profile=Profile.SURVEYCTO)), "labelled.csv")
    assert list(read)[:3] == ["SubmissionDate", "consent", "needs"]
    assert list(read)[-4:] == ["instanceID", "formdef_version", "review_status", "KEY"]
    assert read["instanceID"].tolist() == read["KEY"].tolist() == ["uuid:1", "uuid:2"]


def test_surveycto_s_sets_join_a_repeat_to_the_row_around_it(family: Node) -> None:
    files = zipped_with(family, "family", Options(profile=Profile.SURVEYCTO))
    own, child, toy = (table(files, f"family{name}.csv") for name in ("", "-child", "-toy"))
    assert list(own)[-5:] == ["SET-OF-child", "instanceID", "formdef_version", "review_status", "KEY"]
    assert list(child) == ["age", "SET-OF-toy", "PARENT_KEY", "KEY", "SET-OF-child"]
    assert set(child["SET-OF-child"]) <= set(own["SET-OF-child"])
    assert set(toy["SET-OF-toy"]) <= set(child["SET-OF-toy"])
    assert child["SET-OF-child"].tolist() == [f"{key}/child" for key in child["PARENT_KEY"]]


def test_kobo_s_names_order_and_numbers(family: Node) -> None:
    review(family, 2, "approved")
    files = zipped_with(family, "family", Options(profile=Profile.KOBO, split=True))
    own = table(files, "family.csv")
    assert [
        name for name in own if name in {"street", "place", "_place_latitude", "needs", "needs/food"}
    ] == [
        "street",
        "place",
        "_place_latitude",
        "needs",
        "needs/food",
    ]
    after = ["_id", "_uuid", "_submission_time", "_validation_status", "_notes", "_status", "_submitted_by"]
    assert list(own)[-11:] == [*after, "__version__", "_tags", "meta/rootUuid", "_index"]
    assert own["_uuid"].tolist() == ["1", "2", "3"]
    assert own["_index"].tolist() == ["1", "2", "3"]
    assert own["_validation_status"].tolist() == ["", "validation_status_approved", ""]
    kite = "<people><child><toy><what>kite</what></toy></child></people>"
    store(family, xml("family", 4, f"<home><place>34.5 62 960.5 4</place></home>{kite}"))
    files = zipped_with(family, "family", Options(profile=Profile.KOBO))
    placed = table(files, "family.csv").iloc[-1]
    assert (placed["place"], placed["_place_precision"]) == ("34.5 62 960.5 4", "4")
    toys = table(files, "family-toy.csv")
    assert toys["_index"].tolist() == ["1", "2", "3", "4"]
    assert toys["_parent_table_name"].tolist() == ["family-child"] * 4
    assert toys["_parent_index"].tolist() == ["1", "1", "2", "3"]
    assert toys["_submission__id"].tolist() == ["1", "1", "1", "4"]
    children = table(files, "family-child.csv")
    assert children["_parent_index"].tolist() == ["1", "1", "4"]

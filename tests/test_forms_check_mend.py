"""`chapar forms check --fix`: a corrected copy with its list of changes; the original stays as it is."""

from __future__ import annotations

import io
import json

import commands
import openpyxl
import pytest
from openpyxl.styles import PatternFill

from forms.check.check import check_form
from forms.check.finding import Severity
from forms.check.mend import mend
from forms.errors import FormError

SURVEY = [["type", "name", "label::Farsi (fa)"], ["select_one t", "town", "شهر"]]
CHOICES = [["list_name", "name", "label::Farsi (fa)"], ["t", "a", "آ"], ["t", "b", "ب"]]


def book(survey: list[list[object]], choices: list[list[object]] = CHOICES) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.active.title = "survey"
    for row in survey:
        workbook.active.append(row)
    sheet = workbook.create_sheet("choices")
    for row in choices:
        sheet.append(row)
    workbook["survey"]["B2"].fill = PatternFill("solid", fgColor="FFEE00")
    workbook["survey"].column_dimensions["C"].width = 44
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def errors(data: bytes) -> list[str]:
    return [each.rule for each in check_form(data, "x.xlsx") if each.severity == Severity.ERROR]


def test_a_sound_sheet_is_left_byte_for_byte():
    data = book(SURVEY)
    assert mend(data, "x.xlsx") == (data, ())


def test_choices_of_one_code_get_different_codes():
    data = book(SURVEY, [*CHOICES, ["t", "a", "پ"], ["t", "a_2", "ت"]])
    mended, [change] = mend(data, "x.xlsx")
    assert errors(data)
    assert errors(mended) == []
    assert (change.sheet, change.row, change.column, change.before, change.after) == (
        "choices",
        4,
        "name",
        "a",
        "a_3",
    )


def test_duplicates_that_the_settings_allow_are_left():
    workbook = openpyxl.load_workbook(io.BytesIO(book(SURVEY, [*CHOICES, ["t", "a", "پ"]])))
    workbook.create_sheet("settings").append(["allow_choice_duplicates"])
    workbook["settings"].append(["yes"])
    file = io.BytesIO()
    workbook.save(file)
    assert mend(file.getvalue(), "x.xlsx")[1] == ()


def test_columns_of_other_properties_are_not_joined():
    data = book([[*SURVEY[0], "body::a", "body::b"], [*SURVEY[1], "1", None], ["text", "x", "ا", None, "2"]])
    assert mend(data, "x.xlsx") == (data, ())


def test_a_choice_that_stands_there_twice_is_emptied():
    mended, changes = mend(book(SURVEY, [*CHOICES, ["t", "b", "ب"]]), "x.xlsx")
    assert {(change.row, change.after) for change in changes} == {(4, "")}
    assert errors(mended) == []


def test_two_headers_for_one_column_are_joined_when_no_row_has_both():
    rows = [
        [*SURVEY[0], "relevant", "relevance"],
        [*SURVEY[1], None, "1 = 1"],
        ["text", "x", "ا", "2 = 2", None],
    ]
    data = book(rows)
    mended, changes = mend(data, "x.xlsx")
    assert errors(data)
    assert errors(mended) == []
    assert openpyxl.load_workbook(io.BytesIO(mended))["survey"]["D2"].value == "1 = 1"
    assert [change.row for change in changes] == [2, 1]


def test_two_headers_whose_texts_clash_are_left_to_the_designer():
    data = book([[*SURVEY[0], "relevant", "relevance"], [*SURVEY[1], "1 = 2", "1 = 1"]])
    assert mend(data, "x.xlsx") == (data, ())


def test_a_group_named_meta_is_renamed_with_its_references():
    data = book(
        [
            [*SURVEY[0], "relevant"],
            ["begin_group", "meta", "گ"],
            SURVEY[1],
            ["end_group"],
            ["text", "x", "ا", "position(${meta}) = 1"],
        ]
    )
    mended, changes = mend(data, "x.xlsx")
    assert errors(data)
    assert errors(mended) == []
    assert [change.after for change in changes] == ["meta_group", "position(${meta_group}) = 1"]


def test_arabic_letters_and_what_nobody_sees_in_names_go_and_formats_stay():
    mended, changes = mend(book([SURVEY[0], ["select_one t", "to\u200bwn", "علي و كتاب"]]), "x.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(mended))["survey"]
    assert [change.after for change in changes] == ["town", "علی و کتاب"]
    assert (sheet["B2"].value, sheet["C2"].value) == ("town", "علی و کتاب")
    assert sheet["B2"].fill.fgColor.rgb == "00FFEE00"
    assert sheet.column_dimensions["C"].width == 44


@pytest.mark.parametrize("data", [b"| survey |", b"PK\x03\x04", b""])
def test_what_is_no_workbook_is_not_mended(data):
    with pytest.raises(FormError):
        mend(data, "x.xlsx")


def test_the_command_writes_a_copy_and_never_over_another_file(tmp_path):
    file = tmp_path / "visit.xlsx"
    file.write_bytes(book(SURVEY, [*CHOICES, ["t", "a", "پ"]]))
    before = file.read_bytes()
    fix = ["forms", "check", str(file), "--fix", "--json"]
    done = commands.run(*fix)
    [told] = json.loads(done.stdout)["files"]
    assert done.returncode == 1  # the original has its error still
    assert [change["after"] for change in told["changes"]] == ["a_2"]
    assert errors((tmp_path / "visit.fixed.xlsx").read_bytes()) == []
    assert file.read_bytes() == before
    again = commands.run(*fix)
    assert "visit.fixed.xlsx" in again.stderr
    assert "Traceback" not in again.stderr

"""What sheets of other tools bring along: told so that a designer can act, and mended where there is one way."""

from __future__ import annotations

import pytest
from checking import SETTINGS, YN, found, rows, survey
from workbooks import SHEET, book, edited, part, with_part

from forms.check.check import check_form
from forms.check.mend import mend
from forms.compile import compile_form

HEADERS: list[object] = ["type", "name", "label", "relevant"]


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("numeric", "Perhaps integer or decimal is meant."),
        ("intger", "Perhaps integer is meant."),
        ("tel", "Perhaps text is meant."),
        ("Select one from source", "Write select_one and the name of a list, such as yes_no."),
        ("select_multiple", "Write select_multiple and the name of a list, such as yes_no."),
        ("qwxz", "Use a type of the XLSForm standard."),
    ],
)
def test_a_type_of_another_tool_is_told_with_the_one_that_is_meant(kind, fix):
    [finding] = found(survey("type | name | label", f"{kind} | a | A"), "compile-error")
    assert (finding.row, finding.column, finding.fix) == (2, "type", fix)


def test_an_included_form_is_told_as_what_it_is():
    [finding] = found(survey("type | name | label", "include | other_form | "), "compile-error")
    assert (finding.row, finding.column) == (2, "type")
    assert "not supported" in finding.fix


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("instance::tag", "pyxform cannot write an attribute named “tag”."),
        ("label::Farsi (fa)label::English (en)", "The column names two languages."),
    ],
)
def test_a_header_that_breaks_pyxform_is_told_by_its_name(header, message):
    sheet = survey(f"type | name | label::English (en) | {header}", "text | a | A | x")
    [finding] = found(sheet, "compile-error")
    assert (finding.row, finding.column, finding.message) == (1, header, message)


def test_two_columns_of_one_name_are_told_by_their_letters():
    [finding] = found(survey("type | name | label | name", "text | a | A | b"), "compile-error")
    assert finding.message == "Two columns have this name, B and D."


def test_an_id_that_cannot_be_used_comes_with_one_that_can():
    sheet = survey("type | name | label", "text | a | A", more=SETTINGS.replace("visit", "my visit: 2"))
    [finding] = found(sheet, "compile-error")
    assert finding.fix.endswith("For example “my_visit_2”.")


def test_a_file_name_becomes_an_id_that_can_be_used():
    sheet = survey("type | name | label", "text | a | A").encode()
    assert compile_form(sheet, "Baseline survey (v3).md").schema.form_id == "Baseline_survey_v3"


def test_curly_quotes_are_quotes():
    data = book(survey=[HEADERS, ["text", "a", "A", None], ["text", "b", "B", "1 = 1 or ${a} = ‘x’"]])
    assert [(each.rule, each.row) for each in check_form(data, "x.xlsx") if each.rule == "always-true"] == [
        ("always-true", 3)
    ]


def test_a_mended_copy_keeps_the_results_of_formulas_and_every_other_part():
    data = book(
        survey=[HEADERS, ["text", "a\u200b", "A"]],
        settings=[["form_id", "version"], ["visit", '=TEXT(7,"0")']],
    )
    data = with_part(data, "xl/media/logo.png", b"picture")
    second = SHEET.replace("1", "2")
    data = edited(data, b'<c r="B2"', b'<c t="str" r="B2"', second)
    data = edited(data, b"</f>", b"</f><v>7</v>", second)
    mended, changes = mend(data, "x.xlsx")
    assert changes
    assert compile_form(mended, "x.xlsx").schema.version == "7"
    assert part(mended, second) == part(data, second)
    assert part(mended, "xl/media/logo.png") == b"picture"


def test_a_code_asked_for_by_its_own_question_is_known():
    sheet = survey(
        "type | name | label | calculation",
        "select_one yn | a | A |",
        "calculate | b | | jr:choice-name(${a}, '${a}')",
        more=YN,
    )
    assert rows(sheet, "unknown-code") == []


def test_choices_may_have_columns_that_mean_something_in_the_survey():
    choices = "| choices |\n| | list_name | name | label | count |\n| | t | a | A | 1 |\n"
    sheet = survey("type | name | label | choice_filter", "select_one t | a | A | count <= 3", more=choices)
    assert rows(sheet, "filter-column") == []


def test_null_is_nothing_and_no_question():
    sheet = survey("type | name | label | relevant", "text | a | A |", "text | b | B | ${a} != null")
    assert rows(sheet, "bare-word") == []


def test_words_of_other_languages_are_not_read_as_english():
    columns = "type | name | label::English (en) | label::French (fr)"
    assert rows(survey(columns, "text | q | Country | Le pays"), "question-refused") == []
    assert rows(survey(columns, "text | q | What she pays | Prix"), "question-refused") == [2]

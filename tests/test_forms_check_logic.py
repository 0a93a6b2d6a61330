"""Rules about expressions, choices, names and repeats: what they find, and what they leave alone."""

from __future__ import annotations

import pytest
from checking import YN, found, rows, survey

from forms.check.folding import outcome
from forms.xpath_parser import parse

PAIR = ("select_one yn | a | A |", "integer | n | N |")


def condition(expression: str, column: str = "relevant") -> str:
    return survey(f"type | name | label | {column}", *PAIR, f"text | t | T | {expression}", more=YN)


@pytest.mark.parametrize(
    "never",
    [
        "${a} = 'yes' and ${a} = 'no'",
        "${n} > 5 and ${n} < 3",
        "${n} > 5 and ${n} <= 5",
        "${a} = 'yes' and (${a} = 'no' or ${a} = '')",
        "not(${n} >= 2) and 2 <= ${n}",
        "selected(${a}, 'yes') and not(selected(${a}, 'yes'))",
        "1 = 2",
        "false() or 'x' != 'x'",
        "2 * 3 - 6",
    ],
)
def test_a_condition_that_no_answer_fulfils_is_found(never):
    assert rows(condition(never), "never-true") == [4]


@pytest.mark.parametrize(
    "always", ["${a} != 'yes' or ${a} != 'no'", "${n} < 5 or ${n} >= 5", "true()", "not(1 = 2) or ${n} = 3"]
)
def test_a_condition_that_every_answer_fulfils_is_found(always):
    assert rows(condition(always), "always-true") == [4]


@pytest.mark.parametrize(
    "open_",
    [
        "${n} >= 5 and ${n} <= 5",
        "${a} = 'yes' or ${a} = 'no'",
        "${a} = 'yes' and ${n} = 1",
        "${a} != 'yes' and ${a} != 'no'",
        "selected(${a}, 'yes') and selected(${a}, 'no')",
        "random() < 0.5 and random() > 0.6",
        "today() > '2026-01-01'",
    ],
)
def test_a_condition_that_depends_on_answers_is_left_alone(open_):
    assert rows(condition(open_), "never-true") == []
    assert rows(condition(open_), "always-true") == []


def test_rows_of_a_repeat_seen_from_outside_do_not_contradict_one_another():
    sheet = survey(
        "type | name | label | relevant",
        "begin_repeat | r | R |",
        "select_one yn | a | A |",
        "text | inside | I | ${a} = 'yes' and ${a} = 'no'",
        "end_repeat | | |",
        "text | outside | O | ${a} = 'yes' and ${a} = 'no'",
        more=YN,
    )
    assert rows(sheet, "never-true") == [4]


def test_literals_are_compared_as_xpath_does():
    assert outcome(parse("'1.0' = 1")) is True
    assert outcome(parse("'' < 1")) is False
    assert outcome(parse("'a' = 'b' or /x/y")) is None


@pytest.mark.parametrize("terms", [100, 5_000])
def test_a_condition_of_many_terms_is_read_or_left_to_the_compiler(terms):
    findings = found(condition(" or ".join(f"${{n}} = {number}" for number in range(terms))), "always-true")
    assert findings == []
    never = condition(" and ".join(f"${{n}} = {number}" for number in range(terms)))
    assert bool(found(never, "never-true")) is (terms == 100)


def test_a_later_calculation_is_no_later_question():
    sheet = survey(
        "type | name | label | relevant | calculation",
        "integer | n | N | |",
        "text | t | T | ${twice} > 2 |",
        "calculate | twice | | | ${n} * 2",
    )
    assert rows(sheet, "later-reference") == []
    assert rows(sheet.replace("${twice} > 2", "${t} != ''"), "later-reference") == [3]


def test_names_inside_a_path_or_a_filter_are_no_bare_words():
    sheet = survey(
        "type | name | label | relevant | choice_filter",
        "select_one yn | a | A | | name != 'no'",
        "text | t | T | instance('yn')/root/item[name = 'yes']/label = 'Yes' |",
        more=YN,
    )
    assert rows(sheet, "bare-word") == rows(sheet, "filter-column") == []


def test_codes_are_known_in_selected_in_either_order_and_in_the_own_constraint():
    sheet = survey(
        "type | name | label | relevant | constraint",
        "select_multiple yn | a | A | | . != 'maybe'",
        "text | t | T | 'yess' = ${a} |",
        "text | u | U | selected(${a}, 'non') or ${a} = '' or ${a} = 'yes no' |",
        more=YN,
    )
    assert [(each.row, each.message.split("”")[0]) for each in found(sheet, "unknown-code")] == [
        (2, "“maybe"),
        (3, "“yess"),
        (4, "“non"),
    ]


def test_codes_of_a_list_in_a_file_are_not_known():
    sheet = survey(
        "type | name | label | relevant",
        "select_one_from_file towns.csv | a | A |",
        "text | t | T | ${a} = 'x'",
    )
    assert rows(sheet, "unknown-code") == []


def test_equal_labels_under_different_parents_are_told_apart():
    choices = "| choices |\n| | list_name | name | label | p |\n| | t | a | Old town | n |\n| | t | b | Old town | {} |\n"
    sheet = survey("type | name | label", "select_one t | a | A", more=choices)
    assert rows(sheet.format("s"), "choice-duplicate-label") == []
    assert rows(sheet.format("n"), "choice-duplicate-label") == [3]


def test_a_filter_that_waits_for_an_answer_leaves_no_choice_out():
    choices = "| choices |\n| | list_name | name | label | p |\n| | t | a | A | n |\n| | t | b | B | s |\n"
    sheet = survey(
        "type | name | label | choice_filter", "text | q | Q |", "select_one t | a | A | {}", more=choices
    )
    assert rows(sheet.replace("{}", "p = ${q}"), "choice-unused") == []
    assert rows(sheet.replace("{}", "p = ${q} and p != 's'"), "choice-unused") == [3]


@pytest.mark.parametrize("name", ["_x", "x_", "with", "NOT", "a.b", "a-b", "str7", "نام"])
def test_names_that_stata_or_spss_refuse_are_found(name):
    assert rows(survey("type | name | label", f"text | {name} | A"), "name-unusable") == [2]


def test_a_name_of_32_characters_fits():
    sheet = survey("type | name | label", f"text | {'a' * 32} | A", f"text | {'b' * 33} | B")
    assert rows(sheet, "name-too-long") == [3]


def test_a_count_shrinks_through_calculations_but_not_when_it_is_held():
    sheet = survey(
        "type | name | label | calculation | constraint | repeat_count",
        "integer | n | N | | {} |",
        "calculate | more | | ${n} + 1 | |",
        "begin_repeat | r | R | | | ${more}",
        "text | t | T | | |",
        "end_repeat | | | | |",
    )
    assert rows(sheet.replace("{}", ""), "repeat-can-shrink") == [4]
    assert rows(sheet.replace("{}", ". >= count(${r})"), "repeat-can-shrink") == []
    assert rows(sheet.replace("${more}", "3"), "repeat-can-shrink") == []


def test_none_that_the_filter_keeps_away_needs_no_constraint():
    choices = (
        "| choices |\n| | list_name | name | label | p |\n| | t | a | A | n |\n| | t | none | None | s |\n"
    )
    sheet = survey("type | name | label | choice_filter", "select_multiple t | a | A | {}", more=choices)
    assert rows(sheet.replace("{}", "p = 'n'"), "none-not-exclusive") == []
    assert rows(sheet.replace("{}", ""), "none-not-exclusive") == [2]


def test_a_disabled_row_is_no_question():
    sheet = survey("type | name | label | disabled", "text | phone | Phone | yes", "text | a | A |")
    assert rows(sheet, "personal-data-unflagged") == []

"""Two versions of a form compared: every rule found where it holds, none where it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forms.compile import compile_form
from forms.errors import FormError
from forms.evolve import compare
from forms.evolve_renames import read_renames
from forms.evolve_rules import RULES, Effect
from forms.lineage import Version, followed, renames_between, trace
from forms.schema import FormSchema

DOCS = Path(__file__).parent.parent / "docs" / "versions.md"

HEADER = "| survey |\n| | type | name | label::English (en) | relevant | constraint | required | calculation | chapar::flags | chapar::key |\n"
CHOICES = "| choices |\n| | list_name | name | label::English (en) |\n"
SETTINGS = "| settings |\n| | form_id | version | default_language |\n| | {} | {} | English (en) |\n"


def form(*rows: str, choices: tuple[str, ...] = (), version: str = "1", form_id: str = "f") -> FormSchema:
    """A form of rows `type | name | label | relevant | constraint | required | calculation | flags | key`."""
    sheet = HEADER + "".join(
        f"| | {row} {'| ' * (9 - row.count('|'))}\n" for row in ("text | kept | Kept", *rows)
    )
    if choices:
        sheet += CHOICES + "".join(f"| | {row} |\n" for row in choices)
    return compile_form((sheet + SETTINGS.format(form_id, version)).encode(), "f.md").schema


GROUP = ("begin_group | g | G", "end_group | |")
YN = ("l | yes | Yes", "l | no | No")


def repeat(*rows: str, name: str = "r", key: str = "") -> tuple[str, ...]:
    head = f"begin_repeat | {name} | R | | | | | | {key}"
    return (head, "text | row | Row", "text | row_2 | Second", *rows, "end_repeat | |")


def select(*names: str) -> FormSchema:
    return form("select_one l | s | S", choices=names)


AGE = "integer | age | Age"
A_FORM = form(AGE)

CASES = {
    "form-id-changed": (A_FORM, form(AGE, form_id="g"), "/"),
    "question-added": (A_FORM, form(AGE, "text | more | More"), "/more"),
    "question-removed": (A_FORM, form(), "/age"),
    "looks-renamed": (A_FORM, form("integer | years | Age"), "/age"),
    "question-moved": (A_FORM, form(GROUP[0], AGE, GROUP[1]), "/age"),
    "repeat-crossed": (form(AGE, *repeat()), form(*repeat(AGE)), "/age"),
    "repeat-added": (A_FORM, form(AGE, *repeat()), "/r"),
    "repeat-removed": (form(AGE, *repeat()), A_FORM, "/r"),
    "repeat-moved": (form(*repeat()), form(GROUP[0], *repeat(), GROUP[1]), "/r"),
    "key-added": (form(*repeat()), form(*repeat(key="row")), "/r"),
    "key-changed": (form(*repeat(key="row")), form(*repeat(key="row_2")), "/r"),
    "type-widened": (A_FORM, form("decimal | age | Age"), "/age"),
    "type-to-text": (A_FORM, form("text | age | Age"), "/age"),
    "type-changed": (A_FORM, form("date | age | Age"), "/age"),
    "choice-added": (select(*YN), select(*YN, "l | dk | Not known"), "/s"),
    "choice-removed": (select(*YN, "l | dk | Not known"), select(*YN), "/s"),
    "choice-renamed": (select(*YN), select("l | y | Yes", YN[1]), "/s"),
    "choice-relabelled": (select(*YN), select("l | yes | Indeed", YN[1]), "/s"),
    "choice-file-changed": (select(*YN), form("select_one_from_file l.csv | s | S"), "/s"),
    "constraint-changed": (A_FORM, form(f"{AGE} | | . < 100"), "/age"),
    "constraint-removed": (form(f"{AGE} | | . < 100"), A_FORM, "/age"),
    "required-added": (A_FORM, form(f"{AGE} | | | yes"), "/age"),
    "required-removed": (form(f"{AGE} | | | yes"), A_FORM, "/age"),
    "relevant-changed": (A_FORM, form(f"{AGE} | ${{kept}} = 'a'"), "/age"),
    "calculation-changed": (
        form("calculate | c | | | | | 1 + 1"),
        form("calculate | c | | | | | 1 + 2"),
        "/c",
    ),
    "protection-removed": (form("text | name | N | | | | | P"), form("text | name | N | | | | | Q"), "/name"),
    "protection-added": (form("text | name | N"), form("text | name | N | | | | | S"), "/name"),
    "label-changed": (A_FORM, form("integer | age | Age in years"), "/age"),
}


@pytest.mark.parametrize("rule", CASES)
def test_each_rule_is_found_where_it_holds_and_nothing_else(rule: str) -> None:
    old, new, path = CASES[rule]
    found = [(change.rule, change.path) for change in compare(old, new)]
    assert found == [(rule, path)]


@pytest.mark.parametrize("rule", CASES)
def test_a_form_compared_with_itself_has_not_changed(rule: str) -> None:
    old, new, _ = CASES[rule]
    assert compare(old, old) == compare(new, new) == ()


def test_a_rename_that_is_told_is_safe_and_one_that_is_not_is_breaking() -> None:
    new = form("integer | years | Age")
    told = compare(A_FORM, new, read_renames(["age=years"], A_FORM, new))
    assert [(change.rule, change.effect, change.new_path) for change in told] == [
        ("renamed", Effect.SAFE, "/years")
    ]
    (guessed,) = compare(A_FORM, new)
    assert guessed.effect is Effect.BREAKING
    assert "--rename /age=/years" in guessed.fix


def test_a_question_with_another_label_or_type_is_no_rename() -> None:
    for row in ("integer | shoe | Shoe size", "text | years | Age"):
        assert {change.rule for change in compare(A_FORM, form(row))} == {
            "question-removed",
            "question-added",
        }


def test_an_alike_label_at_the_same_place_looks_renamed() -> None:
    old, new = form("text | mother | Name of mother"), form("text | mum | Name of the mother")
    assert [change.rule for change in compare(old, new)] == ["looks-renamed"]


def test_a_renamed_repeat_is_one_change_and_its_questions_none() -> None:
    old, new = form(*repeat()), form(*repeat(name="rows"))
    assert [(change.rule, change.path) for change in compare(old, new)] == [("looks-renamed", "/r")]
    assert [change.rule for change in compare(old, new, {"/r": "/rows"})] == ["renamed"]


def test_expressions_that_follow_a_moved_question_have_not_changed() -> None:
    other = "text | why | Why | ${age} > 3 | . != ${age}"
    old, new = form(AGE, other), form(GROUP[0], AGE, GROUP[1], other)
    assert [change.rule for change in compare(old, new)] == ["question-moved"]


def test_expressions_inside_a_repeat_follow_a_rename() -> None:
    old = form(*repeat("integer | a | A | ${row} = 'x'"))
    questions = ("text | line | Row", "text | row_2 | Second", "integer | a | A | ${line} = 'x'")
    new = form("begin_repeat | r | R", *questions, "end_repeat | |")
    assert [change.rule for change in compare(old, new, {"/r/row": "/r/line"})] == ["renamed"]


def test_removed_choices_are_named_and_long_lists_are_cut() -> None:
    many = tuple(f"l | c{number} | Choice {number}" for number in range(12))
    (change,) = compare(select(*YN, *many), select(*YN))
    assert change.names == tuple(f"c{number}" for number in range(12))
    assert change.message.endswith("c4 and 7 more.")


def test_languages_that_come_and_go_are_told() -> None:
    farsi = HEADER.replace("label::English (en)", "label::Farsi (fa)") + "| | text | kept | نگه |\n"
    new = compile_form(
        (farsi + SETTINGS.format("f", "2")).replace("English (en)", "Farsi (fa)").encode(), "f.md"
    )
    assert [change.rule for change in compare(form(), new.schema)] == ["language-added", "language-removed"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody=years", "no “nobody”"),
        ("age", "no “”"),
        ("/age=/nowhere", "not in its version"),
        ("age=kept", "another node of the older version"),
        ("age=row", "different repeats"),
    ],
)
def test_a_rename_that_cannot_be_followed_is_refused(text: str, message: str) -> None:
    with pytest.raises(FormError, match=message):
        read_renames([text], A_FORM, form("integer | years | Age", *repeat()))


def test_a_name_freed_by_a_rename_is_another_question_when_it_comes_back() -> None:
    versions = [
        Version(form("text | a | A")),
        Version(form("text | b | A"), {"/a": "/b"}),
        Version(form("text | b | A", "text | a | New")),
    ]
    first, second, third = trace(versions)
    assert first["/a"] == second["/b"] == third["/b"] != third["/a"]
    assert renames_between(versions, 0) == {"/a": "/b"}


def test_a_question_that_comes_back_is_the_one_it_was() -> None:
    first, _, third = trace([Version(form(AGE)), Version(form()), Version(form(GROUP[0], AGE, GROUP[1]))])
    assert first["/age"] == third["/g/age"]


def test_two_questions_that_swap_names_keep_their_identities() -> None:
    old, new = form("text | a | A", "text | b | B"), form("text | b | A", "text | a | B")
    assert followed(old, new, {"/a": "/b", "/b": "/a"})["/a"] == "/b"
    assert read_renames(["a=b", "b=a"], old, new) == {"/a": "/b", "/b": "/a"}


def test_a_renamed_group_takes_its_questions_along() -> None:
    two = ("begin_group | {} | G", "text | other | {}", "end_group | |")
    old = form(*(row.format("x", "X") for row in two), *(row.format("y", "Y") for row in two))
    new = form(*(row.format("p", "X") for row in two), *(row.format("q", "Y") for row in two))
    kept = followed(old, new, {"/x": "/p", "/y": "/q"})
    assert (kept["/x/other"], kept["/y/other"]) == ("/p/other", "/q/other")


def test_the_docs_explain_every_rule_with_its_effect() -> None:
    table = dict(re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", DOCS.read_text(), re.MULTILINE))
    assert table == {rule: one.effect.value for rule, one in RULES.items()}
    assert RULES.keys() - CASES.keys() == {"renamed", "language-added", "language-removed"}

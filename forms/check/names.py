"""Rules about names: what becomes of them as columns of a table, in Stata and in SPSS.

Sources: Stata 18 [U] 11.3 Naming conventions (32 characters, reserved words); SPSS Statistics 29, Variable names
(reserved words, no `_` at the end); section 0 of the questionnaires (snake_case, at most 32 characters).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from forms.check.design import Design, Question
from forms.check.finding import Rule, Severity, Spot

NAME_CHARS_MAX = 32
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
FOR_STATISTICS = re.compile(r"[A-Za-z][A-Za-z0-9_]*[A-Za-z0-9]|[A-Za-z]")
STATA = frozenset(
    [
        "_all",
        "_b",
        "byte",
        "_coef",
        "_cons",
        "double",
        "float",
        "if",
        "in",
        "int",
        "long",
        "_n",
        "_N",
        "_pi",
        "_pred",
        "_rc",
        "_skip",
        "strL",
        "using",
        "with",
    ]
)
STATA_TEXT = re.compile(r"str\d+")
SPSS = frozenset(["all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with"])


def too_long(design: Design) -> Iterator[Spot]:
    """Yield names that are cut elsewhere."""
    for question in _named(design):
        if (length := len(question.name)) > NAME_CHARS_MAX:
            message = f"The name has {length} characters; Stata cuts names at {NAME_CHARS_MAX}."
            yield question.entry.spot("name", message, f"Choose one of at most {NAME_CHARS_MAX} characters.")


def not_snake_case(design: Design) -> Iterator[Spot]:
    """Yield names with capitals, blanks or signs."""
    for question in _named(design):
        if not SNAKE_CASE.fullmatch(question.name) and question.is_asked:
            fix = f"Write it as “{_snake(question.name)}”, also in every ${{…}}, before the form is used."
            yield question.entry.spot("name", "The name is not in small letters, digits and single _.", fix)


def _snake(name: str) -> str:
    spread = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"\W+|_+", "_", spread).strip("_").lower() or "question"


def same_column(design: Design) -> Iterator[Spot]:
    """Yield questions that share a column's name with one in another group or repeat."""
    for question, other in _pairs(design):
        if question.name == other.name:
            what = f"Row {other.entry.row} has this name, too: a flat table has one column for both."
            yield question.entry.spot("name", what, "Give one of the two another name.")


def same_but_for_case(design: Design) -> Iterator[Spot]:
    """Yield questions whose names differ from another's by capitals only."""
    for question, other in _pairs(design):
        if question.name != other.name:
            what = f"“{other.name}” in row {other.entry.row} differs by capitals only: SPSS and SQL see one name."
            yield question.entry.spot("name", what, "Give one of the two another name.")


def same_when_cut(design: Design) -> Iterator[Spot]:
    """Yield questions whose names differ from another's only where Stata cuts them off."""
    for question, other in _pairs(design, NAME_CHARS_MAX):
        if question.name.casefold() != other.name.casefold():
            what = f"“{other.name}” in row {other.entry.row} has the same first {NAME_CHARS_MAX} characters."
            yield question.entry.spot("name", what, "Let the names differ at their beginning.")


def _pairs(design: Design, chars: int | None = None) -> Iterator[tuple[Question, Question]]:
    """Yield every question with an earlier one of the same name, or beginning, in small letters."""
    first: dict[str, Question] = {}
    for question in _named(design):
        if question.is_leaf and question.kind != "note":
            other = first.setdefault(question.name.casefold()[:chars], question)
            if other is not question:
                yield question, other


def unusable(design: Design) -> Iterator[Spot]:
    """Yield names that Stata or SPSS refuses."""
    for question in _named(design):
        if question.is_leaf and (reason := _refusal(question.name)):
            yield question.entry.spot("name", reason, "Choose another name, in Latin letters, digits and _.")


def _refusal(name: str) -> str:
    if name in STATA or STATA_TEXT.fullmatch(name):
        return f"“{name}” is a reserved word of Stata."
    if name.lower() in SPSS:
        return f"“{name}” is a reserved word of SPSS."
    if not FOR_STATISTICS.fullmatch(name):
        return "Stata and SPSS take names of Latin letters, digits and _ only, with a letter first and no _ last."
    return ""


def _named(design: Design) -> Iterator[Question]:
    return (question for question in design.questions if question.name)


RULES = (
    Rule("name-too-long", Severity.WARNING, "Names have at most 32 characters.", too_long),
    Rule("name-not-snake-case", Severity.HINT, "Names are in snake_case.", not_snake_case),
    Rule("name-collides", Severity.WARNING, "A question's name is its own in the whole form.", same_column),
    Rule(
        "name-collides-by-case",
        Severity.WARNING,
        "Names differ by more than capitals.",
        same_but_for_case,
    ),
    Rule(
        "name-collides-when-cut",
        Severity.WARNING,
        "Names differ in their first 32 characters.",
        same_when_cut,
    ),
    Rule("name-unusable", Severity.WARNING, "Names can be used in Stata and SPSS.", unusable),
)

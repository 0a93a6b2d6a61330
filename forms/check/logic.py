"""Rules about expressions: what they refer to, codes they compare with, conditions that never change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from forms.check.design import Design, Question
from forms.check.expressions import (
    LOGIC,
    OTHERS,
    REFERENCE,
    ROOT,
    bare_word,
    is_self,
    parts,
    references,
    referred,
    tree,
)
from forms.check.finding import Rule, Severity, Spot
from forms.check.folding import nothing_known, outcome
from forms.xpath_parser import Axis, Binary, Call, Expr, Literal, Path, Step

PREDEFINED = frozenset({"instanceID", "instanceName", "deprecatedID"})
SWITCHES = frozenset({"yes", "no", "true", "false", "true()", "false()", "TRUE", "FALSE", "Yes", "No"})


def unknown_reference(design: Design) -> Iterator[Spot]:
    """Yield `${name}` without a question of that name, in expressions and in texts."""
    for question in design.questions:
        entry = question.entry
        for column in (*LOGIC, *OTHERS, "chapar::key"):
            for name in _unknown(design, entry[column]):
                yield entry.spot(column, f"No question is named “{name}”.", _similar(design, name))
    for entry in design.texts:
        for column, texts in entry.texts.items():
            for language, text in texts.items():
                for name in _unknown(design, text):
                    where = f"{column}@{language}" if language else column
                    yield entry.spot(where, f"No question is named “{name}”.", _similar(design, name), text)


def _unknown(design: Design, text: str) -> list[str]:
    if "${" not in text:
        return []
    names = (match[2] for match in REFERENCE.finditer(text))
    return [name for name in dict.fromkeys(names) if name not in design.by_name and name not in PREDEFINED]


def _similar(design: Design, name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(design.by_name), 1)
    return f"Perhaps ${{{close[0]}}} is meant." if close else "Correct the name, or add the question."


def later_reference(design: Design) -> Iterator[Spot]:
    """Yield conditions and calculations that wait for a question further down."""
    for question in design.questions:
        for column in LOGIC:
            for name in references(question.entry[column]):
                other = design.by_name.get(name)
                if other and other.is_asked and other.order > question.order:
                    yield question.entry.spot(
                        column,
                        f"${{{name}}} is asked later, in row {other.entry.row}.",
                        "Move the question behind it: until then the answer is blank.",
                    )
                elif other is question and column in {"relevant", "choice_filter"}:
                    yield question.entry.spot(
                        column, f"${{{name}}} is the question itself.", "Refer to an earlier question."
                    )


def bare_words(design: Design) -> Iterator[Spot]:
    """Yield expressions with a question's name that is not written as `${name}`."""
    for question in design.questions:
        for column in ("relevant", "constraint", "calculation"):
            text = question.entry[column]
            expr = tree(text) if text and text not in SWITCHES else None
            for word in dict.fromkeys(filter(None, map(bare_word, parts(expr) if expr else ()))):
                if word.lower() == "null":
                    continue  # a way to write “nothing”, and it is nothing
                fix = f"Write ${{{word}}}, or '{word}' if it is a text."
                yield question.entry.spot(column, f"“{word}” refers to nothing here.", fix)


def filter_columns(design: Design) -> Iterator[Spot]:
    """Yield choice filters that ask for a column which the list does not have."""
    columns = {column for chosen in design.choices.values() for choice in chosen for column in choice.cells}
    for question in design.questions:
        expr = tree(question.entry["choice_filter"]) if question.entry["choice_filter"] else None
        if expr is None or question.is_file or question.list_name not in design.choices:
            continue
        for word in dict.fromkeys(filter(None, map(bare_word, parts(expr)))):
            if word not in columns and word.lower() not in columns:
                message = f"The sheet “choices” has no column “{word}” with a value."
                yield question.entry.spot("choice_filter", message, f"Add the column, or write '{word}'.")


def unknown_code(design: Design) -> Iterator[Spot]:
    """Yield comparisons of a select with a code that its list does not have."""
    for question in design.questions:
        for column in (*LOGIC, "required"):
            expr = tree(question.entry[column]) if question.entry[column] else None
            for subject, code in _comparisons(expr):
                other = question if is_self(subject) else design.by_name.get(referred(subject))
                is_reference = ROOT in code  # jr:choice-name(${q}, '${q}')
                if not other or is_reference or not _is_closed(design, other):
                    continue
                if not set(code.split()) <= _codes(design, other):
                    message = f"“{code}” is no code of the list “{other.list_name}” of ${{{other.name}}}."
                    yield question.entry.spot(column, message, "Correct the code, or add the choice.")


def _is_closed(design: Design, question: Question) -> bool:
    return question.is_select and not question.is_file and question.list_name in design.choices


def _codes(design: Design, question: Question) -> set[str]:
    codes = {choice.name for choice in design.choices[question.list_name]}
    return codes | {"other"} if question.or_other else codes


def _comparisons(expr: Expr | None) -> Iterator[tuple[Expr, str]]:
    for part in parts(expr) if expr else ():
        match part:
            case Binary(operator="=" | "!=", left=subject, right=Literal(value=code)):
                yield subject, _code(code)
            case Binary(operator="=" | "!=", left=Literal(value=code), right=subject):
                yield subject, _code(code)
            case Call(name="selected" | "jr:choice-name", arguments=(subject, Literal(value=code))):
                yield subject, _code(code)


def _code(value: str | float) -> str:
    return value if isinstance(value, str) else format(value, "g")


def never(design: Design) -> Iterator[Spot]:
    """Yield conditions that no answer can fulfil."""
    return _decided(design, False, "The condition is never true", "Correct it: as it stands, nothing passes.")


def always(design: Design) -> Iterator[Spot]:
    """Yield conditions that every answer fulfils."""
    return _decided(design, True, "The condition is always true", "Correct it, or remove it.")


def _decided(design: Design, wanted: bool, message: str, fix: str) -> Iterator[Spot]:
    for question in design.questions:
        for column in ("relevant", "constraint", "choice_filter"):
            text = question.entry[column]
            if text and _outcome(design, question, text) is wanted:
                yield question.entry.spot(column, f"{message}.", fix)


def _outcome(design: Design, question: Question, text: str) -> bool | None:
    if text in SWITCHES:
        return text.lower().startswith(("yes", "true"))
    expr = tree(text)
    return outcome(expr, nothing_known, _single(design, question)) if expr else None


def _single(design: Design, question: Question) -> Callable[[Expr], bool]:
    return partial(_has_one_value, design, question)


def _has_one_value(design: Design, question: Question, expr: Expr) -> bool:
    """Return whether every path in the expression leads to one answer from where the question stands."""
    if isinstance(expr, Call) and expr.name in {"random", "uuid", "now"}:
        return False
    for part in parts(expr):
        if isinstance(part, Path) and not is_self(part) and not bare_word(part):
            other = design.by_name.get(referred(part))
            is_here = other is not None and other.repeats == question.repeats[: len(other.repeats)]
            if not is_here and not _is_parent_step(part):
                return False
    return True


def _is_parent_step(path: Path) -> bool:
    """`../name` has one value as long as it names no repeat: then it has no further step."""
    return (
        not path.absolute
        and path.start is None
        and len(path.steps) == 2
        and path.steps[0] == Step(Axis.PARENT)
    )


RULES = (
    Rule("unknown-reference", Severity.ERROR, "Every ${name} is the name of a question.", unknown_reference),
    Rule(
        "later-reference",
        Severity.WARNING,
        "Conditions and calculations refer to what is asked before.",
        later_reference,
    ),
    Rule(
        "bare-word",
        Severity.ERROR,
        "A question is referred to as ${name}; a text stands in quotes.",
        bare_words,
    ),
    Rule("filter-column", Severity.ERROR, "A choice filter uses columns that the list has.", filter_columns),
    Rule("unknown-code", Severity.ERROR, "A select is compared with codes of its list.", unknown_code),
    Rule("never-true", Severity.WARNING, "Every condition can come true.", never),
    Rule("always-true", Severity.WARNING, "Every condition can come false.", always),
)

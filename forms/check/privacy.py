"""Rules about data that identifies or endangers people. Source: section 0 of the questionnaires.

A row's `chapar::why` is the designer's answer to a rule here that reads words; nothing answers for a leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from forms.check import wording
from forms.check.design import Design, Entry, Question
from forms.check.expressions import referred, tree
from forms.check.finding import Rule, Severity, Spot
from forms.xpath_parser import Call, Expr

PLACES = frozenset({"geopoint", "geotrace", "geoshape"})
PLACE_KINDS = PLACES | {"start-geopoint", "background-geopoint"}
TEXTS = frozenset({"text", "barcode"})
OPEN = TEXTS | {"integer", "decimal"}
CLOSED = frozenset({"select_one", "select_multiple", "acknowledge", "trigger"})
HIDDEN = frozenset("PG")
RESTRICTED = frozenset("PSG")
PASSED_ON = frozenset(
    {"concat", "coalesce", "once", "string", "normalize-space", "substr", "substring", "translate", "join"}
    | {"substring-before", "substring-after", "upper-case", "lower-case", "if", "format-date"}
)
WHY = "or say in chapar::why why not."


def personal(design: Design) -> Iterator[Spot]:
    """Yield questions for a person's data without the flag P."""
    for question in design.questions:
        if question.flags & HIDDEN or question.entry["chapar::why"]:
            continue
        if question.kind in PLACE_KINDS:
            message = "The question takes a position and is not flagged P: it can lead to a person."
            yield question.entry.spot("type", message, f"Write P into chapar::flags, {WHY}")
        elif question.kind in OPEN and (found := _asked_for(question, _personal(question))):
            kind, spot = found
            if not any(wording.NOT_PERSONAL.search(text) for text in _spoken(question)):
                message = f"The question seems to ask for {kind} and is not flagged P."
                yield question.entry.spot(
                    spot, message, f"Write P into chapar::flags, {WHY}", _text(question, spot)
                )


def _personal(question: Question) -> Mapping[str, re.Pattern[str]]:
    """A whole number can be a phone's or a document's; “How old is (NAME)?” asks for no name."""
    numbers = {kind: words for kind, words in wording.PERSONAL.items() if kind.endswith("number")}
    return wording.PERSONAL if question.kind in TEXTS else numbers


def copied(design: Design) -> Iterator[Spot]:
    """Yield calculations that pass personal answers on without their flag."""
    for question in design.questions:
        if question.kind != "calculate" or question.flags & RESTRICTED or question.entry["chapar::why"]:
            continue
        for name in _restricted(design, question.entry["calculation"], RESTRICTED):
            letters = " ".join(sorted(design.by_name[name].flags & RESTRICTED))
            message = f"The calculation copies ${{{name}}}, which is flagged {letters}."
            yield question.entry.spot(
                "calculation", message, f"Write {letters} into chapar::flags here, too."
            )


def refused(design: Design) -> Iterator[Spot]:
    """Yield questions about money, passwords, bank data or biometrics that do not say why."""
    for question in design.questions:
        if not question.is_asked or question.entry["chapar::why"]:
            continue
        if question.kind == "image" and wording.takes_a_face(question.entry["appearance"]):
            fix = "Remove it, or say in chapar::why why it must be."
            yield question.entry.spot("appearance", wording.FACE, fix)
        elif found := _asked_for(question, wording.REFUSED):
            kind, spot = found
            if not (question.kind in CLOSED and wording.says_nobody(question.entry.labels())):
                fix = "Remove the question, or say in chapar::why why it must be asked."
                text = _text(question, spot)
                yield question.entry.spot(spot, wording.not_without_reason(kind), fix, text)


def _asked_for(question: Question, patterns: Mapping[str, re.Pattern[str]]) -> tuple[str, str] | None:
    return wording.asked_for(patterns, question.entry.labels(), question.name)


def _spoken(question: Question) -> list[str]:
    return [*question.entry.labels().values(), question.name.replace("_", " ")]


def _text(question: Question, column: str) -> str:
    language = column.partition("@")[2]
    return question.name if column == "name" else question.entry.labels().get(language, "")


def in_entity(design: Design) -> Iterator[Spot]:
    """Yield entity properties and labels with restricted answers: every tablet downloads them."""
    fix = "Remove it from save_to: whoever may see it opens the case."
    for question in design.questions:
        if not question.entry["save_to"]:
            continue
        if letters := " ".join(sorted(question.flags & RESTRICTED)):
            message = f"The entity list would carry an answer flagged {letters} to every tablet."
            yield question.entry.spot("save_to", message, fix)
        else:
            for name in _restricted(design, question.entry["calculation"], RESTRICTED):
                message = f"The entity list would carry ${{{name}}} to every tablet by this calculation."
                yield question.entry.spot("save_to", message, fix)
    for entity in design.entities:
        yield from _in_title(design, entity, "label", "The entity's label shows ${{{}}} on every tablet.")


def in_record_name(design: Design) -> Iterator[Spot]:
    """Yield record names made of restricted answers: lists, logs and file names show them."""
    message = "The record's name shows ${{{}}} in lists and file names."
    return _in_title(design, design.settings, "instance_name", message)


def _in_title(design: Design, entry: Entry, column: str, message: str) -> Iterator[Spot]:
    text = entry[column] or next(iter(entry.texts.get(column, {}).values()), "")
    for name in _restricted(design, text, RESTRICTED):
        fix = "Make it of codes and dates that tell nothing about a person."
        yield entry.spot(column, message.format(name), fix, text)


def _restricted(design: Design, expression: str, letters: frozenset[str]) -> list[str]:
    """Return the questions flagged so whose answers come through an expression as they are."""
    found: list[str] = []
    seen: set[str] = set()
    waiting = list(_passed(expression))
    while waiting:
        name = waiting.pop(0)
        question = design.by_name.get(name)
        if question is None or name in seen:
            continue
        seen.add(name)
        if question.flags & letters:
            found.append(name)
        else:
            waiting += _passed(question.entry["calculation"])
    return found


def _passed(expression: str) -> Iterator[str]:
    expr = tree(expression) if "${" in expression else None
    return _values(expr) if expr else iter(())


def _values(expr: Expr) -> Iterator[str]:
    """Yield the references whose text is in the result; a comparison or a count tells less than its answer."""
    match expr:
        case Call(name="if", arguments=(_, first, second)):
            yield from _values(first)
            yield from _values(second)
        case Call(name=name, arguments=arguments) if name in PASSED_ON:
            for argument in arguments:
                yield from _values(argument)
        case _ if name := referred(expr):
            yield name


RULES = (
    Rule(
        "personal-data-unflagged",
        Severity.WARNING,
        "Names, phone and document numbers, addresses and positions are flagged P.",
        personal,
    ),
    Rule(
        "personal-data-copied",
        Severity.WARNING,
        "A calculation with a restricted answer carries its flags.",
        copied,
    ),
    Rule(
        "question-refused",
        Severity.ERROR,
        "No question asks for money, passwords, bank data or biometrics, unless chapar::why says why.",
        refused,
    ),
    Rule(
        "entity-restricted",
        Severity.ERROR,
        "Entity properties and labels carry nothing flagged P, S or G.",
        in_entity,
    ),
    Rule(
        "record-name-restricted",
        Severity.ERROR,
        "The name of a record carries nothing flagged P, S or G.",
        in_record_name,
    ),
)

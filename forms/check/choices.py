"""Rules about choice lists: duplicates, and what no question offers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from forms.check.design import Design, Entry, Question
from forms.check.expressions import bare_word, tree
from forms.check.finding import Rule, Severity, Spot
from forms.check.folding import Value, outcome
from forms.xpath_parser import Expr

NOT_DISTINGUISHING = frozenset({"name", "label", "media", "sort", "order"})


def offered(design: Design, question: Question) -> Iterator[Entry]:
    """Yield the choices that a question's filter can let through, whatever the other answers are."""
    chosen = design.choices.get(question.list_name, ()) if not question.is_file else ()
    expr = tree(question.entry["choice_filter"]) if question.entry["choice_filter"] else None
    columns = frozenset(column for choice in chosen for column in choice.cells) if expr else frozenset()
    for choice in chosen:
        if expr is None or outcome(expr, partial(_of_choice, choice.cells, columns)) is not False:
            yield choice


def _of_choice(cells: Mapping[str, str], columns: frozenset[str], expr: Expr) -> Value | None:
    word = bare_word(expr)
    return cells.get(word, "") if word in columns else None


def nameless(design: Design) -> Iterator[Spot]:
    """Yield choices without a code."""
    for name, chosen in design.choices.items():
        for choice in chosen:
            if not choice.name:
                yield choice.spot("name", f"A choice of the list “{name}” has no code.", "Write its name.")


def blanks_in_names(design: Design) -> Iterator[Spot]:
    """Yield codes with a blank, in lists of which several can be chosen: blanks stand between their answers."""
    several = {each.list_name for each in design.questions if each.kind in {"select_multiple", "rank"}}
    for name in several & design.choices.keys():
        for choice in design.choices[name]:
            if len(choice.name.split()) > 1:
                message = "A blank stands between the answers of a question: a code has none."
                yield choice.spot("name", message, f"Write “{'_'.join(choice.name.split())}”.")


def duplicate_names(design: Design) -> Iterator[Spot]:
    """Yield choices whose code another choice of the list has."""
    if design.settings["allow_choice_duplicates"].lower() in {"yes", "true", "true()"}:
        return
    for name, chosen in design.choices.items():
        seen: dict[str, int] = {}
        for choice in chosen:
            first = seen.setdefault(choice.name, choice.row)
            if first != choice.row and choice.name:
                message = f"The list “{name}” has “{choice.name}” in row {first} already."
                yield choice.spot("name", message, "Rename one of the choices, or remove it.")


def duplicate_labels(design: Design) -> Iterator[Spot]:
    """Yield choices that people cannot tell from another choice of the list."""
    for name, chosen in design.choices.items():
        seen: dict[tuple[object, ...], Entry] = {}
        for choice in chosen:
            for language, label in choice.labels().items():
                first = seen.setdefault((language, label, _distinction(choice)), choice)
                if first is not choice and first.name != choice.name:
                    message = f"The list “{name}” shows this text for “{first.name}” in row {first.row}, too."
                    where = f"label@{language}" if language else "label"
                    yield choice.spot(where, message, "Word one of the two differently.", label)


def _distinction(choice: Entry) -> tuple[tuple[str, str], ...]:
    """What a choice filter could tell choices apart by, and what is seen beside the label."""
    cells = tuple(
        item
        for item in choice.cells.items()
        if item[0] not in NOT_DISTINGUISHING and not item[0].startswith("chapar::")
    )
    return (
        *cells,
        *(item for column, texts in choice.texts.items() if column != "label" for item in texts.items()),
    )


def unused_lists(design: Design) -> Iterator[Spot]:
    """Yield lists that no question names."""
    used = {question.list_name for question in design.questions if not question.is_file}
    cells = [cell for question in design.questions for cell in question.entry.cells.values()]
    mentions = " ".join(
        cell for cell in cells if "instance(" in cell or "tick_labelset" in cell or "search(" in cell
    )
    for name, chosen in design.choices.items():
        is_mentioned = (
            f"'{name}'" in mentions or f'"{name}"' in mentions or f"tick_labelset={name}" in mentions
        )
        if name not in used and not is_mentioned:
            message = f"No question uses the list “{name}”."
            yield chosen[0].spot("list_name", message, "Use it, or remove its rows.", name)


def unused_choices(design: Design) -> Iterator[Spot]:
    """Yield choices that the filters of all questions with this list keep away."""
    by_list: dict[str, list[Question]] = {}
    for question in design.questions:
        if question.is_select and not question.is_file:
            by_list.setdefault(question.list_name, []).append(question)
    for name, questions in by_list.items():
        if name not in design.choices or any(not each.entry["choice_filter"] for each in questions):
            continue
        shown = {choice.row for question in questions for choice in offered(design, question)}
        for choice in design.choices[name]:
            if choice.row not in shown:
                message = f"The filters of all questions with the list “{name}” leave this choice out."
                yield choice.spot(
                    "name", message, "Correct the filter or the choice's columns, or remove it."
                )


RULES = (
    Rule("choice-without-name", Severity.ERROR, "Every choice has a code.", nameless),
    Rule("choice-name-blank", Severity.ERROR, "Codes of a select_multiple hold no blanks.", blanks_in_names),
    Rule(
        "choice-duplicate-name",
        Severity.ERROR,
        "The codes of a list differ from one another.",
        duplicate_names,
    ),
    Rule("choice-duplicate-label", Severity.WARNING, "Choices of a list read differently.", duplicate_labels),
    Rule("list-unused", Severity.WARNING, "Every list is used by a question.", unused_lists),
    Rule("choice-unused", Severity.HINT, "Every choice can be shown by a question.", unused_choices),
)

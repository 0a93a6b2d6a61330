"""Rules about repeats: rows that vanish, rows that cannot be told apart after an edit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forms.check.design import Design, Question
from forms.check.expressions import references, sources
from forms.check.finding import Rule, Severity, Spot

YES = frozenset({"yes", "true", "true()", "1"})


def can_shrink(design: Design) -> Iterator[Spot]:
    """Yield counts that come from an answer which can be lowered: the last rows are lost without a question."""
    for repeat in _repeats(design):
        names = references(repeat.entry["repeat_count"])
        lowered = [
            each for each in sources(design, names).values() if each.is_asked and not _is_held(each, repeat)
        ]
        if lowered and not repeat.entry["chapar::why"]:
            asked = ", ".join(f"${{{each.name}}}" for each in sorted(lowered, key=lambda each: each.order))
            yield repeat.entry.spot(
                "repeat_count",
                f"When {asked} is lowered, the last rows of “{repeat.name}” and their answers are lost.",
                "Leave the count blank and compare it in a note; or say in chapar::why why it must be counted.",
            )


def _is_held(question: Question, repeat: Question) -> bool:
    """Return whether the question's constraint keeps it at least at the number of rows."""
    held = rf"\.\s*>=\s*count\(\s*\$\{{\s*{re.escape(repeat.name)}\s*\}}\s*\)"
    return re.search(held, question.entry["constraint"]) is not None


def without_key(design: Design) -> Iterator[Spot]:
    """Yield repeats whose rows have no identity, in a form that can be edited after it was sent."""
    is_editable = design.settings["client_editable"].lower() in YES
    for repeat in _repeats(design):
        updated = [each for each in design.questions if "U" in each.flags and repeat.name in each.repeats]
        if not repeat.entry["chapar::key"] and (is_editable or updated):
            reason = "The form may be edited" if is_editable else f"${{{updated[0].name}}} may be updated"
            yield repeat.entry.spot(
                "name",
                f"{reason}, and the rows of “{repeat.name}” have no key: two edits cannot be joined row by row.",
                "Add a calculate with once(uuid()) to the repeat, and its name here in chapar::key.",
            )


def _repeats(design: Design) -> Iterator[Question]:
    return (question for question in design.questions if question.kind == "begin_repeat")


RULES = (
    Rule(
        "repeat-can-shrink",
        Severity.WARNING,
        "A repeat_count does not come from an answer that can be lowered.",
        can_shrink,
    ),
    Rule(
        "repeat-without-key",
        Severity.WARNING,
        "Repeats of a form that may be edited have a chapar::key.",
        without_key,
    ),
)

"""Rules about answering: “none” stands alone, and nobody is forced to tell.

Source: section 0 of the questionnaires.
"""

from __future__ import annotations

from collections.abc import Iterator

from forms.check.choices import offered
from forms.check.design import Design
from forms.check.finding import Rule, Severity, Spot

NONE = frozenset({"none", "no_one", "nobody", "nothing", "none_of_these", "none_of_the_above"})
WAY_OUT = frozenset(
    {"dont_know", "do_not_know", "dk", "unknown", "not_known", "unsure", "not_sure"}
    | {
        "no_contact",
        "prefer_not",
        "prefer_not_to_say",
        "prefer_not_to_answer",
        "pns",
        "refused",
        "refuse",
        "no_answer",
    }
)
YES = frozenset({"yes", "true", "true()"})


def none_not_alone(design: Design) -> Iterator[Spot]:
    """Yield questions that take “none” together with other choices."""
    for question in design.questions:
        if question.kind != "select_multiple":
            continue
        for choice in offered(design, question):
            if choice.name in NONE and choice.name not in question.entry["constraint"]:
                code = choice.name
                yield question.entry.spot(
                    "constraint",
                    f"“{code}” can be chosen together with other choices.",
                    f"Write the constraint not(selected(., '{code}') and count-selected(.) > 1).",
                )


def no_way_out(design: Design) -> Iterator[Spot]:
    """Yield sensitive questions that must be answered and offer no “don't know” or “prefer not to say”."""
    for question in design.questions:
        is_closed = question.is_select and not question.is_file and question.list_name in design.choices
        if not is_closed or "S" not in question.flags or question.entry["required"].lower() not in YES:
            continue
        if not any(choice.name.lower() in WAY_OUT for choice in offered(design, question)):
            yield question.entry.spot(
                "required",
                "A sensitive question must be answered, and its list has no way out.",
                f"Add dont_know or prefer_not to the list “{question.list_name}”, or do not require it.",
            )


RULES = (
    Rule("none-not-exclusive", Severity.WARNING, "“None” excludes every other choice.", none_not_alone),
    Rule(
        "no-way-out",
        Severity.WARNING,
        "A required select flagged S offers dont_know or prefer_not.",
        no_way_out,
    ),
)

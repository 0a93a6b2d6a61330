"""Try a form: let made-up respondents fill it, and say what none of them met and how long it takes.

First respondents of chance. Then, for each question that none reached and each choice that none gave, further
ones who are steered towards it (`forms.trial_bench`), before it is called unreachable.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from forms.fill import NO_ANSWERS
from forms.fill_form import TabletForm
from forms.schema import Field, FieldType, FormSchema
from forms.trial_bench import Answers, Bench, questions
from forms.trial_gates import Gates

SECONDS: Mapping[FieldType, int] = {
    FieldType.STRING: 30,
    FieldType.SELECT_ONE: 15,
    FieldType.SELECT_MULTIPLE: 30,
    FieldType.RANK: 40,
    FieldType.INT: 12,
    FieldType.DECIMAL: 15,
    FieldType.DATE: 15,
    FieldType.TIME: 12,
    FieldType.DATETIME: 20,
    FieldType.GEOPOINT: 30,
    FieldType.GEOTRACE: 120,
    FieldType.GEOSHAPE: 120,
    FieldType.BINARY: 40,
    FieldType.BARCODE: 10,
}
"""Asking, understanding and tapping, by type. Our assumption, not measured in the field: docs/trying.md."""
SECONDS_OTHER = 10
"""A note read out, an acknowledgement, and whatever type is not named."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """A question, group or repeat that no respondent reached, though what is around it was.

    questions: inside it, itself included. steered: of all respondents, those who were steered towards it.
    """

    path: str
    questions: int
    steered: int


@dataclass(frozen=True, slots=True)
class Unsatisfied:
    """A question for which respondents found no allowed answer: required, or never answered by anybody.

    asked, stuck: respondents.
    """

    path: str
    asked: int
    stuck: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out. respondents: of chance. steered: further ones. unsettled: whose form ran in circles.

    unchosen: path → choices of the form's own list that nobody gave, though respondents were steered towards each.
    duration_median_s, duration_90_s: of the respondents of chance, estimated by `SECONDS`.
    """

    respondents: int
    steered: int
    unreached: tuple[Unreached, ...]
    unsatisfied: tuple[Unsatisfied, ...]
    unsettled: int
    unchosen: Mapping[str, tuple[str, ...]]
    duration_median_s: float
    duration_90_s: float

    @property
    def passed(self) -> bool:
        """Whether every question can be reached and answered, and the logic settles."""
        return not (self.unreached or self.unsatisfied or self.unsettled)


def try_form(
    form: TabletForm,
    count: int,
    *,
    now: datetime,
    chance: random.Random,
    given: Mapping[str, str] = NO_ANSWERS,
) -> Trial:
    """Return what `count` made-up respondents, and those steered after them, met in the form.

    count: at least 1. now, chance: as for `forms.fill.fill`. given: path → answer of the respondents of chance.
    Raises FormError when an expression cannot be evaluated.
    """
    assert count > 0, "somebody has to fill the form"
    bench = Bench(form, now, chance, Gates(form))
    durations = sorted(seconds(form.schema, bench.take(given)) for _ in range(count))
    tried = bench.steer_to_questions()
    bench.steer_to_answers()
    unchosen = bench.steer_to_choices()
    return Trial(
        respondents=count,
        steered=bench.count - count,
        unreached=tuple(
            Unreached(node.path, len(questions(form, node)), tried[node.path]) for node in bench.unreached()
        ),
        unsatisfied=tuple(
            Unsatisfied(question.path, bench.asked[question.path], bench.stuck[question.path])
            for question in form.schema.fields
            if question.path in bench.stuck
        ),
        unsettled=bench.unsettled,
        unchosen=unchosen,
        duration_median_s=median(durations),
        duration_90_s=durations[math.ceil(0.9 * count) - 1],
    )


def seconds(schema: FormSchema, answers: Answers) -> int:
    """Return how long a person needs for these answers, by the assumption of `SECONDS`."""
    asked = ((schema.by_path.get(path), text) for path, text in answers)
    return sum(_seconds(question, text) for question, text in asked if isinstance(question, Field))


def _seconds(question: Field, text: str) -> int:
    if not question.control or not (text or question.readonly):
        return 0
    shown = question.readonly or question.control == "trigger"
    return SECONDS_OTHER if shown else SECONDS.get(question.type, SECONDS_OTHER)

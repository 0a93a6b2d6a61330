"""How long the form takes: a rough sum over its questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from forms.check.design import Design, Question
from forms.check.finding import Rule, Severity, Spot

SECONDS = {
    "select_one": 10,
    "select_multiple": 20,
    "rank": 30,
    "text": 25,
    "note": 8,
    "image": 30,
    "audio": 45,
    "video": 45,
    "geopoint": 30,
    "geotrace": 120,
    "geoshape": 120,
}
"""Our assumption, read aloud and translated at a crossing; not measured. A trial in the field replaces it."""
OTHERWISE_SECONDS = 12


def estimate(design: Design) -> Iterator[Spot]:
    """Yield one hint with the minutes that the form takes when every question is asked once."""
    counted = Counter(_kind(question) for question in design.questions if _takes_time(question))
    if not counted:
        return
    minutes = sum(count * SECONDS.get(kind, OTHERWISE_SECONDS) for kind, count in counted.items()) / 60
    questions = ", ".join(f"{count} {kind}" for kind, count in counted.most_common())
    yield Spot(
        f"About {max(1, round(minutes))} min if every question is asked and every repeat has one row"
        f" ({questions}).",
        f"Assumed: {', '.join(f'{kind} {s} s' for kind, s in list(SECONDS.items())[:4])}, others"
        f" {OTHERWISE_SECONDS} s or more. Try the form with people.",
    )


def _takes_time(question: Question) -> bool:
    return question.is_asked or question.kind == "note"


def _kind(question: Question) -> str:
    return question.kind.split()[0]


RULES = (Rule("duration", Severity.HINT, "How long an interview takes is known.", estimate),)

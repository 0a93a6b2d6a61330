"""Rules about the tablet app: what it cannot do yet, or shows plainly, while ODK Collect does it.

The app's engine is @getodk/xforms-engine 0.22; what that lacks was read from its source and release notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from forms.check.design import Design
from forms.check.finding import Rule, Severity, Spot

KINDS = {
    "barcode": "scans no barcodes",
    "background-audio": "records no sound in the background",
    "audit": "keeps no audit log",
    "background-geopoint": "takes no position in the background",
}
APPEARANCES = re.compile(
    r"\b(draw|annotate|signature|image-map|bearing|counter|printer|picker|new-front|new|quick|ex:\S+)\b(?!-)"
)
LATER = re.compile(r"\$\{\s*last-saved#|\bintersects\s*\(|jr://instance/last-saved")
ELSEWHERE = "Use ODK Collect for this form, or do without."


def unsupported_kinds(design: Design) -> Iterator[Spot]:
    """Yield question types that the app does not know."""
    for question in design.questions:
        if lacking := KINDS.get(question.kind):
            yield question.entry.spot("type", f"The tablet app {lacking}.", ELSEWHERE)


def unsupported_appearances(design: Design) -> Iterator[Spot]:
    """Yield appearances that the app leaves aside."""
    for question in design.questions:
        if found := APPEARANCES.search(question.entry["appearance"]):
            message = f"The tablet app leaves “{found[1]}” aside and shows the question plainly."
            yield question.entry.spot("appearance", message, "Make sure that it can be answered so.")


def unsupported_logic(design: Design) -> Iterator[Spot]:
    """Yield expressions and settings that the app does not know."""
    for question in design.questions:
        for column, text in question.entry.cells.items():
            if LATER.search(text):
                yield question.entry.spot(
                    column, "The tablet app knows neither last-saved nor intersects().", ELSEWHERE
                )
    if design.settings["public_key"]:
        message = "The tablet app does not seal submissions to a public key."
        yield design.settings.spot("public_key", message, ELSEWHERE, "")
    for entity in design.entities[:1]:
        message = "The tablet app does not yet update entity lists while it is offline."
        yield entity.spot("list_name", message, "New cases are listed after the next exchange with the post.")


RULES = (
    Rule("tablet-type", Severity.HINT, "The tablet app can show every type of question.", unsupported_kinds),
    Rule(
        "tablet-appearance",
        Severity.HINT,
        "The tablet app can draw every appearance.",
        unsupported_appearances,
    ),
    Rule("tablet-feature", Severity.HINT, "The tablet app can do all that the form does.", unsupported_logic),
)

"""What can change between two versions of a form, and what each change does to the answers collected so far.

safe: nothing. lossy: every answer stays stored and exported, but some no longer fit the form; worth a look.
breaking: answers of one question would fall apart, be misread or be shown; to be accepted one by one.
`docs/versions.md` explains each rule; `forms.evolve` finds the changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a change does to the answers collected so far."""

    SAFE = "safe"
    LOSSY = "lossy"
    BREAKING = "breaking"


class Touches(StrEnum):
    """Which stored records a change concerns; NONE when it concerns none."""

    NONE = "none"
    ANSWERED = "an answer to the question"
    UNANSWERED = "no answer to the question"
    CHOSEN = "one of the choices chosen"
    REFUSED = "an answer that the new constraint refuses"
    HIDDEN = "an answer that the new relevance hides"
    ALL = "this form"


@dataclass(frozen=True, slots=True)
class Rule:
    """effect: of every change found by this rule. touches: the records to count."""

    effect: Effect
    touches: Touches = Touches.NONE


RULES: Mapping[str, Rule] = {
    "form-id-changed": Rule(Effect.BREAKING, Touches.ALL),
    "question-added": Rule(Effect.SAFE),
    "question-removed": Rule(Effect.LOSSY, Touches.ANSWERED),
    "renamed": Rule(Effect.SAFE, Touches.ANSWERED),
    "looks-renamed": Rule(Effect.BREAKING, Touches.ANSWERED),
    "question-moved": Rule(Effect.SAFE, Touches.ANSWERED),
    "repeat-crossed": Rule(Effect.BREAKING, Touches.ANSWERED),
    "repeat-added": Rule(Effect.SAFE),
    "repeat-removed": Rule(Effect.LOSSY, Touches.ANSWERED),
    "repeat-moved": Rule(Effect.SAFE, Touches.ANSWERED),
    "key-added": Rule(Effect.LOSSY, Touches.ANSWERED),
    "key-changed": Rule(Effect.BREAKING, Touches.ANSWERED),
    "type-widened": Rule(Effect.SAFE, Touches.ANSWERED),
    "type-to-text": Rule(Effect.LOSSY, Touches.ANSWERED),
    "type-changed": Rule(Effect.BREAKING, Touches.ANSWERED),
    "choice-added": Rule(Effect.SAFE),
    "choice-removed": Rule(Effect.LOSSY, Touches.CHOSEN),
    "choice-renamed": Rule(Effect.LOSSY, Touches.CHOSEN),
    "choice-relabelled": Rule(Effect.SAFE),
    "choice-file-changed": Rule(Effect.LOSSY, Touches.ANSWERED),
    "constraint-changed": Rule(Effect.LOSSY, Touches.REFUSED),
    "constraint-removed": Rule(Effect.SAFE),
    "required-added": Rule(Effect.LOSSY, Touches.UNANSWERED),
    "required-removed": Rule(Effect.SAFE),
    "relevant-changed": Rule(Effect.LOSSY, Touches.HIDDEN),
    "calculation-changed": Rule(Effect.LOSSY, Touches.ANSWERED),
    "protection-removed": Rule(Effect.BREAKING, Touches.ANSWERED),
    "protection-added": Rule(Effect.SAFE, Touches.ANSWERED),
    "label-changed": Rule(Effect.SAFE),
    "language-added": Rule(Effect.SAFE),
    "language-removed": Rule(Effect.LOSSY),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions.

    path: in the older version, of what is added in the newer; `/` for the form. new_path: in the newer, "" when gone.
    names: the choices concerned.
    """

    rule: str
    path: str
    new_path: str
    message: str
    fix: str
    names: tuple[str, ...] = ()

    @property
    def effect(self) -> Effect:
        return RULES[self.rule].effect

    @property
    def touches(self) -> Touches:
        return RULES[self.rule].touches

    @property
    def key(self) -> str:
        """What `--accept` takes."""
        return f"{self.rule}:{self.path}"

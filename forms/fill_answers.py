"""Which answers a made-up respondent tries, and which of them Collect would let pass.

Candidates are drawn within the bounds that the constraint shows (`forms.fill_bounds`) and then held against the
whole of it. The instance is walked in `forms.fill`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from lxml import etree

from forms import fill_files, fill_values
from forms.fill_bounds import Bounds, bounds, pattern
from forms.fill_pattern import example
from forms.schema import Field, FieldType
from forms.xpath import Environment, boolean, compile_expression, nodes
from forms.xpath_parser import Path, walk
from forms.xpath_values import Value, number_text, text_of

TRIES_MAX = 40


class NoAnswerError(Exception):
    """A question to which no allowed answer was found."""


@dataclass
class Respondent:
    """Who answers. ranges: path → start, end, step. files: photographs and sounds taken so far, by name."""

    environment: Environment
    started: datetime
    ranges: Mapping[str, tuple[float, float, float]]
    files: dict[str, bytes]
    whole_lists: dict[str, list[str]] = field(default_factory=dict)

    def search(self, question: Field, element: etree._Element) -> str:
        """Return the first candidate that is allowed; "" when there was nothing to choose from.

        `element`'s text is left changed. Raises NoAnswerError when every candidate was refused, or when a
        required question has none.
        """
        tried = False
        for candidate in self.candidates(question, element):
            tried, element.text = True, candidate
            if self.allowed(question, element):
                return candidate
        if tried or self.required(question, element):
            raise NoAnswerError
        return ""

    def allowed(self, question: Field, element: etree._Element) -> bool:
        """Whether Collect would let the person go on with what stands in the node."""
        if not element.text:
            return not self.required(question, element)
        if question.choices is not None and not self.listed(question, element):
            return False
        return not question.constraint or boolean(question.constraint, element, self.environment)

    def required(self, question: Field, element: etree._Element) -> bool:
        return bool(question.required) and boolean(question.required, element, self.environment)

    def listed(self, question: Field, element: etree._Element) -> bool:
        several = question.type in {FieldType.SELECT_MULTIPLE, FieldType.RANK}
        names = (element.text or "").split() if several else [element.text or ""]
        return set(names) <= set(self.options(question, element))

    def options(self, question: Field, element: etree._Element) -> list[str]:
        """The answers that the list offers here and now."""
        choices = question.choices
        if choices is None or not choices.nodeset:
            return [choice.name for choice in choices.choices] if choices else []
        known = self.whole_lists.get(choices.nodeset)
        if known is not None:
            return known
        column = "{*}" + choices.value_ref
        found = nodes(choices.nodeset, element, self.environment)
        names = [name for item in found if (name := item.findtext(column))]
        if not is_filtered(choices.nodeset):
            self.whole_lists[choices.nodeset] = names
        return names

    def candidates(self, question: Field, element: etree._Element) -> Iterator[str]:
        """Yield answers to try, the likeliest first; `element`'s text may change on the way."""
        match question.type:
            case _ if question.choices is not None:
                yield from self.selections(question, self.options(question, element))
            case _ if question.path in self.ranges:
                start, end, step = self.ranges[question.path]
                for _ in range(TRIES_MAX):
                    picked = start + step * self.environment.random.randint(
                        0, int((end - start) / step + 1e-9)
                    )
                    yield spell_value(float(picked), question.type)
            case FieldType.INT | FieldType.DECIMAL | FieldType.DATE | FieldType.TIME | FieldType.DATETIME:
                yield from self.measures(question, element)
            case FieldType.GEOPOINT:
                yield fill_values.point(self.environment.random)
            case FieldType.GEOTRACE | FieldType.GEOSHAPE:
                yield fill_values.trace(self.environment.random, closed=question.type is FieldType.GEOSHAPE)
            case FieldType.BINARY:
                yield from self.recordings(question)
            case _ if question.control == "trigger":
                yield "OK"
            case FieldType.STRING | FieldType.BARCODE:
                yield from self.texts(question, element)

    def selections(self, question: Field, names: list[str]) -> Iterator[str]:
        shuffled = self.environment.random.sample(names, len(names))
        if question.type is FieldType.RANK:
            yield from [" ".join(shuffled)] if names else []
            return
        if question.type is FieldType.SELECT_MULTIPLE and names:
            for _ in range(TRIES_MAX):
                yield fill_values.subset(names, self.environment.random)
        yield from shuffled

    def measures(self, question: Field, element: etree._Element) -> Iterator[str]:
        kind = question.type

        def spell(value: float) -> str:
            return fill_values.spelled(kind, value, self.environment.now)

        within = self.within(question, element, spell, fill_values.STEP[kind])
        for _ in range(TRIES_MAX):
            yield spell(fill_values.drawn(kind, within, self.environment.now, self.environment.random))

    def within(
        self, question: Field, element: etree._Element, spell: Callable[[float], str], step: float
    ) -> Bounds:
        if not question.constraint:
            return Bounds()
        return bounds(question.constraint, element, self.environment, spell, step)

    def texts(self, question: Field, element: etree._Element) -> Iterator[str]:
        known = pattern(question.constraint) if question.constraint else ""
        if known:
            try:
                for _ in range(TRIES_MAX):
                    yield example(known, self.environment.random)
            except ValueError:
                pass
        length = self.within(question, element, lambda size: "x" * int(size), 1.0)
        for _ in range(TRIES_MAX):
            scanned = question.type is FieldType.BARCODE
            text = (
                fill_values.code(self.environment.random)
                if scanned
                else fill_values.prose(self.environment.random, question)
            )
            yield fill_values.fitted(text, length, self.environment.random)

    def recordings(self, question: Field) -> Iterator[str]:
        """Take a photograph or a sound; the name is the moment in milliseconds, as Collect names it."""
        if question.mediatype.startswith("image"):
            suffix, data = "jpg", fill_files.jpeg(self.environment.random)
        elif question.mediatype.startswith("audio"):
            suffix, data = "wav", fill_files.wav(self.environment.random)
        else:
            return
        taken = self.started + (self.environment.now - self.started) * self.environment.random.random()
        name = f"{int(taken.timestamp() * 1000)}.{suffix}"
        self.files[name] = data
        yield name


def is_asked(question: Field, element: etree._Element, environment: Environment) -> bool:
    """Whether a person can answer the question on the screen."""
    return bool(question.control) and not (
        question.readonly and boolean(question.readonly, element, environment)
    )


@lru_cache(maxsize=1024)
def is_filtered(nodeset: str) -> bool:
    """Whether a list offers other answers here and there. Raises XPathError."""
    parts = walk(compile_expression(nodeset).tree)
    return any(step.predicates for part in parts if isinstance(part, Path) for step in part.steps)


def spell_value(value: Value, kind: FieldType) -> str:
    """Return a calculated value as JavaRosa writes it into a node of that type (IAnswerData.wrapData)."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        value = text_of(value[0]) if value else ""
    if isinstance(value, str):
        return value[:10] if kind is FieldType.DATE else value
    if math.isnan(value):
        return ""
    return str(int(value)) if kind is FieldType.INT else number_text(value)

"""Which answers decide whether a question is asked: read out of its expressions, to steer a respondent towards it.

A hint, not a proof: the values that an expression compares an answer with are worth trying. Read by `forms.trial`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from forms.dependence import target
from forms.fill_form import TabletForm
from forms.schema import Field, FieldType, Node, Repeat
from forms.xpath import compile_expression
from forms.xpath_parser import Binary, Call, Expr, Literal, walk
from forms.xpath_values import number_text

Candidates = Mapping[str, frozenset[str]]
"""Path of a question → values that an expression compares its answer with; often empty."""

COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
DRAWN_SHARE = 0.75
"""How often a question gets one of its candidates, not an answer of chance."""


@dataclass
class Gates:
    """What stands before each question of one form; read once, as it is asked for."""

    form: TabletForm
    known: dict[str, Candidates] = field(default_factory=dict)

    def own(self, node: Node) -> Candidates:
        """Return the answers that the node's own relevance (or count of rows) depends on, through calculations."""
        if node.path not in self.known:
            sources = [node.relevant, node.count if isinstance(node, Repeat) else ""]
            self.known[node.path] = self._behind(sources, node.path)
        return self.known[node.path]

    def above(self, path: str) -> Candidates:
        """Return the answers on which every group and repeat around a path depends."""
        found: dict[str, frozenset[str]] = {}
        while path := path.rpartition("/")[0]:
            _join(found, self.own(self.form.schema.by_path[path]))
        return found

    def filtering(self, question: Field) -> Candidates:
        """Return the answers that the list of a select is filtered by."""
        nodeset = question.choices.nodeset if question.choices else ""
        return self._behind([nodeset], question.path)

    def _behind(self, sources: list[str], here: str) -> Candidates:
        found: dict[str, frozenset[str]] = {}
        waiting = [(source, here) for source in sources if source]
        seen = {here}
        while waiting:
            source, path = waiting.pop()
            for other, values in self._compared(source, path):
                _join(found, {other: values})
                node = self.form.schema.by_path[other]
                if other not in seen and isinstance(node, Field) and node.calculate:
                    waiting.append((node.calculate, other))
                seen.add(other)
        return found

    def _compared(self, source: str, here: str) -> Iterator[tuple[str, frozenset[str]]]:
        for part in walk(compile_expression(source).tree):
            compares = (isinstance(part, Binary) and part.operator in COMPARISONS) or (
                isinstance(part, Call) and part.name == "selected"
            )
            inside = list(walk(part)) if compares else [part]
            values = frozenset(value for each in inside for value in _values(each))
            for each in inside:
                path = target(each, here)
                if isinstance(self.form.schema.by_path.get(path), Field):
                    yield path, values


def draw(form: TabletForm, candidates: Candidates, chance: random.Random) -> dict[str, str]:
    """Return an answer for most of the questions, drawn from their candidates."""
    drawn = {}
    for path, values in sorted(candidates.items()):
        question = form.schema.by_path[path]
        if values and chance.random() < DRAWN_SHARE:
            listed = sorted(values)
            several = isinstance(question, Field) and question.type is FieldType.SELECT_MULTIPLE
            picked = chance.sample(listed, chance.randint(1, len(listed)) if several else 1)
            drawn[path] = " ".join(picked)
    return drawn


def _join(found: dict[str, frozenset[str]], more: Candidates) -> None:
    for path, values in more.items():
        found[path] = found.get(path, frozenset()) | values


def _values(expr: Expr) -> Iterator[str]:
    """Yield a literal as answers to try; a number with its neighbours, for `<` and `>`."""
    match expr:
        case Literal(value=str() as text) if text:
            yield text
        case Literal(value=float() as number):
            yield from (number_text(number + step) for step in (-1.0, 0.0, 1.0))
        case _:
            pass

"""Walk a form in its order as ODK Collect does, again and again until nothing changes any more.

Relevance decides what is there, lists and constraints what is answered, calculations follow. One walk serves a new
instance and an edit alike: whatever stands and is allowed, stays. Answers come from `forms.fill_answers`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from forms.fill_answers import NoAnswerError, Respondent, is_asked, spell_value
from forms.fill_form import TabletForm
from forms.schema import Field, FieldType, Group, Node, Repeat
from forms.xpath import boolean, compile_expression, evaluate, nodes, number
from forms.xpath_values import iso

WALKS_MAX = 12
ROWS_MAX = 200
ROW_WEIGHTS = (30, 28, 18, 11, 7, 4, 2)
"""How often an enumerator adds 0, 1, … 6 rows to a repeat that counts nothing."""
BLANK_SHARE = 0.25
DEFAULT_KEPT_SHARE = 0.5


@dataclass
class Walk:
    """One filling under way: the instance and what was found out on the way.

    given: path → answer to take where it is asked and allowed. stamps: preload → what it always writes.
    rows_stand: no row is added to a repeat that counts nothing. changed: by the last walk.
    unsatisfied: paths of questions without an allowed answer.
    """

    form: TabletForm
    root: etree._Element
    respondent: Respondent
    given: Mapping[str, str]
    stamps: Mapping[str, str]
    rows_stand: bool = False
    changed: bool = False
    unsatisfied: list[str] = field(default_factory=list)
    rows_wanted: dict[tuple[etree._Element, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = self.respondent.environment
        self.chance = self.environment.random

    def settle(self) -> None:
        """Walk the form until nothing changes any more."""
        for _ in range(WALKS_MAX):
            self.changed = False
            self.unsatisfied = []
            self.visit_all(self.form.schema.children, self.root)
            if not self.changed:
                return

    def visit_all(self, children: tuple[Node, ...], parent: etree._Element) -> None:
        at = 0
        for node in children:
            if isinstance(node, Repeat):
                at = self.visit_repeat(node, parent, at)
            else:
                at = self.visit(node, parent, at)

    def visit(self, node: Field | Group, parent: etree._Element, at: int) -> int:
        """Bring the node at position `at` in order; return the position after it."""
        element = parent[at] if at < len(parent) and parent[at].tag == node.name else None
        fresh = element is None
        if element is None:
            element = etree.Element(node.name)
            parent.insert(at, element)
        if not self.relevant(node, element):
            parent.remove(element)
            self.changed |= not fresh
            return at
        self.changed |= fresh
        self.set_attributes(node, element, fresh=fresh)
        if isinstance(node, Group):
            self.visit_all(node.children, element)
        else:
            self.visit_field(node, element, fresh=fresh)
        return at + 1

    def relevant(self, node: Node, element: etree._Element) -> bool:
        return not node.relevant or boolean(node.relevant, element, self.environment)

    def visit_repeat(self, repeat: Repeat, parent: etree._Element, at: int) -> int:
        rows: list[etree._Element] = []
        while at + len(rows) < len(parent) and parent[at + len(rows)].tag == repeat.name:
            rows.append(parent[at + len(rows)])
        wanted = self.wanted_rows(repeat, parent, at, len(rows))
        self.changed |= wanted != len(rows)
        for row in rows[wanted:]:
            parent.remove(row)
        for position in range(len(rows), wanted):
            parent.insert(at + position, etree.Element(repeat.name))
        for position in range(at, at + wanted):
            self.visit_all(repeat.children, parent[position])
        return at + wanted

    def wanted_rows(self, repeat: Repeat, parent: etree._Element, at: int, present: int) -> int:
        """How many rows there have to be: none, as many as counted, or as many as the enumerator felt like."""
        probe = etree.Element(repeat.name)
        parent.insert(at, probe)
        relevant = self.relevant(repeat, probe)
        count = number(repeat.count, probe, self.environment) if repeat.count and relevant else 0.0
        parent.remove(probe)
        if not relevant:
            return 0
        if repeat.count:
            return 0 if math.isnan(count) else min(ROWS_MAX, max(0, int(count)))
        if self.rows_stand:
            return present
        key = (parent, repeat.path)
        if key not in self.rows_wanted:
            self.rows_wanted[key] = self.chance.choices(range(len(ROW_WEIGHTS)), ROW_WEIGHTS)[0]
        return self.rows_wanted[key]

    def set_attributes(self, node: Field | Group, element: etree._Element, *, fresh: bool) -> None:
        """Fill the attributes of an entity: `dataset`, `id`, `create`, …."""
        for name, default in self.form.leaf_attributes.get(node.path, {}).items():
            expression = self.form.attribute_calculations.get((node.path, name), "")
            if fresh:
                expression = expression or self.form.attribute_defaults.get((node.path, name), "")
                element.set(name, default)
            if expression:
                element.set(
                    name, spell_value(evaluate(expression, element, self.environment), FieldType.STRING)
                )

    def visit_field(self, question: Field, element: etree._Element, *, fresh: bool) -> None:
        if fresh:
            element.text = self.initial(question, element) or None
        if question.preload in self.stamps:
            self.write(question, element, self.stamps[question.preload])
            return
        if question.calculate:
            if fresh or not compile_expression(question.calculate).volatile:
                value = evaluate(question.calculate, element, self.environment)
                self.write(question, element, spell_value(value, question.type))
            return
        if not is_asked(question, element, self.environment):
            return
        prefilled = element.text is not None
        kept = not fresh or (prefilled and self.chance.random() < DEFAULT_KEPT_SHARE)
        if question.path in self.given and fresh:
            element.text, kept = self.given[question.path], True
        if not (kept and self.respondent.allowed(question, element)):
            self.answer(question, element, may_skip=fresh and not prefilled)

    def write(self, question: Field, element: etree._Element, text: str) -> None:
        """Set an answer and run what the form does when it changes."""
        if (element.text or "") == text:
            return
        element.text = text or None
        self.changed = True
        for path, expression in self.form.triggers.get(question.path, ()):
            for target in self.places(path, element):
                value = evaluate(expression, target, self.environment)
                target.text = spell_value(value, FieldType.STRING) or None

    def initial(self, question: Field, element: etree._Element) -> str:
        """What stands in the node before anybody answers: default, dynamic default, metadata."""
        for path, expression in self.form.triggered.get(question.path, ()):
            if any(source.text for source in self.places(path, element)):
                return spell_value(evaluate(expression, element, self.environment), question.type)
        if question.default_expression:
            return spell_value(
                evaluate(question.default_expression, element, self.environment), question.type
            )
        match question.preload.split(":", 1):
            case ["timestamp", "start"]:
                return iso(self.respondent.started)
            case ["date", "today"]:
                return self.respondent.started.date().isoformat()
            case ["property", name]:
                return self.environment.properties.get(name, "")
        return question.default

    def answer(self, question: Field, element: etree._Element, *, may_skip: bool) -> bool:
        """Write an answer that the form allows, or none; return whether one was found."""
        before = element.text or ""
        skipped = (
            may_skip
            and self.chance.random() < BLANK_SHARE
            and not self.respondent.required(question, element)
        )
        try:
            found = "" if skipped else self.respondent.search(question, element)
        except NoAnswerError:
            found = ""
            self.unsatisfied.append(row_path(element))
        element.text = before or None
        self.write(question, element, found)
        return bool(found)

    def asked(self) -> Iterator[tuple[Field, etree._Element]]:
        """Yield every question that is on the screens now, with its node."""
        yield from self.asked_in(self.form.schema.children, self.root)

    def asked_in(
        self, children: tuple[Node, ...], parent: etree._Element
    ) -> Iterator[tuple[Field, etree._Element]]:
        for node in children:
            for element in parent.iterchildren(node.name):
                if not isinstance(node, Field):
                    yield from self.asked_in(node.children, element)
                elif not node.calculate and is_asked(node, element, self.environment):
                    yield node, element

    def places(self, path: str, seen_from: etree._Element | None = None) -> list[etree._Element]:
        seen_from = self.root if seen_from is None else seen_from
        return nodes(f"/{self.form.schema.root}{path}", seen_from, self.environment)


def row_path(element: etree._Element) -> str:
    """Return where a node stands, without the root element, rows of repeats numbered: `/pna/member[2]/m_name`.

    Nodes without brothers of their name carry no number.
    """
    parts = []
    parent = element.getparent()
    while parent is not None:
        rows = list(parent.iterchildren(element.tag))
        parts.append(element.tag if len(rows) == 1 else f"{element.tag}[{rows.index(element) + 1}]")
        element, parent = parent, parent.getparent()
    return "/" + "/".join(reversed(parts))

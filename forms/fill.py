"""A made-up respondent who fills a form as ODK Collect would let a person fill it: for demonstrations and tests.

The form is walked in its order again and again until nothing changes: relevance decides what is there, lists and
constraints what is answered, calculations follow. One walk serves a new form and an edit alike.
Values come from `forms.fill_values`; the clock and all chance come in, so that the same seed gives the same bytes.
Source: openrosa wire behaviour of Collect 2026.3; entities and calculated truths (`1`, `0`) as JavaRosa writes them.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from lxml import etree

from forms import fill_files, xml
from forms.fill_answers import NoAnswerError, Respondent, is_asked, spell_value
from forms.fill_form import TabletForm
from forms.schema import Field, FieldType, Group, Node, Repeat
from forms.xpath import Environment, boolean, compile_expression, evaluate, nodes, number
from forms.xpath_values import iso

NO_ANSWERS: Mapping[str, str] = MappingProxyType({})
WALKS_MAX = 12
ROWS_MAX = 200
ROW_WEIGHTS = (30, 28, 18, 11, 7, 4, 2)
"""How often an enumerator adds 0, 1, … 6 rows to a repeat that counts nothing."""
BLANK_SHARE = 0.25
DEFAULT_KEPT_SHARE = 0.5


@dataclass(frozen=True)
class Tablet:
    """The device and who holds it: what the metadata questions are answered with."""

    device_id: str = "collect:made0up0device01"
    username: str = "enumerator"


@dataclass(frozen=True)
class FilledForm:
    """One instance as a tablet would send it.

    xml: the submission. files: attachments by name, `audit.csv` among them when the form asks for it.
    unsatisfied: paths of questions for which no allowed answer was found (`/pna/member[2]/m_nat`); blank in the XML.
    edited: paths that an edit changed on purpose. answered: questions with an answer.
    settled: False when the form's logic runs in circles and the last state is not consistent.
    """

    xml: bytes
    files: Mapping[str, bytes]
    instance_id: str
    unsatisfied: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    answered: int = 0
    settled: bool = True


def fill(
    form: TabletForm,
    *,
    now: datetime,
    chance: random.Random,
    tablet: Tablet = Tablet(),
    given: Mapping[str, str] = NO_ANSWERS,
) -> FilledForm:
    """Return a made-up instance that obeys the form's logic.

    now: aware; when the form is finished, in the tablet's zone. chance: the only source of variety.
    given: path → answer to take where the form asks it and allows it; in a repeat for every row.
    """
    root = etree.Element(form.schema.root, dict(form.attributes), dict(form.namespaces))
    pen = _Pen(form, root, now, chance, tablet, given)
    pen.settle()
    return pen.finish()


def edit(
    form: TabletForm,
    filled: FilledForm,
    *,
    now: datetime,
    chance: random.Random,
    tablet: Tablet = Tablet(),
) -> FilledForm:
    """Return `filled` after its sender opened it again and changed one to three answers.

    New instanceID, `deprecatedID` naming the old one, `end` and everything calculated anew; answers that the
    change made impossible are given again. Files are kept, as Collect keeps them.
    """
    root = xml.parse(filled.xml)
    for meta in root.iterchildren("meta"):
        for old in meta.findall("deprecatedID"):
            meta.remove(old)
    pen = _Pen(form, root, now, chance, tablet, NO_ANSWERS, rows_stand=True)
    pen.respondent.files.update(filled.files)
    edited = pen.change(chance.randint(1, 3))
    pen.settle()
    finished = pen.finish(deprecated=filled.instance_id)
    return replace(finished, edited=edited)


@dataclass
class _Pen:
    """One filling under way: the instance and what was found out on the way.

    rows_stand: no row is added to a repeat that counts nothing. changed: by the last walk.
    """

    form: TabletForm
    root: etree._Element
    now: datetime
    chance: random.Random
    tablet: Tablet
    given: Mapping[str, str]
    rows_stand: bool = False
    changed: bool = False
    unsatisfied: list[str] = field(default_factory=list)
    rows_wanted: dict[tuple[etree._Element, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.now - timedelta(seconds=self.chance.randint(240, 2400))
        properties = {"deviceid": self.tablet.device_id, "username": self.tablet.username}
        self.environment = Environment(
            self.now, self.chance, self.form.instances, self.form.choice_labels, properties
        )
        self.instance_id = f"uuid:{uuid.UUID(int=self.chance.getrandbits(128), version=4)}"
        self.stamps = {"timestamp:end": iso(self.now), "uid": self.instance_id}
        self.respondent = Respondent(self.environment, self.started, self.form.ranges, {})

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
                return iso(self.started)
            case ["date", "today"]:
                return self.started.date().isoformat()
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

    def change(self, wanted: int) -> tuple[str, ...]:
        """Answer up to `wanted` questions anew, differently; return their paths."""
        places = list(self.asked(self.form.schema.children, self.root))
        changed: list[str] = []
        for question, element in self.chance.sample(places, len(places)):
            if len(changed) == wanted:
                break
            before = element.text or ""
            for _ in range(3):
                if self.answer(question, element, may_skip=False) and element.text != before:
                    changed.append(row_path(element))
                    break
            else:
                self.write(question, element, before)
        return tuple(changed)

    def asked(
        self, children: tuple[Node, ...], parent: etree._Element
    ) -> Iterator[tuple[Field, etree._Element]]:
        """Yield every question that is on the screens now, with its node."""
        for node in children:
            for element in parent.iterchildren(node.name):
                if not isinstance(node, Field):
                    yield from self.asked(node.children, element)
                elif not node.calculate and is_asked(node, element, self.environment):
                    yield node, element

    def finish(self, deprecated: str = "") -> FilledForm:
        """Return what the tablet sends, with its identity, end time, audit log and only the files it names."""
        questions = list(self.asked(self.form.schema.children, self.root))
        if not deprecated:
            named = {element.text for _, element in questions}
            self.respondent.files = {
                name: data for name, data in self.respondent.files.items() if name in named
            }
        self.stamp(deprecated, [row_path(element) for _, element in questions])
        text = etree.tostring(self.root, encoding="unicode").replace("/>", " />")
        return FilledForm(
            xml=f"<?xml version='1.0' encoding='UTF-8' ?>{text}".encode(),
            files=MappingProxyType(self.respondent.files),
            instance_id=self.instance_id,
            settled=not self.changed,
            unsatisfied=tuple(self.unsatisfied),
            answered=sum(1 for _, element in questions if element.text),
        )

    def stamp(self, deprecated: str, paths: list[str]) -> None:
        """Write the instance's identity into `meta`, and the audit log if the form keeps one."""
        meta = self.root.find("meta")
        if meta is None:
            meta = etree.SubElement(self.root, "meta")
        named = meta.find("instanceID")
        if named is None:
            named = etree.SubElement(meta, "instanceID")
        named.text = self.instance_id
        if deprecated:
            etree.SubElement(meta, "deprecatedID").text = deprecated
        audit = meta.find("audit")
        if audit is not None:
            audit.text = "audit.csv"
            user = self.tablet.username if self.form.asks_user else None
            log = fill_files.audit(paths, self.started, self.now, user)
            before = self.respondent.files.get("audit.csv", b"")
            self.respondent.files["audit.csv"] = before + log[log.index(b"\n") + 1 :] if before else log

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

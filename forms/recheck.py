"""A merged document held against its form again: what it calculates, and which constraints its answers break.

Answers of different people meet here for the first time: no tablet has seen them together. Constraints count, and
the filters of choice lists. What cannot be evaluated (a list that is not here, a function of another tool) is left as
it is, and told. What a rule says of the moment or of chance is not asked again: only the tablet could tell.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from lxml import etree

from forms import values
from forms.cells import BLANK, Cell, Cells, is_row
from forms.dependence import referred, sources
from forms.errors import FormError
from forms.fill_answers import Respondent, is_filtered, spell_value
from forms.fill_form import TabletForm, prepare
from forms.schema import Field, FormSchema, Group, Node, Repeat
from forms.xpath import Evaluate, XPathError, boolean, compile_expression, compile_tree, evaluate
from forms.xpath_parser import Binary, Call, Literal, walk
from forms.xpath_values import Context, Environment, to_boolean

PASSES_MAX = 12
CHANGING = frozenset({"once", "now", "today", "uuid", "random"})
UNSTEADY = re.compile(rf"\b({'|'.join(sorted(CHANGING))})\s*\(")
"""A calculation that speaks of these says something of the moment it was made."""
LOOKUPS = frozenset({"instance", "pulldata"})
UNREADABLE = (XPathError, ArithmeticError, ValueError, IndexError)
"""What the evaluator raises at an expression or an answer that it was not made for."""

Stands = Callable[[str, frozenset[str]], bool]
"""Whether the value in a cell was calculated knowing all answers at these paths."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An answer that the form would not let pass. cell: of a select_multiple its field. paths: what the rule speaks of."""

    cell: str
    path: str
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rechecked:
    """calculated: what is to be shown instead; blank where nothing is. unread: paths with logic that cannot be evaluated."""

    calculated: Cells
    broken: tuple[Broken, ...]
    unread: tuple[str, ...]


class Recheck:
    """The logic of one form version, read once. missing: names of lists that are not here."""

    def __init__(self, form: TabletForm, missing: Iterable[str] = ()) -> None:
        schema = form.schema
        self._form = form
        self._missing = frozenset(name.rpartition(".")[0] for name in missing)
        come_from = sources(schema)
        self._sources = {
            field.path: come_from[field.path]
            for field in schema.fields
            if field.calculate and not field.control and not UNSTEADY.search(field.calculate)
        }
        self._spoken = {}
        for field in schema.fields:
            if rules := rules_of(field):
                spoken = referred(rules, field.path, schema)
                own = frozenset({field.path})
                self._spoken[field.path] = own.union(spoken, *(come_from.get(path, ()) for path in spoken))

    def run(self, cells: Cells, now: datetime, stands: Stands) -> Rechecked:
        """Return what changes in these cells, and what breaks. now: aware; the time that relevance may ask for."""
        chance = random.Random(0)  # noqa: S311  (never asked: what speaks of chance is left alone)
        return _Run(self, self._form, cells, self.environment(now, chance)).result(stands)

    def environment(self, now: datetime, chance: random.Random) -> Environment:
        """Return what expressions may see besides the answers. now: aware."""
        return Environment(now, chance, self._form.instances, self._form.choice_labels)

    def listed(self) -> Mapping[str, frozenset[str]]:
        """Return path → the answers that an attached list offers, of those that are here."""
        labels = self._form.choice_labels
        return {
            field.path: frozenset(labels[field.path])
            for field in self._form.schema.fields
            if field.choices and field.choices.file and labels[field.path]
        }

    def sources(self, path: str) -> frozenset[str] | None:
        """What the value at a path is calculated from; None when it is not to be calculated."""
        return self._sources.get(path)

    def spoken(self, path: str) -> frozenset[str] | None:
        """What the constraint and the list of the question at a path speak of, and what that is calculated from.

        None when it has neither.
        """
        return self._spoken.get(path)

    def is_readable(self, expression: str) -> bool:
        """Whether the lists that an expression speaks of are here. Raises XPathError."""
        return not self._missing or not any(
            isinstance(part, Call) and part.name in LOOKUPS and not self._missing.isdisjoint(_names(part))
            for part in walk(compile_expression(expression).tree)
        )


def recheck(schema: FormSchema, xform: bytes, lists: Mapping[str, bytes]) -> Recheck:
    """Return the logic of a form version. xform: the bytes that `schema` was read from. lists: attached ones, by name.

    When one cannot be read, none is taken: what speaks of any is left as it is.
    """
    missing = {name for name in schema.media if name not in lists}
    try:
        return Recheck(prepare(schema, xform, lists), missing)
    except FormError:
        return Recheck(prepare(schema, xform, {}), missing | lists.keys())


def rules_of(field: Field) -> list[str]:
    """The expressions that decide whether an answer is allowed."""
    nodeset = field.choices.nodeset if field.choices else ""
    try:
        filtered = nodeset if nodeset and is_filtered(nodeset) else ""
    except XPathError:
        filtered = ""
    return [rule for rule in (field.constraint, filtered) if rule]


@lru_cache(maxsize=1024)
def lasting(rule: str) -> tuple[Evaluate, ...]:
    """Return what a constraint demands whatever the time is. Raises XPathError.

    What it says of the moment (`. <= today()`, a window of days) only the tablet could tell: a record may come in days
    later.
    """
    parts, waiting = [], [compile_expression(rule).tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Binary) and part.operator == "and":
            waiting += [part.right, part.left]
        elif not any(isinstance(one, Call) and one.name in CHANGING for one in walk(part)):
            parts.append(compile_tree(part))
    return tuple(parts)


def _names(call: Call) -> set[str]:
    return {str(part.value) for part in call.arguments if isinstance(part, Literal)}


class _Spot(NamedTuple):
    """A question where it stands. is_asked: everything around it is relevant. is_whole: its repeat is one cell."""

    field: Field
    parent: etree._Element
    cell: str
    is_asked: bool
    is_whole: bool


class _Run:
    """One document as a tree that expressions can be evaluated in."""

    def __init__(self, logic: Recheck, form: TabletForm, cells: Cells, environment: Environment) -> None:
        self._logic = logic
        self._schema = form.schema
        self._cells = cells
        self._environment = environment
        self._respondent = Respondent(environment, environment.now, form.ranges, {})
        self._root = etree.Element(form.schema.root)
        self._rows: dict[etree._Element, str] = {}
        self._unread: dict[str, None] = {}
        self._plant()

    def result(self, stands: Stands) -> Rechecked:
        calculated: dict[str, Cell] = {}
        for _ in range(PASSES_MAX):
            if not self._calculate(calculated, stands):
                break
        broken = tuple(self._broken())
        return Rechecked(calculated, broken, tuple(self._unread))

    def _plant(self) -> None:
        containers = {"": self._root}

        def container(path: str) -> etree._Element:
            if path not in containers:
                above, _, name = path.rpartition("/")
                containers[path] = etree.SubElement(container(above), name.partition("[")[0])
                self._rows[containers[path]] = path
            return containers[path]

        for name, cell in self._cells.items():
            path, _, choice = name.partition("#")
            above, _, leaf = path.rpartition("/")
            if is_row(name):
                container(path)
            elif cell.is_whole:
                _grow(container(above), leaf, orjson.loads(cell.text))
            elif leaf[0] != "@":
                parent = container(above)
                found = parent.find(leaf) if choice else None
                element = etree.SubElement(parent, leaf) if found is None else found
                element.text = " ".join(filter(None, (element.text, cell.text)))

    def _spots(
        self, nodes: Iterable[Node], parent: etree._Element, cell: str, *, is_asked: bool, is_whole: bool
    ) -> Iterator[_Spot]:
        for node in nodes:
            here = cell if is_whole else f"{cell}/{node.name}"
            if isinstance(node, Field):
                yield _Spot(node, parent, here, is_asked, is_whole)
                continue
            branches = parent.findall(node.name)
            if isinstance(node, Group) and not branches:
                branches = [etree.SubElement(parent, node.name)]
            for branch in branches:
                asked = is_asked and self._is_relevant(node, branch)
                own = here if isinstance(node, Group) else self._rows.get(branch, here)
                whole = is_whole or (isinstance(node, Repeat) and branch not in self._rows)
                yield from self._spots(node.children, branch, own, is_asked=asked, is_whole=whole)

    def _all(self) -> list[_Spot]:
        return list(self._spots(self._schema.children, self._root, "", is_asked=True, is_whole=False))

    def _calculate(self, calculated: dict[str, Cell], stands: Stands) -> bool:
        """Calculate once what does not stand; return whether anything changed."""
        has_changed = False
        for field, parent, cell, is_asked, is_whole in self._all():
            paths = self._logic.sources(field.path)
            if paths is None or is_whole or stands(cell, paths):
                continue
            found = parent.find(field.name)
            element = etree.SubElement(parent, field.name) if found is None else found
            after = self._value(field, element) if is_asked and self._is_relevant(field, element) else BLANK
            before = calculated.get(cell, self._cells.get(cell, BLANK))
            if after is not None and after.said != before.said:
                calculated[cell], has_changed = after, True
                element.text = after.text
            if not element.text:
                parent.remove(element)
        return has_changed

    def _value(self, field: Field, element: etree._Element) -> Cell | None:
        try:
            if self._logic.is_readable(field.calculate):
                value = evaluate(field.calculate, element, self._environment)
                return _cell(field, spell_value(value, field.type))
        except UNREADABLE:
            pass
        self._unread[field.path] = None
        return None

    def _broken(self) -> Iterator[Broken]:
        found: dict[str, Broken] = {}
        for field, parent, cell, is_asked, _ in self._all():
            paths = self._logic.spoken(field.path)
            for element in parent.findall(field.name) if paths is not None and is_asked else ():
                answered = element.text and element.text.strip() and self._is_relevant(field, element)
                if answered and paths is not None and not self._is_allowed(field, element):
                    found.setdefault(cell, Broken(cell, field.path, paths))
        yield from found.values()

    def _is_allowed(self, field: Field, element: etree._Element) -> bool:
        try:
            for rule in rules_of(field):
                if not self._logic.is_readable(rule):
                    self._unread[field.path] = None
                elif rule == field.constraint:
                    context = Context(element, element, self._root, self._environment)
                    if not all(to_boolean(part(context)) for part in lasting(rule)):
                        return False
                elif not UNSTEADY.search(rule) and not self._respondent.listed(field, element):
                    return False
        except UNREADABLE:
            self._unread[field.path] = None
        return True

    def _is_relevant(self, node: Node, element: etree._Element) -> bool:
        try:
            if not node.relevant or self._logic.is_readable(node.relevant):
                return not node.relevant or boolean(node.relevant, element, self._environment)
        except UNREADABLE:
            pass
        self._unread[node.path] = None
        return True


def _cell(field: Field, text: str) -> Cell:
    try:
        value = values.read(field.type, field, text)
    except values.WrongTypeError:
        value = None
    return Cell(text, values.canonical(field.type, text, value))


def _grow(parent: etree._Element, name: str, content: Any) -> None:
    """Add what one whole cell holds: an answer, a group, rows."""
    for one in content if isinstance(content, list) else [content]:
        element = etree.SubElement(parent, name)
        if isinstance(one, str):
            element.text = one
            continue
        for below, inner in one.items():
            if below[0] not in "@#":
                _grow(element, below, inner)

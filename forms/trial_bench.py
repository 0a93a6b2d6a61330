"""The respondents of a trial: what they met, and how further ones are steered towards what nobody met.

Whom to steer towards is read out of expressions by `forms.trial_gates`; what it means is said by `forms.trial`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from forms import trial_gates, xml
from forms.fill import fill
from forms.fill_form import TabletForm
from forms.schema import Field, FieldType, Node
from forms.trial_gates import Gates

STEERED_MAX = 40
"""Respondents steered towards one question that none has reached."""
STEERED_TOTAL_MAX = 600
ASKED_MIN = 10
"""Asked so often and never answered is no chance: one in four leaves an optional question blank."""
CHOICE_TRIES_MAX = 4
CHOICES_TOTAL_MAX = 150
"""Respondents steered towards choices: they lead to a hint only."""
WITNESS_SHARE = 0.6
"""How often a steered respondent answers the questions on the way like one who came there, or next to it."""
UNSEEN_SHARE = 0.5
"""How often a select gets a choice that nobody gave yet, while the respondent is steered towards another."""
RECORDED = ("image", "audio")
"""What `forms.fill_answers` can record."""
ROW = re.compile(r"\[\d+\]")

Answers = list[tuple[str, str]]
"""Path and text of every node of an instance, in its order; rows of repeats under one path."""


@dataclass
class Bench:
    """The form being tried and what was seen so far.

    witnesses: path → the answers of the first respondent who reached it. asked, stuck: path → respondents.
    """

    form: TabletForm
    now: datetime
    chance: random.Random
    gates: Gates
    count: int = 0
    unsettled: int = 0
    witnesses: dict[str, Mapping[str, str]] = field(default_factory=dict)
    chosen: dict[str, set[str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    stuck: Counter[str] = field(default_factory=Counter)

    def take(self, given: Mapping[str, str]) -> Answers:
        """Let one respondent fill the form; remember what was met and return it."""
        filled = fill(self.form, now=self.now, chance=self.chance, given=given)
        found = list(_answers(xml.parse(filled.xml)))
        first = dict(reversed(found))
        self.count += 1
        self.unsettled += not filled.settled
        self.asked.update(first.keys())
        self.stuck.update({ROW.sub("", path) for path in filled.unsatisfied})
        for path in first:
            self.witnesses.setdefault(path, first)
        for path, text in found:
            self.chosen.setdefault(path, set()).update(text.split())
        return found

    def unreached(self) -> list[Node]:
        """Return what nobody reached though its surroundings were; in the form's order."""
        return [
            node
            for node in self.form.schema.walk()
            if node.path not in self.witnesses
            and (node.path.count("/") == 1 or node.path.rpartition("/")[0] in self.witnesses)
            and questions(self.form, node)
        ]

    def steer_to_questions(self) -> Counter[str]:
        """Steer respondents towards what is unreached; return how many towards each."""
        tried: Counter[str] = Counter()
        for _ in range(STEERED_TOTAL_MAX):
            waiting = [node for node in self.unreached() if tried[node.path] < STEERED_MAX]
            if not waiting:
                break
            node = min(waiting, key=lambda one: tried[one.path])
            tried[node.path] += 1
            self.take(self.towards(node))
        return tried

    def unanswered(self) -> list[Field]:
        """Return the questions that were asked and that nobody answered, though we know how."""
        return [
            one
            for one in self.form.schema.fields
            if one.control
            and not (one.calculate or one.readonly or one.path in self.stuck or self.chosen.get(one.path))
            and (one.type is not FieldType.BINARY or one.mediatype.startswith(RECORDED))
            and self.asked[one.path]
        ]

    def steer_to_answers(self) -> None:
        """Ask more respondents what nobody answered, so that chance is no reason any more; then they are stuck."""
        for _ in range(STEERED_TOTAL_MAX):
            waiting = [one for one in self.unanswered() if self.asked[one.path] < ASKED_MIN]
            if not waiting:
                break
            self.take(self.towards(waiting[0]))
        self.stuck.update({one.path: self.asked[one.path] for one in self.unanswered()})

    def towards(self, node: Node) -> dict[str, str]:
        """Return answers that may open the way to a node, often those of one who came there or next to it."""
        own, above = self.gates.own(node), self.gates.above(node.path)
        wide = [above, own]
        for path in own:
            wide += [self.gates.own(self.form.schema.by_path[path]), self.gates.above(path)]
        given = {path: text for one in wide for path, text in self.draw(one).items()}
        reached = self.witnesses.get(node.path)
        if self.chance.random() < WITNESS_SHARE:
            witness = reached or self.witnesses.get(node.path.rpartition("/")[0], {})
            known = {path for one in wide for path in one} if reached else above.keys() - own.keys()
            given |= {path: witness[path] for path in sorted(known) if witness.get(path)}
        return given

    def draw(self, candidates: trial_gates.Candidates) -> dict[str, str]:
        return trial_gates.draw(self.form, candidates, self.chance)

    def steer_to_choices(self) -> dict[str, tuple[str, ...]]:
        """Steer respondents towards choices that nobody gave; return those that still nobody gives."""
        tried: Counter[tuple[str, str]] = Counter()
        for _ in range(CHOICES_TOTAL_MAX):
            unseen = self.unseen()
            waiting = [
                (question, name)
                for question, names in unseen
                for name in names
                if tried[question.path, name] < CHOICE_TRIES_MAX
            ]
            if not waiting:
                break
            question, name = min(waiting, key=lambda one: tried[one[0].path, one[1]])
            tried[question.path, name] += 1
            self.take(self.towards_choice(question, name, unseen))
        return {
            question.path: never
            for question, names in self.unseen()
            if (never := tuple(name for name in names if tried[question.path, name]))
        }

    def unseen(self) -> list[tuple[Field, tuple[str, ...]]]:
        """Return the selects that were asked and what nobody chose of their lists in the form."""
        found = [
            (one, tuple(each.name for each in one.choices.choices if each.name not in self.chosen[one.path]))
            for one in self.form.schema.fields
            if one.choices is not None and one.type is not FieldType.RANK and one.path in self.chosen
        ]
        return [(question, names) for question, names in found if names]

    def towards_choice(
        self, question: Field, name: str, unseen: list[tuple[Field, tuple[str, ...]]]
    ) -> dict[str, str]:
        """Return answers that open the way to a choice, and other unseen ones to try beside it."""
        beside = {
            one.path: self.chance.choice(names)
            for one, names in unseen
            if self.chance.random() < UNSEEN_SHARE
        }
        way = self.towards(question)
        for path in self.gates.filtering(question):
            source = self.form.schema.by_path[path]
            if isinstance(source, Field) and source.type is FieldType.SELECT_MULTIPLE and source.choices:
                others = sorted(source.choices.names - {name})
                way[path] = " ".join([name, *self.chance.sample(others, min(1, len(others)))])
        return beside | way | {question.path: name}


def _answers(element: etree._Element, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of every node of an instance, rows of repeats under one path."""
    for child in element:
        path = f"{above}/{xml.local_name(child.tag)}"
        yield path, child.text or ""
        yield from _answers(child, path)


def questions(form: TabletForm, node: Node) -> list[Field]:
    """Return what a person is shown at or inside a node."""
    inside = f"{node.path}/"
    return [one for one in form.schema.fields if one.control and f"{one.path}/".startswith(inside)]

"""A made-up respondent who fills a form as ODK Collect would let a person fill it: for demonstrations and tests.

The form is walked in its order again and again until nothing changes: relevance decides what is there, lists and
constraints what is answered, calculations follow. One walk serves a new form and an edit alike.
Values come from `forms.fill_values`; the clock and all chance come in, so that the same seed gives the same bytes.
Source: openrosa wire behaviour of Collect 2026.3; entities and calculated truths (`1`, `0`) as JavaRosa writes them.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from lxml import etree

from forms import fill_files, xml
from forms.fill_answers import Respondent
from forms.fill_form import TabletForm
from forms.fill_walk import Walk, row_path
from forms.xpath_values import Environment, iso

NO_ANSWERS: Mapping[str, str] = MappingProxyType({})
DURATION_S = (240, 2400)
"""Shortest and longest time that a form stays open."""
AUDIT = "audit.csv"


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
    walk = _start(form, root, now, chance, tablet, given)
    walk.settle()
    return _finish(walk, tablet, _taken(walk))


def edit(
    form: TabletForm,
    filled: FilledForm,
    *,
    now: datetime,
    chance: random.Random,
    tablet: Tablet = Tablet(),
    given: Mapping[str, str] = NO_ANSWERS,
) -> FilledForm:
    """Return `filled` after its sender opened it again and changed one to three answers, or those that are given.

    given: path → answer, in a repeat for every row; one that the form refuses is answered anew. New instanceID, `deprecatedID` naming the old one, `end` and everything calculated anew; answers that the
    change made impossible are given again. Files are kept, as Collect keeps them.
    """
    root = xml.parse(filled.xml)
    for meta in root.iterchildren("meta"):
        for old in meta.findall("deprecatedID"):
            meta.remove(old)
    walk = _start(form, root, now, chance, tablet, NO_ANSWERS, rows_stand=True)
    edited = _give(walk, given) if given else _change(walk, chance.randint(1, 3))
    walk.settle()
    files = {**filled.files, **_taken(walk)}
    return replace(_finish(walk, tablet, files, deprecated=filled.instance_id), edited=edited)


def _start(
    form: TabletForm,
    root: etree._Element,
    now: datetime,
    chance: random.Random,
    tablet: Tablet,
    given: Mapping[str, str],
    *,
    rows_stand: bool = False,
) -> Walk:
    properties = {"deviceid": tablet.device_id, "username": tablet.username}
    environment = Environment(now, chance, form.instances, form.choice_labels, properties)
    started = now - timedelta(seconds=chance.randint(*DURATION_S))
    stamps = {"timestamp:end": iso(now), "uid": f"uuid:{uuid.UUID(int=chance.getrandbits(128), version=4)}"}
    return Walk(form, root, Respondent(environment, started, form.ranges, {}), given, stamps, rows_stand)


def _change(walk: Walk, wanted: int) -> tuple[str, ...]:
    """Answer up to `wanted` questions anew, differently; return their paths."""
    places = list(walk.asked())
    changed: list[str] = []
    for question, element in walk.chance.sample(places, len(places)):
        if len(changed) == wanted:
            break
        before = element.text or ""
        for _ in range(3):
            if walk.answer(question, element, may_skip=False) and element.text != before:
                changed.append(row_path(element))
                break
        else:
            walk.write(question, element, before)
    return tuple(changed)


def _give(walk: Walk, given: Mapping[str, str]) -> tuple[str, ...]:
    """Give these answers where they are asked; return the paths."""
    places = [(question, element) for question, element in walk.asked() if question.path in given]
    for question, element in places:
        walk.write(question, element, given[question.path])
    return tuple(row_path(element) for _, element in places)


def _taken(walk: Walk) -> dict[str, bytes]:
    """Return the photographs and sounds that are still an answer."""
    named = {element.text for _, element in walk.asked()}
    return {name: data for name, data in walk.respondent.files.items() if name in named}


def _finish(walk: Walk, tablet: Tablet, files: dict[str, bytes], deprecated: str = "") -> FilledForm:
    """Return what the tablet sends, with its identity and its audit log."""
    questions = list(walk.asked())
    instance_id = walk.stamps["uid"]
    meta = _child(walk.root, "meta")
    _child(meta, "instanceID").text = instance_id
    if deprecated:
        _child(meta, "deprecatedID").text = deprecated
    audit = meta.find("audit")
    if audit is not None:
        audit.text = AUDIT
        log = _audit(walk, tablet, [row_path(element) for _, element in questions])
        files[AUDIT] = files[AUDIT] + log.partition(b"\n")[2] if AUDIT in files else log
    text = etree.tostring(walk.root, encoding="unicode").replace("/>", " />")
    return FilledForm(
        xml=f"<?xml version='1.0' encoding='UTF-8' ?>{text}".encode(),
        files=MappingProxyType(files),
        instance_id=instance_id,
        unsatisfied=tuple(walk.unsatisfied),
        answered=sum(1 for _, element in questions if element.text),
        settled=not walk.changed,
    )


def _audit(walk: Walk, tablet: Tablet, paths: list[str]) -> bytes:
    user = tablet.username if walk.form.asks_user else None
    return fill_files.audit(paths, walk.respondent.started, walk.environment.now, user)


def _child(parent: etree._Element, name: str) -> etree._Element:
    found = parent.find(name)
    return etree.SubElement(parent, name) if found is None else found

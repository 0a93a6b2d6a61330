"""An instance straight to a document: texts by name as JSON keeps them, for the many that are read once and stored.

The same as `instance.to_json(instance.read(…).answers)`, in a quarter of the time: no value is typed, each text is
only checked against its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from lxml import etree

from forms import values, xml
from forms.errors import Fault, InstanceError
from forms.instance import DEPTH_MAX, Problem
from forms.schema import Field, FieldType, FormSchema, Place

Document = dict[str, Any]
USUAL_DECIMAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?").fullmatch
USUAL_DATE = re.compile(r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])").fullmatch
"""What most answers are like: there is no need to read the value to know that it is one."""
Check = Callable[[str], str]
"""Says what is wrong with a text, "" when nothing is."""


@dataclass(slots=True)
class Spot:
    """A node of the form where it stands. is_branch: its element is read for children even when it has none."""

    below: Mapping[str, Spot] = field(default_factory=dict)
    is_branch: bool = False
    is_repeat: bool = False
    is_file: bool = False
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What an instance says. problems: see `instance.Problem`. files: the file names that it mentions."""

    document: Document
    problems: list[Problem]
    files: frozenset[str]


class DocumentReader:
    """Reads the instances of one form version; made once, used by any thread."""

    def __init__(self, schema: FormSchema) -> None:
        self._top = _spot(schema.top)

    def read(self, data: bytes) -> ReadDocument:
        """Return what an instance says. Raises InstanceError when the bytes are no instance."""
        problems: list[Problem] = []
        files: list[str] = []
        document = _read(xml.parse_usual(data), "", self._top, problems, files, 0)
        document.pop("@id", None)
        document.pop("@version", None)
        return ReadDocument(document, problems, frozenset(files))


NOWHERE = Spot()


def _read(
    element: ElementTree.Element | etree._Element,
    path: str,
    spot: Spot,
    problems: list[Problem],
    files: list[str],
    depth: int,
) -> Document:
    if depth > DEPTH_MAX:
        raise InstanceError(Fault(f"Groups are nested deeper than {DEPTH_MAX}.", "Flatten the form."))
    document: Document = {f"@{xml.local_name(str(key))}": str(text) for key, text in element.items()}
    below, twice = spot.below, set()
    for child in element:
        tag: str = child.tag
        name = tag if tag[0] != "{" else xml.local_name(tag)
        found = below.get(name, NOWHERE)
        node: str | Document
        if found.is_branch or len(child) or child.keys():
            node = _read(child, f"{path}/{name}", found, problems, files, depth + 1)
        else:
            node = child.text or ""
            if found.check and node and (wrong := found.check(node)):
                problems.append(Problem(f"{path}/{name}", wrong))
            elif found.is_file and node:
                files.append(node.strip())
        if found.is_repeat:
            document.setdefault(name, []).append(node)
        elif name not in document:
            document[name] = node
        elif name in twice:
            document[name].append(node)
        else:
            twice.add(name)
            document[name] = [document[name], node]
            problems.append(Problem(f"{path}/{name}", "stands more than once"))
    text = element.text
    if text and text.strip():
        document["#text"] = text
    return document


def _spot(place: Place) -> Spot:
    check = _check(place.field) if place.field else None
    is_file = place.field is not None and place.field.type is FieldType.BINARY
    below = {name: _spot(inner) for name, inner in place.below.items()}
    return Spot(below, place.is_group or place.is_repeat, place.is_repeat, is_file, check)


def _check(one: Field) -> Check | None:
    kind = one.type.value
    if kind not in values.READERS:
        return None

    def check(text: str) -> str:
        try:
            values.read(kind, one, text)
        except values.WrongTypeError as wrong:
            return str(wrong)
        return ""

    names = one.choices.names if one.choices else frozenset()
    match one.type:
        case FieldType.SELECT_ONE:
            return lambda text: "" if text in names else check(text)
        case FieldType.SELECT_MULTIPLE | FieldType.RANK:
            return lambda text: "" if names.issuperset(text.split()) else check(text)
        case FieldType.INT:
            return lambda text: "" if text.isascii() and text.isdigit() and len(text) < 18 else check(text)
        case FieldType.DECIMAL:
            return lambda text: "" if USUAL_DECIMAL(text) else check(text)
        case FieldType.DATE:
            return lambda text: "" if USUAL_DATE(text) else check(text)
    return check

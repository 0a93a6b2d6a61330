"""Instance XML to a typed answers tree and back, without loss; the canonical content and its digest.

The tree keeps what the XML says by local name, so that `meta` and `orx:meta` are one, and never depends on the order
of different names: Collect does not keep it (a node after a nested repeat stands before or after it).
Non-relevant nodes are absent; relevant unanswered ones are answers with an empty text.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from lxml import etree

from forms import values, xml
from forms.errors import Fault, InstanceError
from forms.header import Header, header_of
from forms.schema import Field, FormSchema, Place

DEPTH_MAX = 64


@dataclass(slots=True)
class Answer:
    """One leaf: its text exactly as sent, the typed value (None: blank or of the wrong type), and what is wrong.

    Not frozen, for speed alone: hundreds are made for each submission.
    """

    text: str
    value: values.Value | None = None
    problem: str = ""


Tree = Mapping[str, "Answer | Tree | tuple[Answer | Tree, ...]"]
"""Children by local name: an answer, a group, or a tuple of rows for a repeat (and for a name that stands twice).
`@name` is an attribute, `#text` the text of an element that has attributes or children too."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is kept but not what the form asked for. path: as `Field.path`; no value is ever in it."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Instance:
    """One filled form: its header, answers, and what was found wrong with them."""

    header: Header
    answers: Tree
    problems: tuple[Problem, ...] = ()


def read(data: bytes, schema: FormSchema) -> Instance:
    """Return the answers of an instance of this form (any of its versions: unknown nodes are kept as text).

    Raises InstanceError when the bytes are no instance. A value of the wrong type is kept and listed as a problem.
    """
    root = xml.parse(data)
    header = header_of(root)
    problems: list[Problem] = []
    answers = _read_children(root, "", schema.top, problems, 0)
    answers.pop("@id", None)
    answers.pop("@version", None)
    return Instance(header, answers, tuple(problems))


def from_json(document: Mapping[str, object], schema: FormSchema) -> Tree:
    """Return the typed tree of what `to_json` wrote."""
    return _type_tree(document, schema.top)


def to_json(tree: Tree) -> dict[str, object]:
    """Return the tree with texts only, ready for `orjson`: rows as lists, groups as objects, "" for unanswered."""
    return {name: plain_node(child) for name, child in tree.items()}


def plain_node(node: Answer | Tree | tuple[Answer | Tree, ...]) -> object:
    """Return a part of a tree as `to_json` does the whole."""
    if isinstance(node, Answer):
        return node.text
    return [plain_node(row) for row in node] if isinstance(node, tuple) else to_json(node)


def write(header: Header, answers: Tree, schema: FormSchema) -> bytes:
    """Return the XML of an instance: UTF-8, no default namespace, children in the form's order, then the unknown ones.

    Reading it again gives equal answers.
    """
    attributes = f" id={_quoted(header.form_id)}"
    if header.version:
        attributes += f" version={_quoted(header.version)}"
    parts = ["<?xml version='1.0' encoding='UTF-8' ?>"]
    _write(schema.root, answers, schema.top, parts, attributes)
    return "".join(parts).encode()


def canonical_node(node: Answer | Tree | tuple[Answer | Tree, ...], place: Place) -> object:
    """Return what a part of a tree says, ready for `orjson`; blank when it says nothing. Equal but for noise.

    Noise is (Collect, opening an instance again): child order between different names, surrounding blanks, less than
    a second of a dateTime, blank against absent, identity (`instanceID`, `deprecatedID`), and fields recalculated by
    themselves (`end`, `now()`, `uuid()` without `once()`, `jr:choice-name()`).
    A dateTime one millisecond before a full second counts as another: rare, and kept as an edit, never lost.
    """
    if isinstance(node, Answer):
        return values.canonical(place.type, node.text, node.value)
    return (
        [canonical_node(row, place) for row in node] if isinstance(node, tuple) else _canonical(node, place)
    )


def stable_instance_id(data: bytes) -> str:
    """Return the instanceID for an instance that came without one: from its bytes, so that a retry is a repeat."""
    return f"uuid:{uuid.UUID(bytes=hashlib.sha256(data).digest()[:16], version=5)}"


def iter_answers(answers: Tree, schema: FormSchema) -> Iterator[tuple[Field | None, Answer]]:
    """Yield each leaf with its field; None for a leaf that the form does not know."""
    return _iter_answers(answers, schema.top)


NOWHERE = Place({})
BLANK = Answer("")


def _iter_answers(answers: Tree, place: Place) -> Iterator[tuple[Field | None, Answer]]:
    for name, child in answers.items():
        below = place.below.get(name, NOWHERE)
        for node in child if isinstance(child, tuple) else (child,):
            if isinstance(node, Answer):
                yield below.field, node
            else:
                yield from _iter_answers(node, below)


def _read_children(
    element: etree._Element, path: str, place: Place, problems: list[Problem], depth: int
) -> dict[str, Answer | Tree | tuple[Answer | Tree, ...]]:
    if depth > DEPTH_MAX:
        raise InstanceError(Fault(f"Groups are nested deeper than {DEPTH_MAX}.", "Flatten the form."))
    found: dict[str, list[Answer | Tree]] = {}
    for child in element.iterchildren():
        tag = child.tag
        name = tag if tag[0] != "{" else xml.local_name(tag)
        below = place.below.get(name, NOWHERE)
        node: Answer | Tree
        if below.is_group or below.is_repeat or len(child) or child.keys():
            node = _read_children(child, f"{path}/{name}", below, problems, depth + 1)
        else:
            text = child.text
            node = _typed(below, text) if text else BLANK
            if node.problem:
                problems.append(Problem(f"{path}/{name}", node.problem))
        if name in found:
            found[name].append(node)
        else:
            found[name] = [node]
    tree: dict[str, Answer | Tree | tuple[Answer | Tree, ...]] = {
        f"@{xml.local_name(str(key))}": Answer(str(text)) for key, text in element.items()
    }
    for name, nodes in found.items():
        if place.below.get(name, NOWHERE).is_repeat:
            tree[name] = tuple(nodes)
        elif len(nodes) == 1:
            tree[name] = nodes[0]
        else:
            problems.append(Problem(f"{path}/{name}", "stands more than once"))
            tree[name] = tuple(nodes)
    text = element.text
    if text and text.strip():
        tree["#text"] = Answer(text)
    return tree


def _typed(place: Place, text: str) -> Answer:
    if place.field is None:
        return Answer(text, text or None)
    try:
        return Answer(text, values.read(place.type, place.field, text))
    except values.WrongTypeError as wrong:
        return Answer(text, None, str(wrong))


def _type_tree(document: Mapping[str, object], place: Place) -> Tree:
    return {
        name: Answer(str(child)) if name[0] in "@#" else _type_node(child, place.below.get(name, NOWHERE))
        for name, child in document.items()
    }


def _type_node(node: object, place: Place) -> Answer | Tree | tuple[Answer | Tree, ...]:
    if isinstance(node, str):
        return _typed(place, node)
    if isinstance(node, Mapping):
        return _type_tree(node, place)
    assert isinstance(node, list), "answers are texts, groups and rows"
    rows = (_type_node(row, place) for row in node)
    return tuple(row for row in rows if not isinstance(row, tuple))


def _canonical(tree: Tree, place: Place) -> dict[str, object]:
    content: dict[str, object] = {}
    for name, child in tree.items():
        below = place.below.get(name, NOWHERE)
        if below.is_noise:
            continue
        if said := canonical_node(child, below):
            content[name] = said
    return content


def _write(name: str, node: Answer | Tree, place: Place, parts: list[str], attributes: str = "") -> None:
    if isinstance(node, Answer):
        parts.append(f"<{name}>{_escape(node.text)}</{name}>" if node.text else f"<{name} />")
        return
    for key, child in node.items():
        if key.startswith("@") and isinstance(child, Answer):
            attributes += f" {key[1:]}={_quoted(child.text)}"
    parts.append(f"<{name}{attributes}>")
    text = node.get("#text")
    if isinstance(text, Answer):
        parts.append(_escape(text.text))
    for key in _in_form_order(node, place):
        child = node[key]
        for row in child if isinstance(child, tuple) else (child,):
            _write(key, row, place.below.get(key, NOWHERE), parts)
    parts.append(f"</{name}>")


ATTRIBUTE_ESCAPES = str.maketrans({"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _quoted(text: str) -> str:
    return f'"{escape(text).translate(ATTRIBUTE_ESCAPES)}"'


def _escape(text: str) -> str:
    return escape(text, quote=False).replace("\r", "&#13;")


def _in_form_order(tree: Tree, place: Place) -> list[str]:
    known = [name for name in place.below if name in tree]
    return known + [name for name in tree if name[0] not in "@#" and name not in place.below]

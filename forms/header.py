"""The header of an instance: what the road needs to know before the bytes are stored."""

from __future__ import annotations

from dataclasses import dataclass
from xml.parsers import expat

from lxml import etree

from forms import xml
from forms.errors import Fault, InstanceError

ID_CHARS_MAX = 255
GLANCE_ENDS_MAX = 255
"""With so few end tags nothing is nested deeper than `xml.parse` takes (libxml2: 256): all but the innermost have one."""


@dataclass(frozen=True, slots=True)
class Header:
    """Which form an instance is of, and which record.

    instance_id: None when the XML carries none. deprecated_id: of the instance that this one edits, or None.
    encrypted: the answers are sealed to the form's public key.
    """

    form_id: str
    version: str
    instance_id: str | None
    deprecated_id: str | None = None
    encrypted: bool = False


def read_header(data: bytes) -> Header:
    """Return the header of an instance. Raises InstanceError when it is no instance of any form."""
    glance = _glance(data)
    return _header(*glance) if glance else header_of(xml.parse(data))


def header_of(root: etree._Element) -> Header:
    """Return the header of a parsed instance; see `read_header`."""
    attributes = {str(name): str(text) for name, text in root.attrib.items()}
    return _header(root.tag.rpartition("}")[0][1:], attributes, _identity(root))


def _header(namespace: str, attributes: dict[str, str], identity: dict[str, str]) -> Header:
    """Make a header of the root's namespace and attributes, and of what stands in `meta`."""
    form_id = attributes.get("id") or namespace
    if not form_id:
        raise InstanceError(
            Fault("The XML names no form.", "Send an instance whose root has an id attribute.")
        )
    version = attributes.get("version", "")
    instance_id = identity.get("instanceID") or attributes.get("instanceID") or None
    deprecated_id = identity.get("deprecatedID") or None
    if max(len(form_id), len(version), len(instance_id or ""), len(deprecated_id or "")) > ID_CHARS_MAX:
        raise InstanceError(Fault("An identifier is too long.", f"Use at most {ID_CHARS_MAX} characters."))
    return Header(form_id, version, instance_id, deprecated_id, attributes.get("encrypted") == "yes")


def _identity(root: etree._Element) -> dict[str, str]:
    """What stands in `meta`, which stands last."""
    for element in root.iterchildren(reversed=True):
        if xml.local_name(element.tag) == "meta":
            return {xml.local_name(child.tag): (child.text or "").strip() for child in element.iterchildren()}
    return {}


def _glance(data: bytes) -> tuple[str, dict[str, str], dict[str, str]] | None:
    """The root's namespace and attributes and what stands in `meta`, as tablets send them, without a tree.

    Expat checks the whole, in half of the time. None for anything else (other encodings, comments, a document type,
    what is not well-formed): `xml.parse` has to say what it is.
    """
    meta = _meta(data)
    is_small = len(data) <= xml.USUAL_BYTES_MAX and data.count(b"</") <= GLANCE_ENDS_MAX
    if not meta or not is_small or not xml.is_utf8(data):
        return None
    root: list[tuple[str, dict[str, str]]] = []
    whole = expat.ParserCreate(namespace_separator=" ")

    def open_root(name: str, attributes: dict[str, str]) -> None:
        root.append((name.rpartition(" ")[0], attributes))
        whole.StartElementHandler = None

    def give_up(*_: object) -> None:
        raise _NotThisWayError

    whole.StartElementHandler = open_root
    # In these a tag may be no tag.
    whole.StartCdataSectionHandler = whole.StartDoctypeDeclHandler = give_up
    whole.CommentHandler = whole.ProcessingInstructionHandler = give_up
    try:
        whole.Parse(data, True)
        return (*root[0], _texts(meta))
    except (expat.ExpatError, _NotThisWayError):
        return None


class _NotThisWayError(Exception):
    """A tree is needed."""


def _texts(element: bytes) -> dict[str, str]:
    """The texts of an element's children, by name. Raises ExpatError when this is no whole element."""
    found: dict[str, str] = {}
    names: list[str] = []
    parser = expat.ParserCreate()

    def open_(name: str, _attributes: dict[str, str]) -> None:
        names.append(name.rpartition(":")[2])
        if len(names) == 2:
            found[names[1]] = ""

    def add(text: str) -> None:
        if len(names) == 2:
            found[names[1]] += text

    parser.StartElementHandler, parser.CharacterDataHandler = open_, add
    parser.EndElementHandler = lambda _: names.pop()
    parser.Parse(element, True)
    return {name: text.strip() for name, text in found.items()}


def _meta(data: bytes) -> bytes:
    """The element that ends just before the root does, if it is called `meta`; else nothing."""
    last = data.rfind(b"</")
    end = data.rfind(b"</", 0, max(last, 0))
    after = data.find(b">", end) + 1
    name = data[end + 2 : after - 1].strip()
    if end < 0 or name.rpartition(b":")[2] != b"meta" or data[after:last].strip():
        return b""
    return data[data.rfind(b"<" + name, 0, end) : after]

"""The header of an instance: what the road needs to know before the bytes are stored."""

from __future__ import annotations

from dataclasses import dataclass
from xml.parsers import expat

from lxml import etree

from forms import xml
from forms.errors import Fault, InstanceError

ID_CHARS_MAX = 255
GLANCE_TAGS_MAX = 512
"""With so few opening brackets nothing is nested deeper than `xml.parse` takes (libxml2: 256)."""


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
    glance = _Glance(data)
    if glance.is_enough:
        return _header(glance.namespace, glance.attributes, glance.identity)
    return header_of(xml.parse(data))


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


class _Glance:
    """The header of an instance as tablets send it, without a tree, in a third of the time.

    Expat checks the whole and reports only the root and `meta`, which ends just before the root does. is_enough: False
    for anything else (other encodings, a document type, what is not well-formed): `xml.parse` has to say what it is.
    """

    def __init__(self, data: bytes) -> None:
        self.namespace = ""
        self.attributes: dict[str, str] = {}
        self.identity: dict[str, str] = {}
        self.is_enough = False
        self._depth = 0
        self._text: list[str] = []
        start = _start_of_meta(data)
        if start < 0 or data.count(b"<") > GLANCE_TAGS_MAX or not xml.is_utf8(data):
            return
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._open_root
        parser.StartDoctypeDeclHandler = self._give_up
        try:
            parser.Parse(data[:start], False)
            parser.StartElementHandler, parser.EndElementHandler = self._open, self._close
            parser.CharacterDataHandler = self._text.append
            parser.Parse(data[start:], True)
        except (expat.ExpatError, _NotThisWayError):
            return
        self.is_enough = self._depth == -1

    def _open_root(self, name: str, attributes: dict[str, str]) -> None:
        self.namespace, self.attributes = name.rpartition(" ")[0], attributes
        self._parser.StartElementHandler = None

    def _open(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and (name.rpartition(" ")[2] != "meta" or self.identity):
            raise _NotThisWayError
        if self._depth == 2:
            self._text.clear()
        elif self._depth == 3:
            self._parser.CharacterDataHandler = None

    def _close(self, name: str) -> None:
        if self._depth == 2:
            self.identity[name.rpartition(" ")[2]] = "".join(self._text).strip()
            self._parser.CharacterDataHandler = self._text.append
        self._depth -= 1

    def _give_up(self, *_: object) -> None:
        raise _NotThisWayError


class _NotThisWayError(Exception):
    """A tree is needed."""


def _start_of_meta(data: bytes) -> int:
    """Where the element begins whose end is the last but one, if it is called `meta`; else -1."""
    end = data.rfind(b"</", 0, max(data.rfind(b"</"), 0))
    name = data[end + 2 : data.find(b">", end)].strip() if end >= 0 else b""
    return data.rfind(b"<" + name, 0, end) if name.rpartition(b":")[2] == b"meta" else -1

"""One hardened parser for every XML byte that enters: forms, instances, envelopes.

No external entity, no DTD, no network, libxml2's own limits on depth and size kept (`huge_tree=False`).
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from lxml import etree

from forms.errors import Fault, InstanceError

ELEMENTS_MAX = 200_000
"""More opening brackets than this is no questionnaire: 1,000 repeat rows of 60 questions hold 122,000."""

USUAL_BYTES_MAX = 262_144
"""Holds no more than a third of ELEMENTS_MAX."""

DECLARED = re.compile(
    rb"""(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']"""
)
ENCODINGS = re.compile(
    r"utf-?8|utf-?16(le|be)?|us-ascii|ascii|iso-8859-[0-9]{1,2}|windows-[0-9]{3,4}", re.IGNORECASE
)
EBCDIC = "<?xm".encode("cp037")


def parse(data: bytes, *, elements_max: int = ELEMENTS_MAX) -> etree._Element:
    """Return the root element of `data`.

    Comments and processing instructions are dropped; text is kept as it stands.
    Raises InstanceError when the bytes are not well-formed XML, declare a document type, or hold more than
    `elements_max` opening brackets. Messages name the line, never the content.
    """
    if not _counts_tags(data):
        raise InstanceError(Fault("The XML is in an encoding that is not taken here.", "Send UTF-8."))
    if data.count(b"<") > elements_max:
        raise InstanceError(Fault(f"The XML holds more than {elements_max} tags.", "Split the record."))
    # A parser cannot be shared between threads; making one costs 4 µs.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise InstanceError(
            Fault(f"Not well-formed XML (line {line}).", "Send the whole file again.")
        ) from None
    except ValueError:
        raise InstanceError(Fault("Not XML: the text declares no usable encoding.", "Send UTF-8.")) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise InstanceError(Fault("The XML declares a document type.", "Remove the DOCTYPE."))
    return root


def parse_usual(data: bytes) -> ElementTree.Element | etree._Element:
    """Do what `parse` does, for who only reads names, attributes and texts.

    Of what tablets send: Expat's elements are read in two thirds of the time that libxml2's are. What is large or
    unusual, or not well-formed, is for `parse` to take or to refuse.
    """
    if len(data) > USUAL_BYTES_MAX or b"<!" in data or not is_utf8(data):
        return parse(data)
    try:
        return ElementTree.fromstring(data)  # noqa: S314  (without a document type there is nothing to expand)
    except ElementTree.ParseError:
        return parse(data)


def _counts_tags(data: bytes) -> bool:
    """Whether `<` is one byte (or two, in UTF-16) in the encoding of the XML, so that tags can be counted unread."""
    declared = DECLARED.match(data)
    return data[:4] != EBCDIC and (declared is None or ENCODINGS.fullmatch(declared[1].decode()) is not None)


def is_utf8(data: bytes) -> bool:
    """Whether the XML says that it is in UTF-8, or says nothing."""
    declared = DECLARED.match(data)
    return b"\0" not in data[:4] and (declared is None or declared[1].lower() == b"utf-8")


def local_name(tag: str) -> str:
    """Return the tag without its namespace: tools write `meta` and `orx:meta` for the same thing."""
    return tag.rpartition("}")[2]

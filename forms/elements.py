"""The elements of an XML part heard one by one, in pieces: memory does not grow with the part.

expat, not lxml: it hands out names and attributes without building a tree. A document type is refused.
"""

from __future__ import annotations

from typing import IO
from xml.parsers import expat

PIECE_BYTES = 65_536


class NotReadable(ValueError):
    """A part is not what it should be."""


class Elements:
    """Hears the beginning of every element, and the texts of those that it asks for."""

    is_done = False
    text: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def hear(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)


def walk(stream: IO[bytes], elements: Elements) -> None:
    """Parse a part piece by piece. Elements lose the prefix that some programs give them."""
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        if ":" in name:
            parser.StartElementHandler = lambda name, attributes: elements.start(local(name), attributes)
            parser.EndElementHandler = lambda name: elements.end(local(name))
        else:  # a third of the time
            parser.StartElementHandler, parser.EndElementHandler = elements.start, elements.end
        elements.start(local(name), attributes)

    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = begin
    parser.CharacterDataHandler = elements.hear
    while (piece := stream.read(PIECE_BYTES)) and not elements.is_done:
        parser.Parse(piece, False)
    if not elements.is_done:
        parser.Parse(b"", True)


def local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def _refuse(*_: object) -> None:
    raise NotReadable("document type")

"""Documents as values alone: markup that both sides expect is not sent, what stands between goes into columns.

An outline knows which markup follows which, from documents that both sides have and from those before it in a frame.
Nothing of a form is interpreted, so that any text comes back exactly as it was.

Format: a document is a sequence of marks, ended by mark 0. A mark is a tag with its attributes' values left out
(`T<data id="" version="">`), an element without children (`Lname`, written `<name>text</name>` or, for the text U+0004,
`<name />`), or text between tags (`F`). Mark n is the n-th that was met. Each mark is expected after the one it followed
last; a document's steps name the places where that is wrong: how many marks were as expected before, and which one stands
there. An element's text is U+0005 where its recipe makes it of the texts before it (`sync.recipes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

from sync.columns import RESERVED, Known
from sync.recipes import Recipes, follow

EMPTY, MADE = "\x04", "\x05"
END = 0
MARKS_MAX = 5_000_000
"""In one document: a damaged frame must not go on for ever."""

_ATTRIBUTE = re.compile(r'"([^"]*)"')
_HOLE = '""'


class Outline:
    """What markup follows what, and a column of texts for each mark; column 0 has each document's steps."""

    def __init__(self) -> None:
        self.marks = ["end"]
        self.columns: list[list[str]] = [[]]
        self._numbers = {"end": END}
        self._follows: dict[int, int] = {}
        self._recipes = Recipes()

    def copy(self) -> Outline:
        """Return an outline that knows the same markup, with empty columns."""
        other = Outline()
        other.marks, other.columns = list(self.marks), [[] for _ in self.columns]
        other._numbers, other._follows = dict(self._numbers), dict(self._follows)
        other._recipes = self._recipes.copy()
        return other

    def number(self, mark: str) -> int:
        """Return the number of a mark, a new one when it is met for the first time."""
        number = self._numbers.get(mark)
        if number is None:
            number = self._numbers[mark] = len(self.marks)
            self.marks.append(mark)
            self.columns.append([])
        return number

    def write(self, document: str) -> dict[int, str] | None:
        """Put a document into the columns; return the last text of each mark.

        None when it cannot be written so; nothing is changed then.
        """
        if RESERVED.search(document):
            return None
        steps: list[int] = []
        texts: dict[int, str] = {}
        before, expected, follows, numbers, columns = END, 0, self._follows, self._numbers, self.columns
        recipes = self._recipes.known
        for mark, text, holes in _cut(document):
            number = numbers.get(mark)
            if number is None:
                number = self.number(mark)
            if follows.get(before) == number:
                expected += 1
            else:
                steps += (expected, number)
                expected, follows[before] = 0, number
            before = number
            if text is None:
                if holes:
                    columns[number] += holes
                    texts[number] = holes[0]
                continue
            recipe = recipes.get(number)
            if recipe and text and follow(recipe, texts) == text:
                columns[number].append(MADE)
            else:
                columns[number].append(text)
                self._recipes.learn(number, text, texts)
            texts[number] = text
        if follows.get(before) != END:
            steps += (expected, END)
            follows[before] = END
        columns[0].append(" ".join(map(str, steps)))
        return texts

    def read(self, texts: Sequence[Iterator[str]]) -> tuple[str, dict[int, str]]:
        """Return the document that stands next in these columns, and the last text of each mark.

        Raises ValueError, LookupError, StopIteration when it cannot be.
        """
        parts: list[str] = []
        last: dict[int, str] = {}
        before, follows, marks, recipes = END, self._follows, self.marks, self._recipes.known
        turns = map(int, next(texts[0]).split())
        expected = next(turns, MARKS_MAX)
        for _ in range(MARKS_MAX):
            if expected:
                number = follows[before]
                expected -= 1
            else:
                number = follows[before] = next(turns)
                expected = next(turns, MARKS_MAX)
            if number == END:
                return "".join(parts), last
            before, mark = number, marks[number]
            kind, name = mark[0], mark[1:]
            if kind != "T":
                text = next(texts[number])
                if text == MADE:
                    text = follow(recipes[number], last)
                else:
                    self._recipes.learn(number, text, last)
                last[number] = text
                if kind == "F":
                    parts.append(text)
                elif text == EMPTY:
                    parts.append(f"<{name} />")
                else:
                    parts.append(f"<{name}>{text}</{name}>")
            elif _HOLE in name:
                holes = [next(texts[number]) for _ in range(name.count(_HOLE))]
                last[number] = holes[0]
                pieces = name.split(_HOLE)
                parts += [f'{piece}"{hole}"' for piece, hole in zip(pieces, holes, strict=False)]
                parts.append(pieces[-1])
            else:
                parts.append(name)
        raise ValueError("a document has no end")


def _cut(document: str) -> Iterator[tuple[str, str | None, Sequence[str]]]:
    """Yield each mark of a document, with its text, or what stands in its holes."""
    first, *pieces = document.split("<")
    if first:
        yield "F", first, ()
    pieces.append("")
    is_closed = False
    for piece, following in pairwise(pieces):
        if is_closed:
            is_closed = False
            continue
        name, end, text = piece.partition(">")
        if not end:
            yield "F", "<" + name, ()
        elif following == f"/{name}>":
            yield "L" + name, text, ()
            is_closed = True
        else:
            if name[-2:] == " /" and '"' not in name:
                yield "L" + name[:-2], EMPTY, ()
            elif '"' in name:
                yield f"T<{_ATTRIBUTE.sub(_HOLE, name)}>", None, _ATTRIBUTE.findall(name)
            else:
                yield f"T<{name}>", None, ()
            if text:
                yield "F", text, ()


class Primer:
    """Documents that both sides have, to make others small by. name: by which the receiver finds the same ones."""

    def __init__(self, name: bytes, documents: Sequence[bytes]) -> None:
        self.name = name
        self.documents = documents

    @cached_property
    def outline(self) -> Outline:
        """What markup these documents have; to be copied."""
        outline = Outline()
        for document in self.documents:
            outline.write(document.decode(errors="replace"))
        return outline

    @cached_property
    def known(self) -> Known:
        """The texts of these documents."""
        return Known(self.outline.columns)

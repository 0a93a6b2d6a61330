"""Documents as values alone: markup that both sides expect is not sent, what stands between goes into columns.

An outline knows which markup follows which, from documents that both sides have and from those before it in a frame.
Nothing of a form is interpreted, so that any text comes back exactly as it was.

Format: a document is a sequence of marks, ended by mark 0. A mark is a tag with its attributes' values left out
(`T<data id="" version="">`), an element without children (`Lname`, written `<name>text</name>` or, for the text U+0004,
`<name />`), or text between tags (`F`). Mark n is the n-th that was met. After a mark, or after this text of it where that
was once wrong, the one is expected that followed last. A document's steps name the places where that is wrong: turns where
another stands that has followed there before, and behind them how many other marks stand before, and which one stands
there. An element's text is U+0005 where its recipe makes it of the texts before it (`sync.recipes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice

from sync.columns import RESERVED_BYTES, UNPACKED_BYTES_MAX, Known
from sync.recipes import CHARS_MIN, MADE, Recipes

EMPTY = "\x04"
END = 0
MARKS_MAX = 5_000_000
"""In one document: a damaged frame must not go on for ever."""

FIRST_TURN, PASSED_MAX = ord("A"), 50_000
"""A turn is a character, above those of other steps and below the surrogates."""
STEPS = "0123456789 "

_ATTRIBUTE = re.compile(r'"([^"]*)"')
_HOLE = '""'


class Outline:
    """What markup follows what, and a column of texts for each mark; column 0 has each document's steps.

    in_turns: whether steps may be turns when written; they are read either way.
    """

    def __init__(self, *, in_turns: bool = False) -> None:
        self._in_turns = in_turns
        self.marks = ["end"]
        self.columns: list[list[str]] = [[]]
        self._cut: list[tuple[str, int, str, str]] = [("", 0, "", "<")]  # the end stands nowhere
        self._written: list[tuple[str, str, str]] = [("", "", "")]
        self._numbers = {"end": END}
        self._follows = [END]
        self._exceptions: dict[int, dict[str, int]] = {}
        self._followers: dict[int, list[int]] = {}
        self._recipes = Recipes()

    def copy(self, *, in_turns: bool) -> Outline:
        """Return an outline that knows the same markup, with empty columns."""
        other = Outline(in_turns=in_turns)
        other.marks, other.columns = list(self.marks), [[] for _ in self.columns]
        other._cut, other._written = list(self._cut), list(self._written)
        other._numbers = dict(self._numbers)
        other._follows = list(self._follows)
        other._exceptions = {number: dict(some) for number, some in self._exceptions.items()}
        other._followers = {number: list(some) for number, some in self._followers.items()}
        other._recipes = self._recipes.copy(again=in_turns)
        return other

    def number(self, mark: str) -> int:
        """Return the number of a mark, a new one when it is met for the first time."""
        number = self._numbers.get(mark)
        if number is None:
            number = self._numbers[mark] = len(self.marks)
            self.marks.append(mark)
            self.columns.append([])
            self._follows.append(END)
            self._cut.append(_cut_out(mark))
            self._written.append(_written(mark))
        return number

    def write(self, document: bytes) -> dict[int, str] | None:
        """Put a document into the columns; return the last text of each mark.

        None when it cannot be written so; nothing is changed then.
        """
        try:
            whole = document.decode()
        except UnicodeDecodeError:
            return None
        if len(document.translate(None, RESERVED_BYTES)) < len(document):
            return None
        steps: list[int] = []
        texts: dict[int, str] = {}
        columns, follows, exceptions, cut = self.columns, self._follows, self._exceptions, self._cut
        recipes = self._recipes
        promising, settled = recipes.promising, recipes.settled
        before, said, right, passed, turns = END, "", 0, 0, ""
        free, *pieces = whole.split("<")
        place, end = 0, len(pieces)
        pieces.append("")
        while free or place < end:
            expected = follows[before]
            is_fork = before in exceptions
            if is_fork:
                expected = exceptions[before].get(said, expected)
            head, size, tail, alone = cut[expected]
            number, text = expected, ""
            holes: Sequence[str] = ()
            if free:
                number, text, free, tail = self.number("F"), free, "", ""
            else:
                piece = pieces[place]
                place += 1
                if tail and pieces[place] == tail and piece[:size] == head:
                    text = piece[size:]
                    place += 1
                elif piece == alone:
                    text = EMPTY if tail else ""
                else:
                    mark, text, holes, free = _cut(piece, pieces[place])
                    number = self.number(mark)
                    tail = cut[number][2]
                    place += bool(tail) and text != EMPTY
            if number == expected:
                right += 1
                passed += is_fork
            else:
                if turn := self._turn(before, expected, number, passed):
                    turns += turn
                    right += 1
                    passed = 0
                else:
                    steps += (right, number)
                    right = 0
                self._note(before, said, number)
            before, said = number, text
            if tail:
                if number in promising or (len(text) >= CHARS_MIN and number not in settled):
                    columns[number].append(recipes.write(number, text, texts))
                else:
                    columns[number].append(text)
                texts[number] = text
            elif holes:
                columns[number] += holes
                texts[number] = holes[0]
            elif text:
                columns[number].append(text)
                texts[number] = text
        if (expected := exceptions.get(before, {}).get(said, follows[before])) != END:
            if turn := self._turn(before, expected, END, passed):
                turns += turn
            else:
                steps += (right, END)
            self._note(before, said, END)
        columns[0].append(turns + " ".join(map(str, steps)))
        return texts

    def read(self, texts: Sequence[Iterator[str]]) -> tuple[str, dict[int, str]]:
        """Return the document that stands next in these columns, and the last text of each mark.

        Raises ValueError, LookupError, StopIteration when it cannot be.
        """
        parts: list[str] = []
        last: dict[int, str] = {}
        follows, exceptions, written = self._follows, self._exceptions, self._written
        settled = self._recipes.settled
        before, said, size = END, "", 0
        told = next(texts[0])
        turned = told.rstrip(STEPS)
        steps, turns = map(int, told[len(turned) :].split()), (ord(char) - FIRST_TURN for char in turned)
        wrong, left = next(steps, MARKS_MAX), next(turns, MARKS_MAX)
        for place in range(MARKS_MAX):
            if place == wrong:
                number = next(steps)
                self._note(before, said, number)
                wrong += 1 + next(steps, MARKS_MAX)
            else:
                number = follows[before]
                if before in exceptions:
                    number = exceptions[before].get(said, number)
                    left -= 1
                    if left < 0:
                        others = self._others(before, number)
                        number = others[next(turns) if len(others) > 1 else 0]
                        self._note(before, said, number)
                        left = next(turns, MARKS_MAX)
            head, tail, alone = written[number]
            before = number
            if tail:
                said = next(texts[number])
                if len(said) >= CHARS_MIN:
                    size += len(said)
                    if number not in settled:
                        self._recipes.read(number, said, last)
                elif said == MADE:
                    said = self._recipes.read(number, said, last)
                last[number] = said
                parts.append(f"{head}{said}{tail}" if said != EMPTY else alone)
            elif alone:
                said = ""
                parts.append(alone)
            elif head:
                holes = list(islice(texts[number], head.count(_HOLE)))
                said, last[number], size = "", holes[0], size + sum(map(len, holes))
                parts.append(head.replace("%", "%%").replace(_HOLE, '"%s"') % tuple(holes))
            elif number == END:
                return "".join(parts), last
            else:
                said = last[number] = next(texts[number])
                parts.append(said)
                size += len(said)
            if size > UNPACKED_BYTES_MAX:
                break
        raise ValueError("a document has no end")

    def _turn(self, before: int, expected: int, number: int, passed: int) -> str:
        """Return how a turn is told; "" when this mark has never followed that one. passed: forks since the last turn."""
        others = self._others(before, expected) if self._in_turns else []
        if number not in others or max(passed, len(others)) > PASSED_MAX:
            return ""
        turn = chr(FIRST_TURN + passed)
        return turn if len(others) == 1 else turn + chr(FIRST_TURN + others.index(number))

    def _others(self, before: int, expected: int) -> list[int]:
        """Return what has followed a mark, in the order in which it was met, and is not what is expected."""
        return [number for number in self._followers.get(before, ()) if number != expected]

    def _note(self, before: int, said: str, number: int) -> None:
        """Expect a mark where another was; what only one has followed so far needs no text to tell."""
        if self._follows[before] != END:
            self._exceptions.setdefault(before, {})[said] = number
            followers = self._followers.setdefault(before, [self._follows[before]])
            if number not in followers:
                followers.append(number)
        self._follows[before] = number


def _written(mark: str) -> tuple[str, str, str]:
    """How a mark stands in a document: until its text, after it, and when it has none.

    A tag with holes is a text's beginning without an end, other markup the last of the three.
    """
    kind, name = mark[0], mark[1:]
    if kind == "L":
        return f"<{name}>", f"</{name}>", f"<{name} />"
    if kind == "T":
        return (name, "", "") if _HOLE in name else ("", "", name)
    return "", "", ""


def _cut_out(mark: str) -> tuple[str, int, str, str]:
    """How a mark stands in a document that is cut before each "<": its text's place, and the same as above."""
    head, tail, alone = _written(mark)
    return head[1:], len(head) - 1, tail[1:], alone[1:]


def _cut(piece: str, following: str) -> tuple[str, str, Sequence[str], str]:
    """Return the mark with which a piece of a document begins, its text, its holes, and the text behind it."""
    name, end, text = piece.partition(">")
    if not end:
        return "F", f"<{name}", (), ""
    if following == f"/{name}>":
        return f"L{name}", text, (), ""
    if '"' in name:
        mark, holes = _without_values(name)
        return mark, "", holes, text
    if name[-2:] == " /":
        return f"L{name[:-2]}", EMPTY, (), text
    return f"T<{name}>", "", (), text


@lru_cache(100)
def _without_values(name: str) -> tuple[str, Sequence[str]]:
    """Return the mark of a tag with attributes, and their values; most documents of a form begin with the same."""
    return f"T<{_ATTRIBUTE.sub(_HOLE, name)}>", tuple(_ATTRIBUTE.findall(name))


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
            outline.write(document.decode(errors="replace").encode())
        return outline

    @cached_property
    def known(self) -> Known:
        """The texts of these documents."""
        return Known(self.outline.columns)

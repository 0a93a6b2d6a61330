"""What a document says twice: texts that are put together from those before them, as a form's calculations do.

Nothing of a form is interpreted: writer and reader find the same recipes in the same documents, in the same order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

MADE = "\x05"
CHARS_MIN, CHARS_MAX = 5, 200
"""Others are not looked at: short texts cost little, and nobody calculates long ones."""
PIECE_CHARS_MIN = 3
PIECES_MAX = 8
TRIES_MAX = 4
"""Looking for a recipe takes as long as writing a document."""
MISSES_MAX = 24
"""What made none of so many texts on end is not tried again: most recipes were found by chance."""

Piece = str | tuple[int, int, int | None]
Recipe = tuple[Piece, ...]
"""One after the other: a text, or of the last text of a mark what stands from one place to another (None: to its end)."""


class Recipes:
    """How the texts of each mark are made of those before them in the same document.

    known: by mark, where there is one. promising: those of them that a writer tries. settled: marks that learn no more.
    """

    def __init__(self) -> None:
        self.known: dict[int, Recipe] = {}
        self.promising: dict[int, Recipe] = {}
        self.settled: set[int] = set()
        self._tries: dict[int, int] = {}
        self._misses: dict[int, int] = {}

    def copy(self, *, again: bool) -> Recipes:
        """Return the same recipes, to find others beside them. again: also where several texts made one, once more."""
        other = Recipes()
        other.known, other.promising = dict(self.known), dict(self.promising)
        reopened = {mark for mark, recipe in self.known.items() if again and _is_of_several(recipe)}
        other.settled = self.settled - reopened
        other._tries = {mark: tries for mark, tries in self._tries.items() if mark not in reopened}
        other._misses = dict(self._misses)
        return other

    def write(self, mark: int, text: str, texts: Mapping[int, str]) -> str:
        """Return what stands for a text in the column of its mark. texts: those before it in its document, by mark."""
        recipe = self.promising.get(mark)
        if recipe and text:
            if makes(recipe, text, texts):
                self._misses[mark] = 0
                return MADE
            self._misses[mark] = misses = self._misses.get(mark, 0) + 1
            if misses >= MISSES_MAX:
                del self.promising[mark]
        if len(text) >= CHARS_MIN and mark not in self.settled:
            self._learn(mark, text, texts)
        return text

    def read(self, mark: int, text: str, texts: Mapping[int, str]) -> str:
        """Return the text for which this stands. Raises LookupError."""
        if text == MADE:
            return follow(self.known[mark], texts)
        if len(text) >= CHARS_MIN and mark not in self.settled:
            self._learn(mark, text, texts)
        return text

    def _learn(self, mark: int, text: str, texts: Mapping[int, str]) -> None:
        tries = self._tries[mark] = self._tries.get(mark, 0) + 1
        if tries == TRIES_MAX:
            self.settled.add(mark)
        if len(text) <= CHARS_MAX and (found := find(text, texts)):
            self.known[mark] = self.promising[mark] = found
            self._misses[mark] = 0


def _is_of_several(recipe: Recipe) -> bool:
    """Whether it puts texts of several marks together. By chance a short text is made of one, a long one of many pieces."""
    marks = {piece[0] for piece in recipe if not isinstance(piece, str)}
    return len(marks) > 1 and len(recipe) <= PIECES_MAX


def makes(recipe: Recipe, text: str, texts: Mapping[int, str]) -> bool:
    """Whether a recipe makes this text of these: `follow`, up to where they differ."""
    if len(recipe) == 1 and not isinstance(recipe[0], str):
        mark, start, end = recipe[0]
        return texts.get(mark, "")[start:end] == text and len(text) <= CHARS_MAX
    place = 0
    for piece in recipe:
        made = piece if isinstance(piece, str) else texts.get(piece[0], "")[piece[1] : piece[2]]
        if not text.startswith(made, place):
            return False
        place += len(made)
    return place == len(text) <= CHARS_MAX


def follow(recipe: Recipe, texts: Mapping[int, str]) -> str:
    """Return what a recipe makes of these texts; nothing when that is long, since it might grow from mark to mark."""
    made = ""
    for piece in recipe:
        if isinstance(piece, str):
            made += piece
        else:
            mark, start, end = piece
            made += texts.get(mark, "")[start:end]
    return made if len(made) <= CHARS_MAX else ""


def find(text: str, texts: Mapping[int, str]) -> Recipe | None:
    """Return how a text is made of others, None when more than half of it is not.

    From its beginning on, each piece is the longest that stands in any of them: where it is a whole one if it is, else
    where one begins with it, else anywhere; of several such places the last.
    """
    others = "\0" + "\0".join(texts.values()) + "\0"
    cut: list[tuple[str, bool]] = []
    place, alone = 0, 0
    while place < len(text):
        size = _longest(text, place, others)
        cut.append((text[place : place + (size or 1)], bool(size)))
        place += size or 1
        alone += not size
        if 2 * alone > len(text):
            return None
    marks = list(texts)
    starts = list(accumulate((len(other) + 1 for other in texts.values()), initial=1))
    pieces: list[Piece] = []
    for piece, is_found in cut:
        if is_found:
            pieces.append(_where(piece, others, marks, starts))
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return tuple(pieces)


def _longest(text: str, place: int, others: str) -> int:
    """Return how many characters from this place on stand in the others; fewer than make a piece count as none."""
    least = place + PIECE_CHARS_MIN
    if least > len(text) or text[place:least] not in others:
        return 0
    ends = range(least + 1, len(text) + 1)
    return PIECE_CHARS_MIN + bisect_left(ends, True, key=lambda end: text[place:end] not in others)


def _where(piece: str, others: str, marks: Sequence[int], starts: Sequence[int]) -> Piece:
    ways = (f"\0{piece}\0", 1), (f"\0{piece}", 1), (piece, 0)
    at = next(found + skipped for way, skipped in ways if (found := others.rfind(way)) >= 0)
    number = bisect_right(starts, at) - 1
    start, end = at - starts[number], at - starts[number] + len(piece)
    return marks[number], start, None if others[at + len(piece)] == "\0" else end

"""What a document says twice: texts that are put together from those before them, as a form's calculations do.

Nothing of a form is interpreted: writer and reader find the same recipes in the same documents, in the same order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

CHARS_MIN, CHARS_MAX = 5, 200
"""Others are not looked at: short texts cost little, and nobody calculates long ones."""
PIECE_CHARS_MIN = 3
TRIES_MAX = 4
"""Looking for a recipe takes as long as writing a document."""

Piece = str | tuple[int, int, int | None]
Recipe = tuple[Piece, ...]
"""One after the other: a text, or of the last text of a mark what stands from one place to another (None: to its end)."""


class Recipes:
    """How the texts of each mark are made of those before them in the same document. known: by mark."""

    def __init__(self) -> None:
        self.known: dict[int, Recipe] = {}
        self._tries: dict[int, int] = {}

    def copy(self) -> Recipes:
        """Return the same recipes, to find others beside them."""
        other = Recipes()
        other.known, other._tries = dict(self.known), dict(self._tries)
        return other

    def learn(self, mark: int, text: str, texts: Mapping[int, str]) -> None:
        """Look for a recipe for a text of a mark that has none which makes it. texts: those before it, by mark."""
        tries = self._tries.get(mark, 0)
        if tries < TRIES_MAX and CHARS_MIN <= len(text) <= CHARS_MAX:
            self._tries[mark] = tries + 1
            if found := find(text, texts):
                self.known[mark] = found


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

    From its beginning on, each piece is the longest that stands in any of them, at the last place where it does.
    """
    marks = list(texts)
    all_texts = "\0".join(texts.values())
    starts = [0, *accumulate(len(other) + 1 for other in texts.values())]
    pieces: list[Piece] = []
    place, alone = 0, 0
    while place < len(text):
        size, at = PIECE_CHARS_MIN - 1, -1
        while place + size < len(text):
            found = all_texts.rfind(text[place : place + size + 1])
            if found < 0:
                break
            size, at = size + 1, found
        if at >= 0:
            number = bisect_right(starts, at) - 1
            start, end = at - starts[number], at - starts[number] + size
            pieces.append((marks[number], start, None if end == len(texts[marks[number]]) else end))
            place += size
            continue
        if pieces and isinstance(pieces[-1], str):
            pieces[-1] += text[place]
        else:
            pieces.append(text[place])
        alone += 1
        place += 1
    return tuple(pieces) if 2 * alone <= len(text) else None

"""What both ways through a frame share: its magic, its codes, and the documents of a form in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from sync import columns
from sync.columns import Known
from sync.outline import Outline, Primer


class Version(IntEnum):
    """What may stand in a frame, each with all that those before it have; a receiver says what it reads."""

    FIRST = 1
    IN_WORDS = 2
    IN_TURNS = 3

    @property
    def magic(self) -> bytes:
        """How a frame of it begins."""
        return b"CF%d" % self


MAGIC_BYTES = 3
ENTRY_COLUMNS = 11
STANDING = Known(
    [
        ["e", "e", "e", ""], ["1"], ["", "n"], ["\x02", ""], ["1790000000000", "3.1", "900000"],
        ["project", "form", "attachment", "entity", "review", "comment", "decision", "submission", ""], ["1", ""], [""],
        ["", "0"], ["1", "0"], [""], ["[\"", "\",\"", "\"]", ""],
        ["\x041"], ["\x0540", "\x05"], ["\x06"], ["\x081", "\x0812"], ["tablet 1", "\x04"],
        ["collect:", "\x056", "\x05"], ["web", "openrosa", "\x04"], ["\x07-3", "\x0720", "\x04"], ["2026010101", "\x04"],
        ["uuid:\x01", "\x08null", "\x04"],
    ] + 12 * [[""]]
)  # fmt: skip
"""What the columns of entries and of details are compressed against: what often stands there."""
NOTHING = Known([])
SENT, SKIP = "e", "s"
AS_IT_IS, NO_KEY = "p", "n"


@dataclass
class Model:
    """The documents of a form in one frame. primer: None when they have only each other."""

    primer: Primer | None
    outline: Outline
    known: Known

    @classmethod
    def of(cls, primer: Primer | None, version: Version) -> Model:
        """Begin with what the primer says."""
        in_turns = version >= Version.IN_TURNS
        if primer is None:
            return cls(None, Outline(in_turns=in_turns), NOTHING)
        return cls(primer, primer.outline.copy(in_turns=in_turns), primer.known)

    def pack(self, version: Version) -> bytes:
        """Return its columns, and before them one with the marks that are new."""
        before = len(self.primer.outline.marks) if self.primer else 1
        new = self.outline.marks[before:]
        return columns.pack(
            [[*new, ""], *self.outline.columns],
            self.known,
            in_words=version >= Version.IN_WORDS,
            with_numbers=version >= Version.IN_TURNS,
        )

    def unpack(self, part: bytes) -> list[Iterator[str]]:
        """Take the new marks up; return the columns."""
        new, *texts = columns.unpack(part, self.known, with_numbers=True)
        for mark in filter(None, new):
            self.outline.number(mark)
        return list(map(columns.endless, texts))

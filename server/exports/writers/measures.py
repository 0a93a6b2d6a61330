"""What SPSS and Stata ask of a table: short names, numbers for answers, labels for numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from server.exports.frames import Frame
from server.exports.names import unlike
from server.exports.spool import Seen
from server.exports.variables import Kind, Variable, said

NAME_MAX = 32
DIGITS_MAX = 15
"""A number in eight bytes keeps fifteen digits: longer ones stay texts."""
FOREIGN = re.compile(r"[^A-Za-z0-9_]+")
CODE = re.compile(r"-?\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Measure:
    """One column. kind: as numbers, but for texts. width: of the longest text, in bytes of UTF-8, at least 1.

    codes: of a select_one, the number of each answer; value_labels: the words for each number.
    """

    name: str
    label: str
    kind: Kind
    width: int
    codes: Mapping[str, int] = field(default_factory=dict)
    value_labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.kind is Kind.TEXT and not self.codes

    def reader(self, days: date, moments: datetime) -> Callable[[str], float]:
        """Return what makes a number of an answer that is not blank: a date is days, a dateTime seconds, since these."""
        if self.codes:
            return lambda cell: float(self.codes[cell])
        if self.kind is Kind.DATE:
            return lambda cell: float((date.fromisoformat(cell) - days).days)
        if self.kind is Kind.DATETIME:
            return lambda cell: (datetime.fromisoformat(cell) - moments).total_seconds()
        return float


def measures(one: Frame) -> list[Measure]:
    """Return the columns of a table; labels are in the frame's language."""
    names = unlike((_plain(variable.title) for variable in one.variables), NAME_MAX, "_")
    return [
        _measure(name, variable, seen, one.language)
        for name, variable, seen in zip(names, one.variables, one.seen, strict=True)
    ]


def moment(year: int, month: int, day: int) -> datetime:
    """Return a midnight in UTC."""
    return datetime(year, month, day, tzinfo=UTC)


def cut(text: str, size_bytes: int) -> bytes:
    """Return as much of a text as fits, in UTF-8, without half a character."""
    return text.encode()[:size_bytes].decode(errors="ignore").encode()


def _measure(name: str, variable: Variable, seen: Seen, language: str) -> Measure:
    label = variable.told(language)
    if not variable.is_single:
        is_long = variable.kind is Kind.INTEGER and seen.bytes_max > DIGITS_MAX and not variable.part
        return Measure(name, label, Kind.TEXT if is_long else variable.kind, max(seen.bytes_max, 1))
    choices = variable.choices
    answers = [*choices, *sorted(seen.choices - choices.keys() - {""})]
    if all(CODE.fullmatch(answer) for answer in answers) and len({*map(int, answers)}) == len(answers):
        codes = {answer: int(answer) for answer in answers}
    else:
        codes = {answer: number for number, answer in enumerate(answers, 1)}
    words = {
        answer: (said(choices[answer].label, language) or answer) if answer in choices else answer
        for answer in answers
    }
    value_labels = {codes[answer]: words[answer] for answer in answers}
    return Measure(name, label, Kind.INTEGER, 1, codes, dict(sorted(value_labels.items())))


def _plain(title: str) -> str:
    plain = FOREIGN.sub("_", title).strip("_")
    return plain if plain[:1].isalpha() else f"v{plain}"

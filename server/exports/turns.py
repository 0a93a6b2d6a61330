"""Cells made of other cells: a choice of several, labels for names, dates of the Solar Hijri calendar. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from server.exports.disclosure import band
from server.exports.spool import Cells, fits
from server.exports.variables import Kind, Variable, said

Turn = Callable[[Cells, Cells], Iterable[str]]
"""Makes a column's cells of those it comes from; the other cells tell of each row why it shows no answers."""

DATE_LENGTH = len("2026-11-22")


def chooser(choice: str) -> Turn:
    """Return 1 where the choice was given, 0 elsewhere. Source: ODK Central's `splitSelectMultiples`."""

    def choose(cells: Cells, sealed: Cells) -> Iterable[str]:
        return (
            "" if closed else "1" if choice in cell.split() else "0"
            for cell, closed in zip(cells, sealed, strict=True)
        )

    return choose


def labeller(one: Variable, language: str) -> Turn | None:
    """Return the labels of the choices, with `; ` between several; None when the answers are no choices.

    What has no label stays as it was sent.
    """
    labels = {name: said(choice.label, language) or name for name, choice in one.choices.items()}
    if not labels:
        return None
    if one.is_multiple:
        return lambda cells, _: ("; ".join(labels.get(name, name) for name in cell.split()) for cell in cells)
    return lambda cells, _: (labels.get(cell, cell) for cell in cells)


def bander(bounds: Sequence[int]) -> Turn:
    """Return the bands that numbers fall into."""
    return lambda cells, _: (band(bounds, cell) for cell in cells)


def solar(cells: Cells, _: Cells) -> Iterable[str]:
    """Return dates, and the dates of dateTimes as they were written, as 1405-09-01; blank for what is none."""
    return (_solar(cell[:DATE_LENGTH]) for cell in cells)


@lru_cache(maxsize=4096)
def _solar(text: str) -> str:
    from jalali_core import GregorianToJalali

    if not text or not fits(Kind.DATE, [text]):
        return ""
    year, month, day = GregorianToJalali(*map(int, text.split("-"))).getJalaliList()
    return f"{year:04}-{month:02}-{day:02}"

"""Tables as they are written: the columns that the options ask for, and the rows in that shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from server.exports.options import Format, Options
from server.exports.rows import Row
from server.exports.spool import Cells, Seen, Spool
from server.exports.variables import Kind, Variable

Turn = Callable[[Cells, Cells], Iterable[str]]
"""Makes a column's cells of those it comes from; the other cells tell of each row why it shows no answers."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A table to be written. name: of its file, without ending. rows: how many. seen: of each column's source. language: of its labels.

    pages: yields the rows, in the columns' order, from the start each time. chunks: instead of pages, the rows as CSV.
    """

    name: str
    variables: tuple[Variable, ...]
    rows: int
    seen: tuple[Seen, ...]
    language: str
    pages: Callable[[], Iterator[list[Row]]]
    chunks: Callable[[], Iterator[bytes]] | None = None


def is_plain(options: Options) -> bool:
    """Return whether the rows are written as they are read."""
    return options.format is Format.CSV and not options.split and options.empty_columns


def watch(spool: Spool, options: Options) -> None:
    """Have a spool look at what `frame` must know."""
    if not options.empty_columns:
        spool.watch(lambda one: one.column is not None, Seen.fill)
    if options.split:
        spool.watch(lambda one: one.is_multiple, Seen.choose)
    if options.format.is_labelled:
        spool.watch(lambda _: True, Seen.measure)
        spool.watch(lambda one: one.is_single, Seen.answer)
    if options.format.is_typed:
        spool.watch(lambda one: one.kind is not Kind.TEXT, Seen.fit)


def frame(spool: Spool, options: Options, language: str) -> Frame:
    """Return a table in the shape that the options ask for."""
    found: list[tuple[Variable, Seen, Turn | None]] = []
    for seen in spool.seen:
        one = seen.variable if seen.fits else replace(seen.variable, kind=Kind.TEXT)
        if not options.empty_columns and one.column and not seen.is_filled:
            continue
        found.append((one, seen, None))
        if options.split and one.is_multiple:
            for choice in sorted(seen.choices):
                part = replace(one, title=f"{one.title}/{choice}", kind=Kind.INTEGER, part=choice)
                found.append((part, seen, _chooser(choice)))
    shaped = tuple(one for one, _, _ in found)
    pages = spool.pages
    if [one.title for one in shaped] != [seen.variable.title for seen in spool.seen]:
        turns = [(one.source, turn) for one, _, turn in found]
        status = next((seen.variable.source for seen in spool.seen if seen.variable.title == "Status"), None)
        pages = partial(_shaped, spool.pages, turns, status)
    chunks = spool.chunks if spool.is_csv else None
    return Frame(spool.name, shaped, spool.rows, tuple(seen for _, seen, _ in found), language, pages, chunks)


def _shaped(
    pages: Callable[[], Iterator[list[Row]]], turns: Sequence[tuple[int, Turn | None]], status: int | None
) -> Iterator[list[Row]]:
    for rows in pages():
        columns: list[Cells] = list(zip(*rows, strict=True))
        sealed = [""] * len(rows) if status is None else columns[status]
        shaped = [turn(columns[source], sealed) if turn else columns[source] for source, turn in turns]
        yield list(map(list, zip(*shaped, strict=True)))


def _chooser(choice: str) -> Turn:
    """1 where the choice was given, 0 elsewhere. Source: ODK Central's `splitSelectMultiples`."""

    def choose(cells: Cells, sealed: Cells) -> Iterable[str]:
        return (
            "" if closed else "1" if choice in cell.split() else "0"
            for cell, closed in zip(cells, sealed, strict=True)
        )

    return choose

"""Tables as they are written: the columns that the options ask for, and the rows in that shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from server.exports.disclosure import read_bands
from server.exports.hxl import tag
from server.exports.names import unlike
from server.exports.options import Format, Options
from server.exports.profiles import PROFILES, Shaped
from server.exports.rows import Row, csv_bytes, csv_columns
from server.exports.spool import Cells, Seen, Spool
from server.exports.turns import Turn, bander, chooser, labeller, solar
from server.exports.variables import Kind, Variable

SOLAR = "SolarHijri"


@dataclass(frozen=True, slots=True)
class Frame:
    """A table to be written. name: of its file, without ending. rows: how many. seen: of each column's source.

    language: of its labels. heads: the titles and, on request, HXL tags. unanswered: titles of columns left out as empty.
    pages: yields the rows, in the columns' order, from the start each time; not where `is_kept_as_csv`.
    chunks: yields the rows as CSV, some whole ones at a time.
    """

    name: str
    variables: tuple[Variable, ...]
    rows: int
    seen: tuple[Seen, ...]
    language: str
    heads: tuple[Row, ...]
    unanswered: tuple[str, ...]
    pages: Callable[[], Iterator[list[Row]]]
    chunks: Callable[[], Iterator[bytes]]


def is_kept_as_csv(options: Options) -> bool:
    """Return whether the rows are written as they are read, by a writer that takes chunks."""
    return options.format in (Format.CSV, Format.PARQUET) and options == Options(
        format=options.format,
        personal=options.personal,
        view=options.view,
        as_of=options.as_of,
        filter=options.filter,
        group_paths=options.group_paths,
        deleted_fields=options.deleted_fields,
        empty_columns=options.empty_columns,
    )


def watch(spool: Spool, options: Options) -> None:
    """Have a spool look at what `frame` must know."""
    if not options.empty_columns:
        spool.look_for_answers(lambda one: one.column is not None)
    if options.split:
        spool.watch(lambda one: one.is_multiple, Seen.choose)
    if options.format.is_labelled:
        spool.watch(lambda _: True, Seen.measure)
        spool.watch(lambda one: one.is_single, Seen.answer)
    if options.format.is_typed:
        spool.fit(lambda one: _is_foreign(one, options))


def _is_foreign(one: Variable, options: Options) -> bool:
    """Whether somebody else wrote the cells: what we count ourselves fits, unless it is a pseudonym."""
    return one.column is not None or bool(options.recipient)


def frame(spool: Spool, options: Options, language: str) -> Frame:
    """Return a table in the shape that the options ask for. language: of labels."""
    found = [shaped for seen in spool.seen for shaped in _columns(seen, options, language)]
    found = PROFILES[options.profile](spool.table, found)
    shaped = tuple(one for one, _, _ in found)
    if options.tells_labels:
        titles = unlike(one.told(language) if one.column else one.title for one in shaped)
        shaped = tuple(replace(one, title=title) for one, title in zip(shaped, titles, strict=True))
    pages = spool.pages
    known = tuple(seen for _, seen, _ in found)
    turns = [(one.source, one.span, turn) for one, _, turn in found]
    if turns != [(place, 1, None) for place in range(len(spool.seen))]:
        status = next((seen.variable.source for seen in spool.seen if seen.variable.title == "Status"), None)
        pages = partial(_shaped, spool.pages, turns, status)
        if options.format.is_labelled:
            known = tuple(
                Seen(one) if turn or one.span > 1 else seen
                for one, seen, turn in zip(shaped, known, (turn for *_, turn in turns), strict=True)
            )
            _measure(pages, [(place, seen) for place, seen in enumerate(known) if seen not in spool.seen])
    return Frame(
        name=spool.name,
        variables=shaped,
        rows=spool.rows,
        seen=known,
        language=language,
        heads=tuple([[one.title for one in shaped], [tag(one) for one in shaped]][: 1 + options.hxl]),
        unanswered=tuple(seen.variable.title for seen in spool.seen if not seen.is_filled),
        pages=pages,
        chunks=partial(_chunks, spool, pages, [source for source, _, _ in turns]),
    )


def _chunks(spool: Spool, pages: Callable[[], Iterator[list[Row]]], places: Sequence[int]) -> Iterator[bytes]:
    """The rows as CSV; where they are kept as that, only columns may be missing."""
    if not spool.is_csv:
        return map(csv_bytes, pages())
    if len(places) == len(spool.seen):
        return spool.chunks()
    return (csv_columns(chunk, len(spool.seen), places) for chunk in spool.chunks())


def _columns(seen: Seen, options: Options, language: str) -> Iterator[Shaped]:
    """Yield what becomes of a column as read: itself, then what is made of it."""
    one = seen.variable if seen.fits else replace(seen.variable, kind=Kind.TEXT)
    if not options.empty_columns and one.column and not seen.is_filled:
        return
    bounds = read_bands(options.bands).get(one.field.name, ()) if one.field else ()
    if bounds:
        yield replace(one, kind=Kind.TEXT), seen, bander(bounds)
        return
    yield one, seen, labeller(one, language) if options.tells_labels else None
    if options.split and one.is_multiple:
        for choice in sorted(seen.choices):
            part = replace(one, title=f"{one.title}/{choice}", kind=Kind.INTEGER, part=choice)
            yield part, seen, chooser(choice)
    if options.solar and seen.variable.kind in (Kind.DATE, Kind.DATETIME):
        yield replace(one, title=f"{one.title}-{SOLAR}", kind=Kind.TEXT, part=SOLAR), seen, solar


def _measure(pages: Callable[[], Iterator[list[Row]]], made: Sequence[tuple[int, Seen]]) -> None:
    """Have the columns that are made of others looked at: formats with room for so many bytes would cut them."""
    for rows in pages() if made else ():
        columns = list(zip(*rows, strict=True))
        for place, seen in made:
            seen.measure(columns[place])
            if seen.variable.is_single:
                seen.answer(columns[place])


def _shaped(
    pages: Callable[[], Iterator[list[Row]]],
    turns: Sequence[tuple[int, int, Turn | None]],
    status: int | None,
) -> Iterator[list[Row]]:
    for rows in pages():
        columns: list[Cells] = list(zip(*rows, strict=True))
        sealed = [""] * len(rows) if status is None else columns[status]
        sources = (
            columns[source] if span == 1 else _joined(columns[source : source + span])
            for source, span, _ in turns
        )
        shaped = [
            turn(cells, sealed) if turn else cells for cells, (*_, turn) in zip(sources, turns, strict=True)
        ]
        yield list(map(list, zip(*shaped, strict=True)))


def _joined(columns: Sequence[Cells]) -> Cells:
    return [" ".join(filter(None, cells)) for cells in zip(*columns, strict=True)]

"""Small counts in a table that is published with its totals: which cells stay blank. Pure.

A count of one to four tells of persons, so it is hidden; and with it as many others that no total gives it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

FEWEST = 5
"""Counts below it, but for zero, are hidden. Source: the practice of statistical offices; OCHA's guidance on flow tables."""

Place = tuple[int, int]
Matrix = list[list[int]]


def suppress(counts: Sequence[Sequence[int]]) -> list[list[int | None]]:
    """Return the table with a column and a row of totals added, and None for what is to be hidden.

    counts: rows of equal length, none negative. No hidden count follows from the others: each stands in a circle of hidden
    ones, along whose rows and columns something could be moved. Rows and columns are those that are published together.
    """
    table = [[*row, sum(row)] for row in counts]
    table.append([sum(column) for column in zip(*table, strict=True)])
    hidden = {(i, j) for i, row in enumerate(table) for j, count in enumerate(row) if 0 < count < FEWEST}
    while (more := _next(table, hidden)) is not None:
        hidden.add(more)
    return [
        [None if (i, j) in hidden else count for j, count in enumerate(row)] for i, row in enumerate(table)
    ]


def _next(table: Matrix, hidden: set[Place]) -> Place | None:
    """Return a cell that has to be hidden too, None when all is safe."""
    for line in _lines(table):
        dark = [place for place in line if place in hidden]
        is_bare = len(dark) == 1 or (dark and sum(table[i][j] for i, j in dark) < FEWEST)
        if is_bare and (found := _least(table, line, hidden)):
            return found
    for row, column in sorted(hidden):
        if not _is_in_circle(row, column, hidden):
            for line in ([(row, j) for j in range(len(table[0]))], [(i, column) for i in range(len(table))]):
                if found := _least(table, line, hidden):
                    return found
    return None


def _lines(table: Matrix) -> Iterator[list[Place]]:
    yield from ([(i, j) for j in range(len(table[0]))] for i in range(len(table)))
    yield from ([(i, j) for i in range(len(table))] for j in range(len(table[0])))


def _least(table: Matrix, line: Sequence[Place], hidden: set[Place]) -> Place | None:
    """The smallest count that is still shown; zero last, for it protects least, and totals after others as small."""
    shown = [place for place in line if place not in hidden]
    ends = (len(table) - 1, len(table[0]) - 1)

    def cost(place: Place) -> tuple[bool, int, bool, Place]:
        count = table[place[0]][place[1]]
        return count == 0, count, place[0] == ends[0] or place[1] == ends[1], place

    return min(shown, key=cost, default=None)


def _is_in_circle(row: int, column: int, hidden: set[Place]) -> bool:
    """Whether one comes from this cell's row to its column along other hidden cells."""
    rows, columns = {row}, set[int]()
    while True:
        more = {j for i, j in hidden if i in rows and (i, j) != (row, column)} - columns
        columns |= more
        if column in columns:
            return True
        found = {i for i, j in hidden if j in columns and (i, j) != (row, column)} - rows
        if not found:
            return False
        rows |= found

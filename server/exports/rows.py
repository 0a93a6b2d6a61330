"""Answers to rows: the JSON of one submission becomes cells of the tables of `server.exports.layout`. Pure.

Works by whole runs of columns that stand in one group, so that the loop over cells runs in C: the form of 65
columns is the common case, and a million submissions of it are to be exported in minutes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, repeat
from operator import itemgetter
from typing import Any

from server.exports.layout import Column, Spot, Table

Answers = dict[str, Any]
"""As `forms.instance.to_json` writes them: texts, groups as objects, rows (and names that stand twice) as lists."""
Row = list[str]

Getter = Callable[[Answers], tuple[Any, ...]]

NOTHING: Answers = {}
BLANKS = repeat("")
NO_GROUP = -1
CELL = re.compile(rb'("(?:[^"]|"")*+"|[^,"\n]*+)[,\n]')
"""Of CSV, as it is written."""


@dataclass
class Reader:
    """Reads the rows of one table, and of the repeats inside it.

    index: of the table. groups: (index of the group around it, name, whether it is a repeat in another version);
    group 0 is the row itself. runs: (group, names, getter of all of them) of neighbouring columns; a getter is None
    and the names are blank where this version has no such questions. doubles: (cell, group, name) of what belongs
    into a cell too. points, files: places of such cells, before points are split. repeats: (group, name, path from
    the row, reader). whole: the getter of the whole row, of a table that is nothing but one run.
    """

    index: int
    groups: list[tuple[int, str, bool]] = field(default_factory=list)
    runs: list[tuple[int, tuple[str, ...], Getter | None]] = field(default_factory=list)
    doubles: list[tuple[int, int, str]] = field(default_factory=list)
    points: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    repeats: list[tuple[int, str, str, Reader]] = field(default_factory=list)
    whole: Getter | None = None

    def read(self, answers: Answers, key: str, found: Sequence[list[Row]], files: set[str]) -> Row:
        """Return the cells of this row; append the rows of its repeats to `found`, add file names to `files`.

        Rows still need `as_texts`.
        """
        if self.whole:  # most rows of most repeats
            try:
                return [*self.whole(answers)]
            except KeyError:  # something was not relevant
                pass
        nodes = [answers]
        for around, name, is_rows in self.groups:
            node = nodes[around].get(name)
            nodes.append(node if type(node) is dict else _as_group(node, is_rows))
        row: Row = []
        for group, names, get_all in self.runs:
            if get_all is None:
                row += names
                continue
            try:
                row += get_all(nodes[group])
            except KeyError:  # something was not relevant
                row += map(nodes[group].get, names, BLANKS)
        if self.doubles or self.files or self.points:
            (row,) = as_texts([row])
        for cell, group, name in self.doubles:
            row[cell] = " ".join(filter(None, (row[cell], _as_text(nodes[group].get(name, "")))))
        for place in self.files:
            files.add(row[place].strip())
        for place in self.points:
            row[place : place + 1] = [*row[place].split(maxsplit=3), "", "", "", ""][:4]
        for group, name, path, reader in self.repeats:
            rows = nodes[group].get(name)
            if type(rows) is list:
                for number, below in enumerate(rows, 1):
                    own = f"{key}{path}[{number}]"
                    cells = reader.read(below if type(below) is dict else NOTHING, own, found, files)
                    found[reader.index].append([*cells, key, own])
        return row


def reader(tables: Sequence[Table], spots: Mapping[Spot, int]) -> Reader:
    """Return the reader of the form's own table, `tables[0]`, for the instances of one version.

    spots: what stands where in them. A table may be read from several places, a cell too.
    """
    indexes = {table.repeat: index for index, table in enumerate(tables)}
    sources: dict[tuple[str, ...], dict[int, list[str]]] = {}
    for spot, one in spots.items():
        sources.setdefault(spot.repeats, {}).setdefault(one, []).append(spot.path)
    repeats = frozenset(spot.path for spot in spots if spot.is_repeat)

    def read_table(chain: tuple[str, ...], index: int) -> Reader:
        one, places = Reader(index), {chain[-1] if chain else "": 0}
        own = sources.get(chain, {})
        _add_columns(one, tables[index].columns, own, lambda path: _group(one, places, path, repeats))
        for inner, paths in own.items():
            for path in paths if inner in indexes else ():
                above, _, name = path.rpartition("/")
                group = _group(one, places, above, repeats)
                below = read_table((*chain, path), indexes[inner])
                one.repeats.append((group, name, path.removeprefix(chain[-1] if chain else ""), below))
        if len(one.runs) == 1 and not (one.groups or one.doubles or one.points or one.files or one.repeats):
            one.whole = one.runs[0][2]
        return one

    return read_table((), 0)


def _add_columns(
    one: Reader,
    columns: Sequence[Column],
    sources: Mapping[int, Sequence[str]],
    group_of: Callable[[str], int],
) -> None:
    """Say where each cell of the row comes from; a column without a source stays blank."""
    found = []
    for place, column in enumerate(columns):
        paths = [path.rpartition("/") for path in sources.get(column.question, ())]
        groups = [(group_of(above), name) for above, _, name in paths]
        found.append(groups[0] if groups else (NO_GROUP, ""))
        one.doubles += [(place, group, name) for group, name in groups[1:]]
    for group, run in groupby(found, lambda pair: pair[0]):
        names = tuple(name for _, name in run)
        one.runs.append((group, names, None if group == NO_GROUP else _getter(names)))
    # from the right, so that splitting one point moves no other
    one.points += [place for place, column in reversed(list(enumerate(columns))) if column.is_point]
    one.files += [place for place, column in enumerate(columns) if column.is_file]


def as_texts(rows: list[Row]) -> list[Row]:
    """Return rows as `Reader.read` gives them with nothing but texts in their cells."""
    try:
        "".join(chain.from_iterable(rows))
    except TypeError:
        return [list(map(_as_text, row)) for row in rows]
    return rows


def csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    """Return the rows, of two cells or more, as CSV: UTF-8, LF, quotes only where needed.

    A lone carriage return is quoted too, unlike Central's: Python before 3.13 does so only when lines end in it.
    Raises TypeError for a cell that is no text.
    """
    rows = list(rows)
    lines = list(map(",".join, rows))
    content = "\n".join([*lines, ""]).encode()
    marks = sum(map(len, rows))
    if len(content) - len(content.translate(None, b',"\r\n')) == marks:  # those between cells and rows
        return content
    quoted = _Lines()
    quote = csv.writer(quoted, lineterminator="\r\n").writerow
    for row, line in zip(rows, lines, strict=True):
        if line.count(",") == len(row) - 1 and not ('"' in line or "\n" in line or "\r" in line):
            quoted.append(line)
        else:
            quote(row)
            quoted[-1] = quoted[-1][:-2]
    return "\n".join([*quoted, ""]).encode()


def csv_columns(content: bytes, width: int, places: Sequence[int]) -> bytes:
    """Return only these columns of whole rows of `width` cells, two of them or more, that `csv_bytes` wrote."""
    cells = CELL.findall(content)
    columns = [cells[place::width] for place in places]
    return b"\n".join([*map(b",".join, zip(*columns, strict=True)), b""])


class _Lines(list[str]):
    write = list.append


def _getter(names: tuple[str, ...]) -> Getter:
    """Half as long as asking name by name."""
    get = itemgetter(*names)
    return get if len(names) > 1 else lambda node: (get(node),)


def _group(one: Reader, places: dict[str, int], path: str, repeats: frozenset[str]) -> int:
    """Return the place of this group among the reader's, adding it and those around it when they are new."""
    if path not in places:
        above, _, name = path.rpartition("/")
        around = _group(one, places, above, repeats)
        one.groups.append((around, name, path in repeats))
        places[path] = len(one.groups)
    return places[path]


def _as_group(node: object, is_rows: bool) -> Answers:
    """A group that stands twice is read as one; a repeat of another version has its own table."""
    if not isinstance(node, list) or is_rows:
        return NOTHING
    merged: Answers = {}
    for part in node:
        for name, child in part.items() if isinstance(part, dict) else ():
            merged[name] = [*_as_list(merged[name]), *_as_list(child)] if name in merged else child
    return merged


def _as_list(node: object) -> list[object]:
    return node if isinstance(node, list) else [node]


def _as_text(node: object) -> str:
    """The text of an element with attributes, or, with a blank between, of one that stands twice."""
    match node:
        case str():
            return node
        case dict():
            return _as_text(node.get("#text", ""))
        case list():
            return " ".join(filter(None, map(_as_text, node)))
    return ""

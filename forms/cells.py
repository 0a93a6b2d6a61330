"""An instance as cells, and back: one cell for everything that two people can change apart.

A cell is named by its path. A row of a repeat with a key stands under its key, wherever it stands in the list:
`/member[uuid:1]/age`; the row itself is a cell, `/member[uuid:1]`. A choice of a select_multiple that merges as a
set is a cell: `/needs#water`. What has no identity inside is one cell as a whole: a repeat without a key, what the
form does not know.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from forms import values
from forms.instance import NOWHERE, Answer, Tree, canonical_node, plain_node
from forms.merge_rules import Shape
from forms.schema import FormSchema, Place


class Cell(NamedTuple):
    """text: as sent. said: what it means, equal for two ways to write it. is_whole: the text is JSON of what is inside."""

    text: str
    said: str
    is_whole: bool = False


Cells = Mapping[str, Cell]
BLANK = Cell("", "")
HERE = Cell("yes", "yes")
"""What the cell of a row says: the row is there."""
KEY = re.compile(r"[\w:.-]{1,80}")
ROW = re.compile(r"\[[^\]]*\]")
LOST_KEY = "~"
"""Begins the key of a row that has none of its own: the row is known by its content."""
OWN_TEXT, OWN_TEXT_CELL = "#text", "@text()"


def read(answers: Tree, schema: FormSchema, shape: Shape) -> dict[str, Cell]:
    """Return the cells of an instance in its own order; blank ones are left out."""
    cells: dict[str, Cell] = {}
    _read(answers, schema.top, "", cells, shape)
    return cells


def write(cells: Cells) -> dict[str, Any]:
    """Return the cells as a document, as `instance.to_json` gives it; rows stand in the order of their cells."""
    rows: dict[str, dict[str, Any]] = {"": {}}
    for path, cell in cells.items():
        field, _, choice = path.partition("#")
        parent = _container(field, rows)
        name = field.rpartition("/")[2].replace(OWN_TEXT_CELL, OWN_TEXT)
        if choice:
            parent[name] = f"{parent[name]} {choice}" if name in parent else choice
        elif name.endswith("]"):
            _container(f"{field}/", rows)
        else:
            _put(parent, name, orjson.loads(cell.text) if cell.is_whole else cell.text)
    return rows[""]


def moved(cells: Cells, moves: Mapping[str, str]) -> Cells:
    """Return the cells where a newer version has them. moves: path there → path here, of questions and repeats.

    A cell that would leave its row stays where it was.
    """
    return {_moved(name, moves): cell for name, cell in cells.items()} if moves else cells


def _moved(cell: str, moves: Mapping[str, str]) -> str:
    field, mark, choice = cell.partition("#")
    path = path_of(field)
    found = moves.get(path, path)
    own = [*rows_of(field), *([field] if field.endswith("]") else [])]
    for row in reversed(own):
        key = row[row.rindex("[") :]
        repeat = moves.get(path_of(row), path_of(row))
        if not f"{ROW.sub('', found)}/".startswith(f"{repeat}/"):
            return cell
        found = repeat + key + found[len(repeat) :]
    return found + mark + choice


def path_of(cell: str) -> str:
    """Return the path in the schema of a cell: `/member/age` of `/member[uuid:1]/age`."""
    field = cell.partition("#")[0]
    return ROW.sub("", field) if "[" in field else field


def rows_of(cell: str) -> Iterator[str]:
    """Yield the cells of the rows around a cell, outer first, without itself."""
    field = cell.partition("#")[0]
    at = field.find("]/")
    while at >= 0:
        yield field[: at + 1]
        at = field.find("]/", at + 1)


def is_row(cell: str) -> bool:
    """Return whether a cell is that of a row."""
    return cell.endswith("]") and "#" not in cell


def _read(tree: Tree, place: Place, path: str, cells: dict[str, Cell], shape: Shape) -> None:
    for name, child in tree.items():
        below = place.below.get(name, NOWHERE)
        here = f"{path}/{OWN_TEXT_CELL if name == OWN_TEXT else name}"
        if isinstance(child, Answer):
            said = values.canonical(below.type, child.text, child.value)
            if said and below.field is not None and below.field.path in shape.sets:
                for choice in said.split():
                    cells[f"{here}#{choice}"] = Cell(choice, choice)
            elif said:
                cells[here] = Cell(child.text, said)
        elif below.is_group and not isinstance(child, tuple):
            _read(child, below, here, cells, shape)
        elif isinstance(child, tuple) and below.is_repeat and (key := shape.keys.get(path_of(here))):
            _read_rows(child, below, here, key, cells, shape)
        elif content := canonical_node(child, below):
            cells[here] = Cell(orjson.dumps(plain_node(child)).decode(), _digest(content), is_whole=True)


def _read_rows(
    rows: tuple[Answer | Tree, ...],
    place: Place,
    path: str,
    key_name: str,
    cells: dict[str, Cell],
    shape: Shape,
) -> None:
    trees = [{OWN_TEXT: row} if isinstance(row, Answer) else row for row in rows]
    alike: dict[str, list[int]] = {}
    for number, tree in enumerate(trees):
        alike.setdefault(_row_key(tree, place, key_name), []).append(number)
    names = {}
    for key, numbers in alike.items():
        if len(numbers) > 1:
            numbers.sort(key=lambda number: _digest(canonical_node(trees[number], place)))
        for times, number in enumerate(numbers, 1):
            names[number] = f"{path}[{key}]" if times == 1 else f"{path}[{key}{LOST_KEY}{times}]"
    for number, tree in enumerate(trees):
        cells[names[number]] = HERE
        _read(tree, place, names[number], cells, shape)


def _row_key(row: Tree, place: Place, key_name: str) -> str:
    own = row.get(key_name)
    key = own.text.strip() if isinstance(own, Answer) else ""
    return key if KEY.fullmatch(key) else f"{LOST_KEY}{_digest(canonical_node(row, place))}"


def _digest(content: object) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _container(path: str, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the object that holds the last name of a path, made when it is not there yet."""
    above = path.rpartition("/")[0]
    if above not in rows:
        parent = _container(above, rows)
        name, is_row, _ = above.rpartition("/")[2].partition("[")
        rows[above] = {}
        _put(parent, name, [rows[above]] if is_row else rows[above])
    return rows[above]


def _put(parent: dict[str, Any], name: str, value: Any) -> None:
    """Add a child; what was a question in one version and a group in another keeps both."""
    match parent.get(name), value:
        case None, _:
            parent[name] = value
        case list() as before, list():
            before += value
        case str() as text, dict():
            value[OWN_TEXT] = text
            parent[name] = value
        case dict() as before, str():
            before[OWN_TEXT] = value
        case before, _:
            parent[name] = [*(before if isinstance(before, list) else [before]), value]

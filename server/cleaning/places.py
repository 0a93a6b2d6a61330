"""Finding what a person's or a file's words for an answer mean: a question, a row of a repeat, a choice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from forms.cells import KEY, path_of
from forms.schema import Field, FieldType, FormSchema, Node, Repeat
from server.merging import FormLine

ROWS = re.compile(r"([^/\[\]]+)\[([^\]]*)\]")
SETS = frozenset({FieldType.SELECT_MULTIPLE, FieldType.RANK})


class NoPlaceError(Exception):
    """Says in a sentence, without any answer, why something names nothing."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What is meant. path: in the schema of the record's version. field: None for a repeat. choice: of a set."""

    path: str
    field: Field | None
    choice: str = ""


@dataclass(frozen=True)
class Questions:
    """The questions of a form by every way to name them: paths, names, titles of export columns."""

    line: FormLine

    def find(self, at: int, name: str) -> Spot:
        """Return the question, repeat or choice that a name means in the version at place `at`.

        name: also as other versions have it; `needs/water` or `needs.water` for a choice. Raises NoPlaceError.
        """
        for version in (at, *(other for other in reversed(range(len(self.line.versions))) if other != at)):
            spot = _spot(self.line.versions[version].schema, self._names[version], name)
            if spot is None:
                continue
            path = spot.path if version == at else self.line.moves(version, at).get(spot.path, spot.path)
            node = self.line.versions[at].schema.by_path.get(path)
            if isinstance(node, Field | Repeat):
                return Spot(path, node if isinstance(node, Field) else None, spot.choice)
            raise NoPlaceError("This record's form version does not have that question.")
        raise NoPlaceError("The form has no such question.")

    @cached_property
    def _names(self) -> tuple[Mapping[str, list[str]], ...]:
        return tuple(_names(version.schema) for version in self.line.versions)


def locate(document: Mapping[str, Any], schema: FormSchema, path: str, row: str) -> str:
    """Return the cell of a question or of a repeat's row in a record.

    row: which one, as an export's KEY says it (`uuid:…/member[2]`), or for one repeat its number or the row's key.
    Raises NoPlaceError.
    """
    chain = [one for one in schema.repeats if f"{path}/".startswith(f"{one.path}/")]
    given = [key for _, key in ROWS.findall(row)] or ([row.strip()] if row.strip() else [])
    if len(given) != len(chain):
        raise NoPlaceError(
            "Say which row of the repeat: its KEY, its number or its key."
            if len(given) < len(chain)
            else "This question stands in fewer repeats than the row says."
        )
    cell, above, node = "", "", document
    for repeat, key in zip(chain, given, strict=True):
        *groups, name = repeat.path.removeprefix(above).strip("/").split("/")
        for group in groups:
            node = node.get(group) or {}
        own, node = _row(repeat, node.get(name), key)
        cell += "".join(f"/{group}" for group in groups) + f"/{name}[{own}]"
        above = repeat.path
    return cell + path.removeprefix(above)


def split_rows(name: str) -> tuple[str, str]:
    """Return a name without its rows, and the rows: `/member[2]/age` is `/member/age` and `member[2]`."""
    rows = "/".join(f"{one}[{key}]" for one, key in ROWS.findall(name))
    return (path_of(name), rows) if rows else (name, "")


def _row(repeat: Repeat, rows: object, key: str) -> tuple[str, Mapping[str, Any]]:
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    number = key.removeprefix("@")
    by_place = found[int(number) - 1] if number.isdecimal() and 0 < int(number) <= len(found) else None
    if not repeat.row_key:
        if by_place is None:
            raise NoPlaceError(
                f"The repeat “{repeat.name}” has no such row; its rows are known by their number."
            )
        return f"@{number}", by_place
    for row in found:
        if row.get(repeat.row_key) == key and KEY.fullmatch(key):
            return key, row
    own = by_place.get(repeat.row_key) if by_place is not None else None
    if by_place is None or not isinstance(own, str) or not KEY.fullmatch(own):
        raise NoPlaceError(f"The repeat “{repeat.name}” has no such row, or the row has no key.")
    return own, by_place


def _spot(schema: FormSchema, known: Mapping[str, list[str]], name: str) -> Spot | None:
    for path, choice in _readings(known, name):
        node = schema.by_path[path]
        if not choice:
            return Spot(path, node if isinstance(node, Field) else None)
        if isinstance(node, Field) and node.type in SETS:
            return Spot(path, node, choice)
    return None


def _readings(known: Mapping[str, list[str]], name: str) -> Iterator[tuple[str, str]]:
    """What a name can mean, the whole of it first: (path, choice)."""
    if len(known.get(name, ())) > 1:
        raise NoPlaceError("Several questions have this name; give the path, as /group/name.")
    for at in (len(name), *(place for place in range(len(name) - 1, 0, -1) if name[place] in "/.#")):
        paths = known.get(name[:at], ())
        if len(paths) == 1:
            yield paths[0], name[at + 1 :]


def _names(schema: FormSchema) -> Mapping[str, list[str]]:
    """Every way to name a question or repeat → what it can mean."""
    found: dict[str, list[str]] = {}
    nodes: list[Node] = [node for node in schema.walk() if isinstance(node, Field | Repeat)]
    for node in nodes:
        inner = node.path.strip("/")
        ways = {node.path, inner, inner.replace("/", "-"), inner.replace("/", "."), node.name}
        ways |= {
            node.path.removeprefix(f"{repeat.path}/").replace("/", "-")
            for repeat in schema.repeats
            if node.path.startswith(f"{repeat.path}/")
        }
        for way in ways:
            found.setdefault(way, []).append(node.path)
    return found

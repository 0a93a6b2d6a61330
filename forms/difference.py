"""What differs between two states of one record, field by field, as ODK Central's `/diffs` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson

from forms.schema import FormSchema, Place, Repeat

Path = tuple[str | tuple[str, int], ...]
"""Names from the top down; a row as (name, number from 0): in `old`, of a row that is new in `new`."""


class Difference(NamedTuple):
    """old, new: a text, or a whole group or row; None where there is none. at: the path in the schema."""

    path: Path
    at: str
    old: Any
    new: Any


def differences(old: Mapping[str, Any], new: Mapping[str, Any], schema: FormSchema) -> list[Difference]:
    """Return what differs between two documents (`instance.to_json`) of one form, in their order.

    A row with a key is compared with the row of its key; other rows where they stand, between rows that are equal.
    """
    return list(_Comparison(schema).groups(old, new, schema.top, (), ""))


class _Comparison:
    def __init__(self, schema: FormSchema) -> None:
        self._schema = schema

    def groups(
        self, old: Mapping[str, Any], new: Mapping[str, Any], place: Place, path: Path, at: str
    ) -> Iterator[Difference]:
        for name in {**old, **new}:
            before, after, here = old.get(name), new.get(name), f"{at}/{name}"
            below = place.below.get(name, Place({}))
            if before == after:
                continue
            if isinstance(before, dict) and isinstance(after, dict):
                yield from self.groups(before, after, below, (*path, name), here)
            elif below.is_repeat and isinstance(before or [], list) and isinstance(after or [], list):
                yield from self._rows(before or [], after or [], below, path, here)
            else:
                yield Difference((*path, name), here, before, after)

    def _rows(
        self, old: Sequence[Any], new: Sequence[Any], place: Place, path: Path, at: str
    ) -> Iterator[Difference]:
        name = at.rpartition("/")[2]
        for left, right in self._pairs(old, new, at):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            number = left if left is not None else right
            assert number is not None, "a pair has a row"
            where: Path = (*path, (name, number))
            if isinstance(before, dict) and isinstance(after, dict):
                yield from self.groups(before, after, place, where, at)
            elif before != after:
                yield Difference(where, at, before, after)

    def _pairs(self, old: Sequence[Any], new: Sequence[Any], at: str) -> list[tuple[int | None, int | None]]:
        """The numbers of the rows that are one, None where a row is only on the other side."""
        repeat = self._schema.by_path.get(at)
        key = repeat.row_key if isinstance(repeat, Repeat) else ""
        before, after = ([_name(row, key) for row in rows] for rows in (old, new))
        found: list[tuple[int | None, int | None]] = []
        if key and all(len(set(names)) == len(names) for names in (before, after)):
            here = {name: number for number, name in enumerate(after)}
            found += [(number, here.get(name)) for number, name in enumerate(before)]
            return [*found, *((None, number) for name, number in here.items() if name not in before)]
        for _, start, end, there, there_end in SequenceMatcher(
            None, before, after, autojunk=False
        ).get_opcodes():
            found += zip_longest(range(start, end), range(there, there_end))
        return found


def _name(row: Any, key: str) -> str:
    if key and isinstance(row, dict):
        return str(row.get(key, ""))
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()

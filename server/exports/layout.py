"""The tables of a form and their columns, as ODK Central lays them out. Pure.

One table for the form and one for each repeat, over all published versions: the newest version's fields in its
order, then those that only older versions have. Read by `server.exports.rows`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forms.schema import Field, FieldType, Flag, FormSchema, Node, Repeat

PROTECTED = frozenset({Flag.PERSONAL, Flag.SENSITIVE, Flag.GBV})
AUDIT = "/meta/audit"
POINT_PARTS = ("Latitude", "Longitude", "Altitude", "Accuracy")
ROOT_AFTER = (
    "KEY",
    "SubmitterID",
    "SubmitterName",
    "AttachmentsPresent",
    "AttachmentsExpected",
    "Status",
    "ReviewState",
    "DeviceID",
    "Edits",
    "FormVersion",
)
REPEAT_AFTER = ("PARENT_KEY", "KEY")


@dataclass(frozen=True, slots=True)
class Column:
    """One field. path: as in the schema. is_point: written as four columns. is_file: its answers name files."""

    path: str
    is_point: bool = False
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV. path: of the repeat, "" for the form itself. parent: path of the table around it, None for the form.

    suffix: what stands between the form's ID and `.csv`.
    """

    path: str
    parent: str | None
    columns: tuple[Column, ...]
    suffix: str = ""

    @property
    def header(self) -> list[str]:
        """The column titles, in order."""
        titles = [title for column in self.columns for title in self._titles(column)]
        return ["SubmissionDate", *titles, *ROOT_AFTER] if self.parent is None else [*titles, *REPEAT_AFTER]

    @property
    def width(self) -> int:
        """How many cells the answers take."""
        return sum(len(POINT_PARTS) if column.is_point else 1 for column in self.columns)

    def _titles(self, column: Column) -> Iterator[str]:
        title = column.path.removeprefix(f"{self.path}/").replace("/", "-")
        if column.is_point:
            yield from (f"{title}-{part}" for part in POINT_PARTS)
        else:
            yield title


def layout(schemas: Sequence[FormSchema], *, personal: bool) -> tuple[Table, ...]:
    """Return the tables of a form, the form's own first, a repeat before those inside it.

    schemas: of all published versions, newest first. personal: False leaves out what `withheld` names.
    """
    hidden = frozenset() if personal else withheld(schemas)
    points = _points(schemas)
    columns: dict[str, dict[str, Column]] = {"": {}}
    parents: dict[str, str | None] = {"": None}
    for schema in schemas:
        for node, table in _places(schema.children, ""):
            if isinstance(node, Repeat):
                columns.setdefault(node.path, {})
                parents.setdefault(node.path, table)
            elif isinstance(node, Field) and node.path not in hidden:
                is_file = node.type is FieldType.BINARY
                columns[table].setdefault(node.path, Column(node.path, node.path in points, is_file))
    suffixes = _suffixes([path for path in columns if path])
    return tuple(
        Table(path, parents[path], tuple(found.values()), suffixes.get(path, ""))
        for path, found in columns.items()
    )


def withheld(schemas: Sequence[FormSchema]) -> frozenset[str]:
    """Return the paths of the fields that a default export leaves out.

    Those that any version flags P, S or G; and, as no sheet can flag them, what repeats their answers in `meta`:
    an instanceName or entity label made from one, and the audit log, which may hold every answer.
    """
    fields = [field for schema in schemas for field in schema.fields]
    flagged = {field.path for field in fields if field.flags & PROTECTED}
    if not flagged:
        return frozenset()
    names = "|".join(sorted(re.escape(path.rpartition("/")[2]) for path in flagged))
    mentions = re.compile(rf"/\s*(?:{names})(?![\w.-])")
    echoes = {field.path for field in fields if "/meta/" in field.path and mentions.search(field.calculate)}
    return frozenset(flagged | echoes | {AUDIT})


def _points(schemas: Sequence[FormSchema]) -> frozenset[str]:
    """What is a geopoint in every version that has it: splitting a text would lose its fifth word."""
    fields = [field for schema in schemas for field in schema.fields]
    points = {field.path for field in fields if field.type is FieldType.GEOPOINT}
    return frozenset(points - {field.path for field in fields if field.type is not FieldType.GEOPOINT})


def _places(nodes: tuple[Node, ...], table: str) -> Iterator[tuple[Node, str]]:
    """Yield every node with the path of the table that it belongs to."""
    for node in nodes:
        yield node, table
        if not isinstance(node, Field):
            yield from _places(node.children, node.path if isinstance(node, Repeat) else table)


def _suffixes(paths: Sequence[str]) -> dict[str, str]:
    """`-child`; `-child~1`, `-child~2` when several repeats have the name, or differ in capitals only."""
    names = {path: path.rpartition("/")[2] for path in paths}
    totals = Counter(name.casefold() for name in names.values())
    seen: Counter[str] = Counter()
    found = {}
    for path, name in names.items():
        seen[name.casefold()] += 1
        found[path] = f"-{name}~{seen[name.casefold()]}" if totals[name.casefold()] > 1 else f"-{name}"
    return found

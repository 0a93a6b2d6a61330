"""The tables of a form and their columns, as ODK Central lays them out. Pure.

One table for the form and one for each repeat, one column for each question over all published versions
(`forms.lineage`): the newest version's in its order and with its names, then those that only older versions have.
Read by `server.exports.rows`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from forms.lineage import FORM, Version, trace
from forms.schema import Field, FieldType, Flag, FormSchema, Node, Repeat
from server.exports.options import PLAIN, Options, Profile
from server.permissions import PROTECTED

AUDIT = "/meta/audit"
SHARED_TYPES = {
    FieldType.INT,
    FieldType.DECIMAL,
    FieldType.BOOLEAN,
    FieldType.DATE,
    FieldType.SELECT_ONE,
    FieldType.SELECT_MULTIPLE,
    FieldType.RANK,
}
"""Answers that say no more than the form offers."""
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


VersionPath = tuple[str, str]
"""The name of a version, and a path in it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One question. asked: as each version has it, newest first. is_point: written as four columns."""

    question: int
    title: str
    asked: tuple[Field, ...]
    is_point: bool = False

    @property
    def is_file(self) -> bool:
        """Whether its answers name files."""
        return any(field.type is FieldType.BINARY for field in self.asked)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. repeat: its identity, `FORM` for the form itself. suffix: between the form's ID and `.csv`.

    name: of the repeat, "" for the form itself. inner: the repeats right inside it, by suffix without its dash.
    """

    repeat: int
    columns: tuple[Column, ...]
    suffix: str = ""
    name: str = ""
    inner: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many cells the answers take."""
        return sum(len(POINT_PARTS) if column.is_point else 1 for column in self.columns)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an answer stands in an instance. repeats: paths of the repeats around it, outer first."""

    repeats: tuple[str, ...]
    path: str
    is_repeat: bool


@dataclass(frozen=True)
class Layout:
    """tables: the form's own first, a repeat before those inside it.

    spots: for each version, the identity of the question or repeat at every spot; those that only other versions
    have stand behind its own, so that a changed tablet form loses nothing. elsewhere: for a version never published.
    """

    tables: tuple[Table, ...]
    spots: Mapping[str, Mapping[Spot, int]]
    elsewhere: Mapping[Spot, int]


def layout(
    versions: Sequence[Version], options: Options = PLAIN, closed: frozenset[VersionPath] = frozenset()
) -> Layout:
    """Return the tables of a form.

    versions: all that were published, oldest first. Without `options.personal` what `withheld` names is left out; so is
    the question at each place that is `closed`, see `closed_places`.
    """
    traced = trace(versions)
    schemas = [version.schema for version in versions]
    hidden = _hidden(schemas, traced, options) | {
        question
        for schema, found in zip(schemas, traced, strict=True)
        for path, question in found.items()
        if (schema.version, path) in closed
    }
    placed = [_placed(schema, found) for schema, found in zip(schemas, traced, strict=True)]
    elsewhere = _elsewhere(placed, hidden)
    spots = {
        schema.version: own | {spot: one for spot, one in elsewhere.items() if spot not in own}
        for schema, own in zip(schemas, placed, strict=True)
    }
    return Layout(_tables(schemas, traced, hidden, options), spots, elsewhere)


def closed_places(versions: Sequence[Version], options: Options) -> frozenset[VersionPath]:
    """Return where in which version the questions stand that these versions have left out of an export.

    What a later version flags is closed in an export as of an earlier moment too.
    """
    traced = trace(versions)
    schemas = [version.schema for version in versions]
    hidden = _hidden(schemas, traced, options)
    return frozenset(
        (schema.version, path)
        for schema, found in zip(schemas, traced, strict=True)
        for path, question in found.items()
        if question in hidden
    )


def _hidden(
    schemas: Sequence[FormSchema], traced: Sequence[Mapping[str, int]], options: Options
) -> frozenset[int]:
    hidden = frozenset() if options.personal else withheld(schemas, traced)
    return hidden | unshared(schemas, traced) if options.recipient else hidden


def withheld(schemas: Sequence[FormSchema], traced: Sequence[Mapping[str, int]]) -> frozenset[int]:
    """Return the questions that a default export leaves out.

    Those that any version flags P, S or G; and, as no sheet can flag them, what repeats their answers in `meta`:
    an instanceName or entity label made from one, and the audit log, which may hold every answer.
    """
    fields = [
        (found[field.path], field)
        for schema, found in zip(schemas, traced, strict=True)
        for field in schema.fields
    ]
    flagged = {question for question, field in fields if field.flags & PROTECTED}
    if not flagged:
        return frozenset()
    names = "|".join(sorted({re.escape(field.name) for question, field in fields if question in flagged}))
    mentions = re.compile(rf"/\s*(?:{names})(?![\w.-])")
    echoes = {
        question
        for question, field in fields
        if field.path == AUDIT or ("/meta/" in field.path and mentions.search(field.calculate))
    }
    return frozenset(flagged | echoes)


def unshared(schemas: Sequence[FormSchema], traced: Sequence[Mapping[str, int]]) -> frozenset[int]:
    """Return the questions that are not shared with others, unless the newest version flags them H or Q.

    What may say anything (texts, calculations), where somebody was, files, and what names a person, device or record.
    """
    newest = {
        found[field.path]: field
        for schema, found in zip(schemas, traced, strict=True)
        for field in schema.fields
    }
    return frozenset(
        question
        for question, field in newest.items()
        if field.path.startswith("/meta/")
        or (field.type not in SHARED_TYPES and not field.flags & {Flag.PUBLIC, Flag.QUASI_IDENTIFIER})
        or field.type is FieldType.BINARY
    )


def _tables(
    schemas: Sequence[FormSchema],
    traced: Sequence[Mapping[str, int]],
    hidden: frozenset[int],
    options: Options,
) -> tuple[Table, ...]:
    newest_first = list(zip(reversed(schemas), reversed(traced), strict=True))
    asked: dict[int, list[Field]] = {}
    for schema, found in newest_first:
        for field in schema.fields:
            asked.setdefault(found[field.path], []).append(field)
    columns: dict[int, dict[int, Column]] = {FORM: {}}
    names: dict[int, str] = {}
    inner: dict[int, dict[int, None]] = {}
    for schema, found in newest_first if options.deleted_fields else newest_first[:1]:
        for node, repeats in _places(schema.children, ()):
            one, around = found[node.path], repeats[-1] if repeats else ""
            if isinstance(node, Repeat):
                columns.setdefault(one, {})
                inner.setdefault(found[around] if around else FORM, {})[one] = None
                names.setdefault(one, node.name)
            elif one not in hidden:
                path = node.path.removeprefix(f"{around}/").replace("/", "-")
                title = path if options.group_paths and options.profile is Profile.ODK else node.name
                own = columns[found[around] if around else FORM]
                own.setdefault(one, Column(one, title, tuple(asked[one]), _is_point(asked[one])))
    suffixes = _suffixes(names)
    return tuple(
        Table(
            repeat,
            _unlike(own.values()),
            suffixes.get(repeat, ""),
            names.get(repeat, ""),
            tuple(suffixes[one].removeprefix("-") for one in inner.get(repeat, ())),
        )
        for repeat, own in columns.items()
    )


def _is_point(asked: Iterable[Field]) -> bool:
    """A geopoint in every version that has it: splitting a text would spread it over four columns."""
    return all(field.type is FieldType.GEOPOINT for field in asked)


def _placed(schema: FormSchema, found: Mapping[str, int]) -> dict[Spot, int]:
    return {
        Spot(repeats, node.path, isinstance(node, Repeat)): found[node.path]
        for node, repeats in _places(schema.children, ())
    }


def _elsewhere(placed: Sequence[Mapping[Spot, int]], hidden: frozenset[int]) -> dict[Spot, int]:
    """What stands at each spot in the newest version that has it; nothing where any version's is withheld."""
    kept: dict[Spot, int] = {}
    for own in reversed(placed):
        for spot, one in own.items():
            kept.setdefault(spot, one)
    secret = {spot for own in placed for spot, one in own.items() if one in hidden}
    return {spot: one for spot, one in kept.items() if spot not in secret}


def _places(
    nodes: tuple[Node, ...], repeats: tuple[str, ...]
) -> Iterator[tuple[Field | Repeat, tuple[str, ...]]]:
    """Yield every question and repeat with the repeats around it."""
    for node in nodes:
        if isinstance(node, Field):
            yield node, repeats
            continue
        if isinstance(node, Repeat):
            yield node, repeats
        yield from _places(node.children, (*repeats, node.path) if isinstance(node, Repeat) else repeats)


def _unlike(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Give a question whose title a newer one took the title `~2`, `~3`, …"""
    seen: Counter[str] = Counter()
    found = []
    for column in columns:
        seen[column.title] += 1
        times = seen[column.title]
        found.append(column if times == 1 else replace(column, title=f"{column.title}~{times}"))
    return tuple(found)


def _suffixes(names: Mapping[int, str]) -> dict[int, str]:
    """`-child`; `-child~1`, `-child~2` when several repeats have the name, or differ in capitals only."""
    totals = Counter(name.casefold() for name in names.values())
    seen: Counter[str] = Counter()
    found = {}
    for repeat, name in names.items():
        seen[name.casefold()] += 1
        found[repeat] = f"-{name}~{seen[name.casefold()]}" if totals[name.casefold()] > 1 else f"-{name}"
    return found

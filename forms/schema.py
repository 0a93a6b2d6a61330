"""The typed schema of one form version: the vocabulary that forms, sync and server share.

Frozen values only, standard library only. Made by `forms.xform` from an XForm (and by `forms.compile` from a
sheet, which adds what the XForm cannot carry: flags, merge policies, row keys).
Expressions stay text, in the XPath of the XForm, with absolute paths such as `/data/slot/direction`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

Text = Mapping[str, str]
"""A text per language, keyed by the language's name in the sheet (`Farsi (fa)`); `default` when it has one."""

NO_TEXT: Text = MappingProxyType({})


IDENTITY = frozenset({"/meta/instanceID", "/meta/deprecatedID"})
VOLATILE = re.compile(r"\b(now|today|uuid|random|choice-name)\s*\(")


class FieldType(StrEnum):
    """ODK XForms data types, and the selects as XLSForm names them."""

    STRING = "string"
    INT = "int"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATETIME = "dateTime"
    GEOPOINT = "geopoint"
    GEOTRACE = "geotrace"
    GEOSHAPE = "geoshape"
    BINARY = "binary"
    BARCODE = "barcode"
    INTENT = "intent"
    SELECT_ONE = "select_one"
    SELECT_MULTIPLE = "select_multiple"
    RANK = "rank"


class Flag(StrEnum):
    """The letters of the sheet's `chapar::flags` column."""

    REQUIRED = "R"
    METADATA = "M"
    PUBLIC = "H"
    QUASI_IDENTIFIER = "Q"
    PERSONAL = "P"
    SENSITIVE = "S"
    GBV = "G"
    DUPLICATE_KEY = "D"
    UPDATABLE = "U"


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a list. extra: the list's other columns (`tier`, `country`), for choice filters."""

    name: str
    label: Text = field(default_factory=lambda: NO_TEXT)
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ChoiceList:
    """Where a select takes its answers from.

    nodeset: the XForm's expression, filter included (`instance('yn')/root/item[…]`), "" for inline items.
    choices: all of the list, unfiltered; empty when `file` (a form attachment such as `crossings.csv`) holds them.
    value_ref, label_ref: the columns that hold the answer and its label.
    """

    choices: tuple[Choice, ...] = ()
    nodeset: str = ""
    file: str = ""
    value_ref: str = "name"
    label_ref: str = "label"

    @cached_property
    def names(self) -> frozenset[str]:
        """The answers that the list in the form allows."""
        return frozenset(choice.name for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf of the instance: a question, a calculation or a piece of metadata.

    path: from the instance's root element, which it leaves out: `/slot/direction`.
    control: the body element (`input`, `select1`, `select`, `odk:rank`, `upload`, `trigger`, `range`, …), "" if none.
    default: the text in the XForm's primary instance. default_expression: from `setvalue`, evaluated when the
    instance (or, in a repeat, the row) is made.
    preload: `jr:preload` and its parameter, as `timestamp:start`, `property:deviceid`, `date:today`; "" if none.
    mediatype: of an upload, `image/*`. save_to: entity property. merge: the sheet's `chapar::merge`.
    """

    name: str
    path: str
    type: FieldType = FieldType.STRING
    control: str = ""
    label: Text = field(default_factory=lambda: NO_TEXT)
    hint: Text = field(default_factory=lambda: NO_TEXT)
    appearance: str = ""
    relevant: str = ""
    required: str = ""
    constraint: str = ""
    constraint_message: Text = field(default_factory=lambda: NO_TEXT)
    calculate: str = ""
    readonly: str = ""
    default: str = ""
    default_expression: str = ""
    preload: str = ""
    mediatype: str = ""
    save_to: str = ""
    choices: ChoiceList | None = None
    flags: frozenset[Flag] = frozenset()
    merge: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group: shared relevance, no rows of its own. `meta` is one."""

    name: str
    path: str
    children: tuple[Node, ...]
    label: Text = field(default_factory=lambda: NO_TEXT)
    appearance: str = ""
    relevant: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeat: zero or more rows of its children.

    count: the `jr:count` expression, "" when the enumerator adds rows.
    row_key: name of the child that names a row for ever (the sheet's `chapar::key`), "" when rows have no identity.
    """

    name: str
    path: str
    children: tuple[Node, ...]
    label: Text = field(default_factory=lambda: NO_TEXT)
    appearance: str = ""
    relevant: str = ""
    count: str = ""
    row_key: str = ""


Node = Field | Group | Repeat


@dataclass(frozen=True, slots=True)
class Place:
    """A node where it stands: the way to walk schema and instance side by side, a dictionary look-up a step.

    field: the node when it is a leaf. type: its type as plain text. is_noise: it changes by itself when an instance
    is opened again (`end`, `now()`, `uuid()` without `once()`), or it names the revision.
    """

    below: Mapping[str, Place]
    field: Field | None = None
    is_repeat: bool = False
    is_group: bool = False
    type: str = ""
    is_noise: bool = False


class Deed(StrEnum):
    """What is done to an entity. NONE: nothing, by a record that could have done something."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EntityDeclaration:
    """A container's `meta/entity`: what a submission does to an entity list.

    path: of the container: "" for the root, else a group's or a repeat's. creates, updates: what the form may do.
    label: expression, "" when it gives none. properties: path of the field saved to each, by property.
    Source: ODK Entities 2025.1.
    """

    dataset: str
    path: str = ""
    creates: bool = False
    updates: bool = False
    label: str = ""
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the sheet `checks`: what somebody should look at when it is true of a record.

    expression: as in a sheet, `${size} > 20`. columns: names of the questions to clean; where the first one stands in a
    repeat, each row is checked by itself.
    """

    id: str
    description: str
    expression: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormSchema:
    """One version of one form.

    root: name of the instance's root element. media: file names that the form reads (`crossings.csv`, images),
    in the order the XForm names them. languages: as named in the sheet, default first; ("default",) when it has one.
    encrypted: the form names a `public_key`, so that what tablets send is sealed. entities: outer containers first.
    """

    form_id: str
    version: str
    title: str
    children: tuple[Node, ...]
    root: str = "data"
    languages: tuple[str, ...] = ("default",)
    media: tuple[str, ...] = ()
    encrypted: bool = False
    entities: tuple[EntityDeclaration, ...] = ()
    checks: tuple[Check, ...] = ()

    def walk(self) -> Iterator[Node]:
        """Yield every node, parents before children, in the form's order."""
        yield from _walk(self.children)

    @cached_property
    def by_path(self) -> Mapping[str, Node]:
        """Every node by its path."""
        return MappingProxyType({node.path: node for node in self.walk()})

    @cached_property
    def top(self) -> Place:
        """The root element's place."""
        return Place(_places(self.children), is_group=True)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All leaves, in the form's order."""
        return tuple(node for node in self.walk() if isinstance(node, Field))

    @cached_property
    def key_fields(self) -> tuple[Field, ...]:
        """The fields that name a record: calculations flagged `D`, or all questions flagged so when there are none.

        A designer who composes a key says by it what of the answers counts. Rows of repeats have keys of their own.
        """
        rows = tuple(f"{repeat.path}/" for repeat in self.repeats)
        flagged = [
            one for one in self.fields if Flag.DUPLICATE_KEY in one.flags and not one.path.startswith(rows)
        ]
        return tuple(one for one in flagged if one.calculate and not one.control) or tuple(flagged)

    @cached_property
    def repeats(self) -> tuple[Repeat, ...]:
        """All repeats, outer before inner."""
        return tuple(node for node in self.walk() if isinstance(node, Repeat))


def _places(nodes: tuple[Node, ...]) -> Mapping[str, Place]:
    return {node.name: _place(node) for node in nodes}


def _place(node: Node) -> Place:
    if isinstance(node, Field):
        recalculated = "once(" not in node.calculate and VOLATILE.search(node.calculate) is not None
        is_noise = recalculated or node.preload == "timestamp:end" or node.path in IDENTITY
        return Place({}, node, type=node.type.value, is_noise=is_noise)
    below = _places(node.children)
    return Place(below, is_repeat=isinstance(node, Repeat), is_group=isinstance(node, Group))


def _walk(nodes: tuple[Node, ...]) -> Iterator[Node]:
    for node in nodes:
        yield node
        if not isinstance(node, Field):
            yield from _walk(node.children)

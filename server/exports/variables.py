"""The columns of a written table: what each holds, how it is typed, what it means to a reader. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from forms.lineage import FORM
from forms.schema import NO_TEXT, Choice, Field, FieldType, Text
from server.exports.layout import POINT_PARTS, REPEAT_AFTER, ROOT_AFTER, Column, Table


class Kind(StrEnum):
    """What the texts of a column are read as, where a format has types."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"


KINDS = {
    FieldType.INT: Kind.INTEGER,
    FieldType.DECIMAL: Kind.DECIMAL,
    FieldType.DATE: Kind.DATE,
    FieldType.DATETIME: Kind.DATETIME,
}
NUMBERS = {Kind.INTEGER, Kind.DECIMAL}
MEANINGS: Mapping[str, tuple[Kind, str]] = MappingProxyType(
    {
        "SubmissionDate": (Kind.DATETIME, "when this server first received the record, UTC"),
        "KEY": (Kind.TEXT, "names the row for ever"),
        "PARENT_KEY": (Kind.TEXT, "KEY of the row around this one"),
        "SubmitterID": (Kind.INTEGER, "who sent it, by number"),
        "SubmitterName": (Kind.TEXT, "who sent it, by name"),
        "AttachmentsPresent": (Kind.INTEGER, "files that have arrived"),
        "AttachmentsExpected": (Kind.INTEGER, "files that the answers name"),
        "Status": (Kind.TEXT, "why an encrypted record shows no answers"),
        "ReviewState": (
            Kind.TEXT,
            "what a reviewer said: approved, hasIssues, rejected; edited after a later edit",
        ),
        "DeviceID": (Kind.TEXT, "the tablet"),
        "Edits": (Kind.INTEGER, "how many edits came after the first"),
        "FormVersion": (Kind.TEXT, "form version of the first revision"),
    }
)
"""The columns that no form asks for. Source: ODK Central's briefcase layout."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One column. source: its place in a row as read. part: of a point, or the choice of a split select_multiple.

    span: how many cells as read it joins, with a blank between. meaning: of a column that no form asks for.
    """

    title: str
    kind: Kind
    source: int
    column: Column | None = None
    part: str = ""
    meaning: str = ""
    span: int = 1

    @property
    def field(self) -> Field | None:
        """The question as the newest version that has it asks it."""
        return self.column.asked[0] if self.column else None

    def told(self, language: str) -> str:
        """Return what the column is, in a language: of a split select_multiple its choice too."""
        words = said(self.label, language) or self.meaning or self.title
        if not self.part:
            return words
        choice = self.choices.get(self.part)
        return f"{words}: {said(choice.label, language) if choice else self.part}"

    @property
    def label(self) -> Text:
        """The question's words by language."""
        return self.field.label if self.field else NO_TEXT

    @property
    def is_made(self) -> bool:
        """Whether it says again what another column says: a choice, a date of another calendar."""
        return bool(self.part) and self.part not in POINT_PARTS

    @property
    def is_multiple(self) -> bool:
        """Whether the answers are several choices, in one text."""
        return not self.part and self.field is not None and self.field.type is FieldType.SELECT_MULTIPLE

    @property
    def is_single(self) -> bool:
        """Whether each answer is one choice of a list that stands in the form."""
        asked = self.column.asked if self.column else ()
        return bool(asked) and all(
            field.type is FieldType.SELECT_ONE and field.choices and field.choices.choices for field in asked
        )

    @property
    def choices(self) -> dict[str, Choice]:
        """The answers that any version's list offers, by name, the newest version's first."""
        found: dict[str, Choice] = {}
        for field in self.column.asked if self.column else ():
            for choice in field.choices.choices if field.choices else ():
                found.setdefault(choice.name, choice)
        return found


def said(text: Text, language: str) -> str:
    """Return a text in a language, or in one that it has; "" for none."""
    return text.get(language) or text.get("default") or next(filter(None, text.values()), "")


def variables(
    table: Table, more: Mapping[str, tuple[Kind, str]] = MappingProxyType({})
) -> tuple[Variable, ...]:
    """Return the columns of a table as its rows are read, in order. more: kind and meaning of those that follow."""
    found: list[Variable] = []

    def add_known(title: str) -> None:
        kind, meaning = MEANINGS[title]
        found.append(Variable(title, kind, len(found), meaning=meaning))

    if table.repeat == FORM:
        add_known("SubmissionDate")
    for column in table.columns:
        if column.is_point:
            for part in POINT_PARTS:
                found.append(Variable(f"{column.title}-{part}", Kind.DECIMAL, len(found), column, part))
        else:
            found.append(Variable(column.title, _kind(column.asked), len(found), column))
    for title in ROOT_AFTER if table.repeat == FORM else REPEAT_AFTER:
        add_known(title)
    for title, (kind, meaning) in more.items():
        found.append(Variable(title, kind, len(found), meaning=meaning))
    return tuple(found)


def _kind(asked: Sequence[Field]) -> Kind:
    """Any whole number is a decimal one; other types that differ have text in common."""
    kinds = {KINDS.get(field.type, Kind.TEXT) for field in asked}
    if kinds == NUMBERS:
        return Kind.DECIMAL
    return kinds.pop() if len(kinds) == 1 else Kind.TEXT

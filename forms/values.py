"""What the text of one answer means: lexical forms of the ODK XForms types, and their canonical spelling.

Source: ODK XForms specification, "Data Types"; what Collect writes was measured with JavaRosa 5.1.
A text of the wrong type is no error: it is kept as text, and the caller marks it.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation

from forms.schema import Field, FieldType

Point = tuple[float, float, float | None, float | None]
"""Latitude and longitude in degrees WGS 84, altitude and accuracy in metres or None."""

Value = str | int | Decimal | bool | date | time | datetime | tuple[str, ...] | Point | tuple[Point, ...]

INT = re.compile(r"[+-]?[0-9]{1,18}")
ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})?"
CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
TIME = re.compile(CLOCK + ZONE)
DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T" + CLOCK + ZONE)


class WrongTypeError(ValueError):
    """The text is not of the field's type; the message names the type, never the text."""


def read(field: Field, text: str) -> Value | None:
    """Return the typed value of an answer's text, None when it is blank.

    Dates and times without zone stay naive. Raises WrongTypeError.
    """
    text = text.strip() if field.type is not FieldType.STRING else text
    if not text.strip():
        return None
    match field.type:
        case FieldType.INT:
            return _int(text)
        case FieldType.DECIMAL:
            return _decimal(text)
        case FieldType.BOOLEAN:
            return _boolean(text)
        case FieldType.DATE | FieldType.TIME | FieldType.DATETIME:
            return _moment(field.type, text)
        case FieldType.GEOPOINT:
            return _point(text)
        case FieldType.GEOTRACE | FieldType.GEOSHAPE:
            return tuple(_point(part) for part in text.split(";") if part.strip())
        case FieldType.SELECT_MULTIPLE | FieldType.RANK:
            return _known(field, tuple(text.split()))
        case FieldType.SELECT_ONE:
            return _known(field, (text,))[0]
        case _:
            return text


def canonical(field: Field | None, text: str) -> str:
    """Return one spelling for all texts that mean the same answer; of unreadable text, the text itself.

    Surrounding blanks go, numbers lose their notation, a select_multiple is a sorted set, and a dateTime is cut to
    the second: Collect can lose a millisecond when it opens an instance again (`…092` becomes `…091`).
    """
    stripped = text.strip()
    if field is None:
        return stripped
    try:
        value = read(field, stripped)
    except WrongTypeError:
        return stripped
    match value:
        case Decimal():
            return format(value.normalize(), "f") if value else "0"
        case datetime() | time():
            return value.replace(microsecond=0).isoformat()
        case tuple() if field.type is FieldType.SELECT_MULTIPLE:
            return " ".join(sorted({str(name) for name in value}))
        case tuple() | bool():
            return str(value)
        case int():
            return str(value)
        case _:
            return stripped


def _int(text: str) -> int:
    if not INT.fullmatch(text):
        raise WrongTypeError("not an integer")
    return int(text)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not -400 < value.adjusted() < 400:
        raise WrongTypeError("not a decimal number")
    return value


def _boolean(text: str) -> bool:
    if text not in {"true", "false", "1", "0"}:
        raise WrongTypeError("neither true nor false")
    return text in {"true", "1"}


def _moment(kind: FieldType, text: str) -> date | time | datetime:
    try:
        if kind is FieldType.DATE and len(text) == 10 and text.isascii():
            return date.fromisoformat(text)
        if kind is FieldType.TIME and TIME.fullmatch(text):
            return time.fromisoformat(text)
        if kind is FieldType.DATETIME and DATETIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise WrongTypeError(f"not a {kind.value} in ISO 8601")


def _point(text: str) -> Point:
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= 4 or not (abs(numbers[0]) <= 90 and abs(numbers[1]) <= 180):
        raise WrongTypeError("not “latitude longitude altitude accuracy”")
    altitude, accuracy = (*numbers[2:], None, None)[:2]
    return (numbers[0], numbers[1], altitude, accuracy)


def _known(field: Field, names: tuple[str, ...]) -> tuple[str, ...]:
    choices = field.choices
    if choices and choices.choices and not choices.file:
        known = choices.names
        if any(name not in known for name in names):
            raise WrongTypeError("not in the choice list")
    return names

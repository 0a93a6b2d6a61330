"""What the text of one answer means: lexical forms of the ODK XForms types, and their canonical spelling.

Source: ODK XForms specification, "Data Types"; what Collect writes was measured with JavaRosa 5.1.
A text of the wrong type is no error: it is kept as text, and the caller marks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

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


def read(kind: str, field: Field, text: str) -> Value | None:
    """Return the typed value of an answer's text, None when it is blank.

    kind: the field's type as text, by which the reader is found. Dates and times without zone stay naive.
    Raises WrongTypeError.
    """
    stripped = text.strip()
    if not stripped:
        return None
    reader = READERS.get(kind)
    return reader(field, stripped) if reader else text


def canonical(kind: str, text: str, value: Value | None) -> str:
    """Return one spelling for all texts that mean the same answer; of unreadable text, the text itself.

    kind: the field's type as text. value: what `read` gave, None if nothing or if it raised. Surrounding blanks go,
    numbers lose their notation, a select_multiple is a sorted set, and a dateTime is cut to the second: Collect can
    lose a millisecond when it opens an instance again (`…092` becomes `…091`).
    """
    writer = WRITERS.get(kind) if value is not None else None
    return writer(value) if writer else text.strip()


def _int(_field: Field, text: str) -> int:
    if not INT.fullmatch(text):
        raise WrongTypeError("not an integer")
    return int(text)


def _decimal(_field: Field, text: str) -> Decimal:
    try:
        value = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or not -400 < value.adjusted() < 400:
        raise WrongTypeError("not a decimal number")
    return value


def _boolean(_field: Field, text: str) -> bool:
    if text not in {"true", "false", "1", "0"}:
        raise WrongTypeError("neither true nor false")
    return text in {"true", "1"}


def _moment(field: Field, text: str) -> date | time | datetime:
    kind = field.type
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


def _geopoint(_field: Field, text: str) -> Point:
    return _point(text)


def _geotrace(_field: Field, text: str) -> tuple[Point, ...]:
    return tuple(_point(part) for part in text.split(";") if part.strip())


def _select_one(field: Field, text: str) -> str:
    return _known(field, (text,))[0]


def _select_multiple(field: Field, text: str) -> tuple[str, ...]:
    return _known(field, tuple(text.split()))


def _known(field: Field, names: tuple[str, ...]) -> tuple[str, ...]:
    choices = field.choices
    if choices and choices.choices and not choices.file and not choices.names.issuperset(names):
        raise WrongTypeError("not in the choice list")
    return names


def _plain_decimal(value: Any) -> str:
    return format(value.normalize(), "f") if value else "0"


def _to_the_second(value: Any) -> str:
    return str(value.replace(microsecond=0).isoformat())


def _as_set(value: Any) -> str:
    return " ".join(sorted(set(value)))


READERS: Mapping[str, Callable[[Field, str], Value]] = {
    FieldType.INT.value: _int,
    FieldType.DECIMAL.value: _decimal,
    FieldType.BOOLEAN.value: _boolean,
    FieldType.DATE.value: _moment,
    FieldType.TIME.value: _moment,
    FieldType.DATETIME.value: _moment,
    FieldType.GEOPOINT.value: _geopoint,
    FieldType.GEOTRACE.value: _geotrace,
    FieldType.GEOSHAPE.value: _geotrace,
    FieldType.SELECT_ONE.value: _select_one,
    FieldType.SELECT_MULTIPLE.value: _select_multiple,
    FieldType.RANK.value: _select_multiple,
}
"""Types that are more than text."""

WRITERS: Mapping[str, Callable[[Any], str]] = {
    FieldType.INT.value: str,
    FieldType.DECIMAL.value: _plain_decimal,
    FieldType.BOOLEAN.value: str,
    FieldType.TIME.value: _to_the_second,
    FieldType.DATETIME.value: _to_the_second,
    FieldType.GEOPOINT.value: str,
    FieldType.GEOTRACE.value: str,
    FieldType.GEOSHAPE.value: str,
    FieldType.SELECT_MULTIPLE.value: _as_set,
    FieldType.RANK.value: " ".join,
}
"""Types that can be spelt in more than one way."""

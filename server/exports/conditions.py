"""ODK Central's `$filter`: which submissions an export holds, by what the server knows of them. Pure.

A subset of OData 4: `eq ne lt le gt ge and or not`, parentheses, `year(…)` to `second(…)`.
Source: central-backend, lib/data/odata-filter.js.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from server.problems import Problem
from server.store.submissions import StoredSubmission
from sync.clock import to_datetime

Condition = Callable[[StoredSubmission], bool]
Value = str | int | float | datetime | bool | None
Getter = Callable[[StoredSubmission], Value]

FIELDS: Mapping[str, Getter] = {
    "__system/submissionDate": lambda one: to_datetime(one.created_stamp),
    "__system/updatedAt": lambda one: to_datetime(one.updated_stamp) if one.edits else None,
    "__system/submitterId": lambda one: one.submitter_id,
    "__system/reviewState": lambda one: one.review_state,
}
PARTS = ("year", "month", "day", "hour", "minute", "second")
ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"lt": lt, "le": le, "gt": gt, "ge": ge}
TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+)?(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[$\w/.]+)|(?P<sign>[()]))"
)
TEXT_MAX = 2000
DEPTH_MAX = 50


def condition(text: str) -> Condition:
    """Return whether a submission is wanted. Raises Problem 400.18 for what cannot be read, 501.4, 501.5."""
    if len(text) > TEXT_MAX:
        raise Problem(400.18, f"$filter has more than {TEXT_MAX} characters.")
    reader = _Reader(list(_tokens(text)))
    found = reader.either(0)
    reader.expect_end()
    return lambda one: found(one) is True


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place, text = 0, text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise Problem(400.18, f"$filter cannot be read from character {place + 1} on.")
        yield str(match.lastgroup), match[str(match.lastgroup)]
        place = match.end()


class _Reader:
    """Recursive descent, by OData's precedence: or, and, not, comparison."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens

    def either(self, depth: int) -> Getter:
        left = self._both(depth)
        while self._take("or"):
            left = _or(left, self._both(depth))
        return left

    def expect_end(self) -> None:
        if self._tokens:
            raise Problem(400.18, f"$filter says more than one condition, from “{self._tokens[0][1]}” on.")

    def _both(self, depth: int) -> Getter:
        left = self._negated(depth)
        while self._take("and"):
            left = _and(left, self._negated(depth))
        return left

    def _negated(self, depth: int) -> Getter:
        if depth > DEPTH_MAX:
            raise Problem(400.18, "$filter has too many parentheses.")
        return _not(self._negated(depth + 1)) if self._take("not") else self._comparison(depth)

    def _comparison(self, depth: int) -> Getter:
        left = self._operand(depth)
        for name in ("eq", "ne", *ORDERS):
            if self._take(name):
                return _compared(name, left, self._operand(depth))
        return left

    def _operand(self, depth: int) -> Getter:
        if self._take("("):
            inner = self.either(depth + 1)
            self._close()
            return inner
        kind, word = self._tokens.pop(0) if self._tokens else ("", "")
        match kind:
            case "string":
                return _constant(word[1:-1].replace("''", "'"))
            case "time":
                return _constant(_time(word))
            case "number":
                return _constant(float(word) if "." in word else int(word))
            case "name" if word == "null":
                return _constant(None)
            case "name" if word in PARTS and self._take("("):
                inner = self.either(depth + 1)
                self._close()
                return _part(word, inner)
            case "name" if self._tokens[:1] == [("sign", "(")]:
                hint = (
                    " Write the time itself: the same export gives the same bytes." if word == "now" else ""
                )
                raise Problem(501.4, f"$filter: the function {word} is not known here.{hint}")
            case "name" if word.removeprefix("$root/Submissions/") in FIELDS:
                return FIELDS[word.removeprefix("$root/Submissions/")]
            case "name":
                raise Problem(501.5, f"$filter: “{word}” is none of {', '.join(FIELDS)}.")
        raise Problem(400.18, "$filter ends where a value is expected.")

    def _take(self, word: str) -> bool:
        found = bool(self._tokens) and self._tokens[0] in (("name", word), ("sign", word))
        if found:
            del self._tokens[0]
        return found

    def _close(self) -> None:
        if not self._take(")"):
            raise Problem(400.18, "$filter: a closing parenthesis is missing.")


def _constant(value: Value) -> Getter:
    return lambda _: value


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(400.18, f"$filter: {text} is no time.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _part(name: str, of: Getter) -> Getter:
    def get(one: StoredSubmission) -> Value:
        found = of(one)
        return int(getattr(found, name)) if isinstance(found, datetime) else None

    return get


def _compared(name: str, left: Getter, right: Getter) -> Getter:
    """Null equals null only, and is in no order, as in ODK Central."""

    def compare(one: StoredSubmission) -> Value:
        a, b = _alike(left(one), right(one))
        if name in ("eq", "ne"):
            return (a == b) == (name == "eq")
        try:
            return None if a is None or b is None else ORDERS[name](a, b)
        except TypeError:
            raise Problem(400.18, f"$filter compares with “{name}” what has no order.") from None

    return compare


def _alike(left: Value, right: Value) -> tuple[Value, Value]:
    """A time in quotes is a time beside one."""
    if isinstance(left, datetime) and isinstance(right, str):
        return left, _time(right)
    if isinstance(right, datetime) and isinstance(left, str):
        return _time(left), right
    return left, right


def _and(left: Getter, right: Getter) -> Getter:
    return _joined(left, right, False)


def _or(left: Getter, right: Getter) -> Getter:
    return _joined(left, right, True)


def _joined(left: Getter, right: Getter, decides: bool) -> Getter:
    """Unknown is neither true nor false, as in SQL."""

    def join(one: StoredSubmission) -> Value:
        both = (left(one), right(one))
        return decides if decides in both else None if None in both else not decides

    return join


def _not(inner: Getter) -> Getter:
    def negate(one: StoredSubmission) -> Value:
        found = inner(one)
        return None if found is None else not found

    return negate

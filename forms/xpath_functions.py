"""The functions of ODK XForms that need only their arguments' values.

Those that choose what to evaluate (`if`, `once`, `indexed-repeat`, …) are in `forms.xpath`.
Source: https://getodk.github.io/xforms-spec/#xpath-functions; behaviour at the edges as in JavaRosa d686d1bc9.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import re
import uuid
from collections.abc import Callable
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

from lxml import etree

from forms import xpath_dates, xpath_geo
from forms.xpath_parser import XPathError
from forms.xpath_values import (
    Context,
    Nodes,
    Value,
    iso,
    spread,
    text_of,
    to_boolean,
    to_number,
    to_text,
)

Function = Callable[..., Value]


def children_of(node: etree._Element, name: str) -> Nodes:
    """Return the child elements of that name, whatever their namespace; `*` is any."""
    if name == "*":
        return [child for child in node if isinstance(child.tag, str)]
    return list(node.iterchildren("{*}" + name.rpartition(":")[2]))


def _nodes(value: Value) -> Nodes:
    if not isinstance(value, list):
        raise XPathError("A nodeset is needed where the function was given a value")
    return value


def _numbers(values: tuple[Value, ...]) -> list[float]:
    return [number for value in spread(values) if not math.isnan(number := to_number(value))]


def _selected(_: Context, answer: Value, name: Value) -> bool:
    return f" {to_text(name).strip()} " in f" {to_text(answer)} "


def _selected_at(_: Context, answer: Value, index: Value) -> str:
    names, at = to_text(answer).split(), to_number(index)
    return names[int(at)] if 0 <= at < len(names) else ""


def _substr(_: Context, value: Value, start: Value, end: Value | None = None) -> str:
    text = to_text(value)
    first, last = int(to_number(start)), len(text) if end is None else int(to_number(end))
    first, last = (max(0, at + len(text)) if at < 0 else min(at, len(text)) for at in (first, last))
    return text[first:last]


def _round(_: Context, value: Value, places: Value = 0.0) -> float:
    number, scale = to_number(value), int(to_number(places))
    if math.isnan(number) or math.isinf(number):
        return number
    if abs(scale) > 30:
        return math.nan
    way = ROUND_HALF_DOWN if number < 0 else ROUND_HALF_UP
    return float(Decimal(repr(number)).scaleb(scale).quantize(Decimal(1), way).scaleb(-scale))


def _int(_: Context, value: Value) -> float:
    number = to_number(value)
    return number if math.isnan(number) or math.isinf(number) else float(math.trunc(number))


def _power(_: Context, base: Value, exponent: Value) -> float:
    try:
        return math.pow(to_number(base), to_number(exponent))
    except (ValueError, OverflowError):
        return math.nan


def _position(context: Context, nodes: Value | None = None) -> float:
    if nodes is None and context.position:
        return float(context.position)
    found = [context.node] if nodes is None else _nodes(nodes)
    if not found:
        return 0.0
    return 1.0 + sum(1 for _ in found[0].itersiblings(found[0].tag, preceding=True))


def _regex(_: Context, value: Value, pattern: Value) -> bool:
    try:
        return re.fullmatch(to_text(pattern), to_text(value)) is not None
    except re.error:
        raise XPathError("The regular expression cannot be read", to_text(pattern)) from None


def _uuid(context: Context, length: Value | None = None) -> str:
    chance = context.environment.random
    if length is None:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join(chance.choice(letters) for _ in range(int(to_number(length))))


def _digest(_: Context, value: Value, algorithm: Value, encoding: Value = "base64") -> str:
    name = to_text(algorithm).lower().replace("-", "")
    if name not in {"md5", "sha1", "sha256", "sha384", "sha512"}:
        raise XPathError("digest() does not know the algorithm", name)
    digest = hashlib.new(name, to_text(value).encode(), usedforsecurity=False)
    return digest.hexdigest() if to_text(encoding) == "hex" else base64.b64encode(digest.digest()).decode()


def _checklist(_: Context, low: Value, high: Value, *factors: Value) -> bool:
    count = sum(to_boolean(factor) for factor in spread(factors))
    least, most = to_number(low), to_number(high)
    return (least < 0 or count >= least) and (most < 0 or count <= most)


def _weighted_checklist(_: Context, low: Value, high: Value, *pairs: Value) -> bool:
    if len(pairs) == 2 and all(isinstance(part, list) for part in pairs):
        factors, weights = spread(pairs[:1]), spread(pairs[1:])
    else:
        factors, weights = list(pairs[::2]), list(pairs[1::2])
    total = sum(
        to_number(weight) for factor, weight in zip(factors, weights, strict=True) if to_boolean(factor)
    )
    return to_number(low) <= total <= to_number(high)


def _instance(context: Context, name: Value) -> Nodes:
    try:
        return [context.environment.instances[to_text(name)]]
    except KeyError:
        raise XPathError("The form has no such list", to_text(name)) from None


def _pulldata(context: Context, name: Value, column: Value, key_column: Value, key: Value) -> str:
    instances = context.environment.instances
    source = to_text(name).removesuffix(".csv")
    root = instances.get(source, instances.get(source + ".csv"))
    if root is None:
        raise XPathError("pulldata() names a file that the form does not have", source)
    wanted = to_text(key)
    for row in root.iterdescendants("{*}item"):
        if to_text(children_of(row, to_text(key_column))) == wanted:
            return to_text(children_of(row, to_text(column)))
    return ""


def _randomize(context: Context, nodes: Value, seed: Value | None = None) -> Nodes:
    """Shuffle. With a seed the order is stable, but not the one that JavaRosa draws."""
    shuffled = list(_nodes(nodes))
    chance = context.environment.random if seed is None else random.Random(to_text(seed))  # noqa: S311
    chance.shuffle(shuffled)
    return shuffled


def _numeric(calculate: Callable[..., float]) -> Function:
    def function(_: Context, *values: Value) -> float:
        try:
            return calculate(*map(to_number, values))
        except (ValueError, OverflowError):
            return math.nan

    return function


def _textual(calculate: Callable[..., Value]) -> Function:
    def function(_: Context, *values: Value) -> Value:
        return calculate(*map(to_text, values))

    return function


FUNCTIONS: dict[str, tuple[Function, int, int | None]] = {
    "abs": (_numeric(abs), 1, 1),
    "acos": (_numeric(math.acos), 1, 1),
    "area": (xpath_geo.area, 1, None),
    "asin": (_numeric(math.asin), 1, 1),
    "atan": (_numeric(math.atan), 1, 1),
    "atan2": (_numeric(math.atan2), 2, 2),
    "base64-decode": (_textual(lambda text: base64.b64decode(text).decode(errors="replace")), 1, 1),
    "boolean": (lambda _, value: to_boolean(value), 1, 1),
    "boolean-from-string": (_textual(lambda text: text.lower() == "true" or text == "1"), 1, 1),
    "ceiling": (_numeric(lambda number: float(math.ceil(number))), 1, 1),
    "checklist": (_checklist, 2, None),
    "concat": (lambda _, *values: "".join(map(to_text, spread(values))), 0, None),
    "contains": (_textual(lambda text, part: part in text), 2, 2),
    "cos": (_numeric(math.cos), 1, 1),
    "count": (lambda _, nodes: float(len(_nodes(nodes))), 1, 1),
    "count-non-empty": (lambda _, nodes: float(sum(bool(text_of(node)) for node in _nodes(nodes))), 1, 1),
    "count-selected": (_textual(lambda text: float(len(text.split()))), 1, 1),
    "current": (lambda context: [context.current], 0, 0),
    "date": (xpath_dates.date, 1, 1),
    "date-time": (xpath_dates.date_time, 1, 1),
    "decimal-date-time": (xpath_dates.decimal_date_time, 1, 1),
    "decimal-time": (xpath_dates.decimal_time, 1, 1),
    "digest": (_digest, 2, 3),
    "distance": (xpath_geo.distance, 1, None),
    "enclosed-area": (xpath_geo.area, 1, 1),
    "ends-with": (_textual(str.endswith), 2, 2),
    "exp": (_numeric(math.exp), 1, 1),
    "exp10": (_numeric(lambda number: math.pow(10, number)), 1, 1),
    "false": (lambda _: False, 0, 0),
    "floor": (_numeric(lambda number: float(math.floor(number))), 1, 1),
    "format-date": (xpath_dates.format_date, 2, 2),
    "format-date-time": (xpath_dates.format_date, 2, 2),
    "instance": (_instance, 1, 1),
    "int": (_int, 1, 1),
    "is-selected": (_selected, 2, 2),
    "join": (lambda _, glue, *values: to_text(glue).join(map(to_text, spread(values))), 1, None),
    "jr:itext": (_textual(lambda key: key), 1, 1),
    "last": (lambda context: float(context.size), 0, 0),
    "log": (_numeric(math.log), 1, 1),
    "log10": (_numeric(math.log10), 1, 1),
    "max": (lambda _, *values: max(_numbers(values), default=math.nan), 1, None),
    "min": (lambda _, *values: min(_numbers(values), default=math.nan), 1, None),
    "normalize-space": (_textual(lambda text: " ".join(text.split())), 1, 1),
    "not": (lambda _, value: not to_boolean(value), 1, 1),
    "now": (lambda context: iso(context.environment.now), 0, 0),
    "number": (lambda _, value: to_number(value), 1, 1),
    "pi": (_numeric(lambda: math.pi), 0, 0),
    "position": (_position, 0, 1),
    "pow": (_power, 2, 2),
    "property": (lambda context, name: context.environment.properties.get(to_text(name), ""), 1, 1),
    "pulldata": (_pulldata, 4, 4),
    "random": (lambda context: context.environment.random.random(), 0, 0),
    "randomize": (_randomize, 1, 2),
    "regex": (_regex, 2, 2),
    "round": (_round, 1, 2),
    "selected": (_selected, 2, 2),
    "selected-at": (_selected_at, 2, 2),
    "sin": (_numeric(math.sin), 1, 1),
    "sqrt": (_numeric(math.sqrt), 1, 1),
    "starts-with": (_textual(str.startswith), 2, 2),
    "string": (lambda _, value: to_text(value), 1, 1),
    "string-length": (_textual(lambda text: float(len(text))), 1, 1),
    "substr": (_substr, 2, 3),
    "substring-after": (_textual(lambda text, part: text.partition(part)[2]), 2, 2),
    "substring-before": (_textual(lambda text, part: text.partition(part)[0] if part in text else ""), 2, 2),
    "sum": (lambda _, nodes: math.fsum(_numbers((_nodes(nodes),))), 1, 1),
    "tan": (_numeric(math.tan), 1, 1),
    "today": (lambda context: context.environment.now.date().isoformat(), 0, 0),
    "translate": (
        _textual(
            lambda text, old, new: text.translate(
                {ord(sign): new[at] if at < len(new) else None for at, sign in reversed([*enumerate(old)])}
            )
        ),
        3,
        3,
    ),
    "true": (lambda _: True, 0, 0),
    "uuid": (_uuid, 0, 1),
    "version": (lambda context: context.root.get("version", ""), 0, 0),
    "weighted-checklist": (_weighted_checklist, 2, None),
}
"""Name → function, fewest and most arguments (None: any number)."""

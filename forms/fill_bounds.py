"""Read from a constraint between which bounds an answer must lie, so that a made-up answer is seldom refused.

A bound is found by trying: a comparison that is linear in the answer is evaluated with two trial answers, and
the crossing point computed. `. + ${a} <= ${b}`, `decimal-date-time(.) >= decimal-date-time(today()) - 3` and
`string-length(.) <= 80` need no rule of their own. What is not understood bounds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from lxml import etree

from forms.xpath import compile_expression, compile_tree
from forms.xpath_parser import Axis, Binary, Call, Expr, Literal, Path, Step, XPathError, walk
from forms.xpath_values import Context, Environment, to_boolean, to_number

HERE = Path((Step(Axis.SELF),))
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
PROBES = (1, 2, 5)
"""Trial answers, in steps."""


class Bounds(NamedTuple):
    """Closed interval; strict comparisons are moved by one step beforehand."""

    low: float = -math.inf
    high: float = math.inf


def bounds(
    constraint: str,
    node: etree._Element,
    environment: Environment,
    spell: Callable[[float], str],
    step: float = 1.0,
) -> Bounds:
    """Return the bounds that `constraint` puts on the answer in `node`, whose text is changed and left changed.

    spell: writes a number of steps' unit as an answer: days as a date, a length as a text of that length.
    step: the distance of neighbouring answers; a strict bound is narrowed by it.
    """
    context = Context(node, node, node.getroottree().getroot(), environment)

    def trial(expr: Expr, value: float) -> float:
        node.text = spell(value)
        return to_number(compile_tree(expr)(context))

    def of(expr: Expr) -> Bounds:
        match expr:
            case Binary(operator="and", left=left, right=right):
                return _meet(of(left), of(right))
            case Binary(operator="or", left=left, right=right):
                return _either(left, right)
            case Binary(operator=sign, left=left, right=right) if sign in FLIPPED:
                return _crossing(sign, left, right)
        return Bounds()

    def _either(left: Expr, right: Expr) -> Bounds:
        sides = [side for side in (left, right) if _concerns(side)]
        fixed = [side for side in (left, right) if not _concerns(side)]
        if len(sides) != 1 or any(to_boolean(compile_tree(side)(context)) for side in fixed):
            return Bounds()
        return of(sides[0])

    def _crossing(sign: str, left: Expr, right: Expr) -> Bounds:
        if not (_concerns(left) or _concerns(right)):
            return Bounds()
        first, second, third = (trial(left, at * step) - trial(right, at * step) for at in PROBES)
        slope = (second - first) / (PROBES[1] - PROBES[0])
        expected = first + slope * (PROBES[2] - PROBES[0])
        if not slope or math.isnan(slope) or not math.isclose(third, expected, rel_tol=1e-6, abs_tol=1e-6):
            return Bounds()
        return _bound(sign if slope > 0 else FLIPPED[sign], (PROBES[0] - first / slope) * step, step)

    try:
        return of(compile_expression(constraint).tree)
    except XPathError:
        return Bounds()


def pattern(constraint: str) -> str:
    """Return the pattern of a `regex(., '…')` that must hold, "" when there is none."""
    pending = [compile_expression(constraint).tree]
    while pending:
        match pending.pop():
            case Call(name="regex", arguments=(here, Literal(value=str(found)))) if here == HERE:
                return found
            case Binary(operator="and" | "or", left=left, right=right):
                pending += [right, left]
    return ""


def _concerns(expr: Expr) -> bool:
    """Whether the answer itself is in the expression."""
    return any(part == HERE for part in walk(expr))


def _meet(one: Bounds, other: Bounds) -> Bounds:
    return Bounds(max(one.low, other.low), min(one.high, other.high))


def _bound(sign: str, at: float, step: float) -> Bounds:
    match sign:
        case ">=":
            return Bounds(low=at)
        case ">":
            return Bounds(low=at + step)
        case "<=":
            return Bounds(high=at)
        case "<":
            return Bounds(high=at - step)
    return Bounds(at, at)

"""The operators of XPath on JavaRosa's values: comparison, equality, arithmetic, union."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from forms.xpath_parser import XPathError
from forms.xpath_values import NOTHING_NEAR, Nodes, Value, to_boolean, to_number, to_text

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are equal: as truths, else as numbers, else as texts (XPathEqExpr.eval)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return to_boolean(left) == to_boolean(right)
    if isinstance(left, float) or isinstance(right, float):
        return abs(to_number(left) - to_number(right)) < NOTHING_NEAR
    return to_text(left) == to_text(right)


def union(left: Value, right: Value) -> Nodes:
    if not isinstance(left, list) or not isinstance(right, list):
        raise XPathError("Only nodesets can be joined by `|`")
    return [*left, *(node for node in right if node not in left)]


def _divide(left: float, right: float) -> float:
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left)
    return left / right


def _remainder(left: float, right: float) -> float:
    return math.fmod(left, right) if right and not math.isinf(left) else math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "div": _divide,
    "mod": _remainder,
}

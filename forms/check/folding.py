"""What can be told about an expression before anybody answers: always true, always false, or open.

Three-valued: True, False, or None for “depends”. Literals are folded; of `and` and `or` over comparisons of one
subject with literals, contradictions are found. A nodeset of several rows is no subject: `=` asks for any of them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from forms.xpath_parser import Binary, Call, Expr, Literal, Negation

Value = bool | float | str
Known = Callable[[Expr], Value | None]
"""Return the value of an expression that is known from elsewhere (a choice's column), None when it is not."""

INVERSE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
MIRRORED = {"=": "=", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul}
BRANCHES_MAX = 64


@dataclass(frozen=True, slots=True)
class Atom:
    """A comparison of one subject with a literal."""

    subject: Expr
    operator: str
    value: float | str


def nothing_known(_: Expr) -> None:
    """Know no value but the literals'."""
    return


def outcome(expr: Expr, known: Known = nothing_known, single: Callable[[Expr], bool] = bool) -> bool | None:
    """Return what a condition always is, None when it depends on answers.

    single: whether an expression has one value, not one for each row of a repeat.
    """
    match expr:
        case Binary(operator="and" | "or"):
            return _joined(expr, known, single)
        case Call(name="not", arguments=(inner,)):
            inside = outcome(inner, known, single)
            return None if inside is None else not inside
    value = fold(expr, known)
    return None if value is None else _truth(value)


def fold(expr: Expr, known: Known = nothing_known) -> Value | None:
    """Return the value of an expression made of literals and what is known, None when it is open."""
    match expr:
        case Literal(value=value):
            return value
        case Negation(operand=operand):
            inner = fold(operand, known)
            return None if inner is None else -_number(inner)
        case Call(name="true" | "false" as name, arguments=()):
            return name == "true"
        case Call(name="boolean" | "number" | "string" as name, arguments=(inner,)):
            return _converted(name, fold(inner, known))
        case Call(name="not", arguments=(_,)) | Binary(operator="and" | "or"):
            return outcome(expr, known)
        case Binary(operator=sign, left=left, right=right):
            return _operated(sign, fold(left, known), fold(right, known))
    return known(expr)


def _converted(name: str, value: Value | None) -> Value | None:
    if value is None:
        return None
    return _truth(value) if name == "boolean" else _number(value) if name == "number" else str(value)


def _operated(sign: str, left: Value | None, right: Value | None) -> Value | None:
    if left is None or right is None:
        return None
    if sign in ORDER:
        return bool(ORDER[sign](_number(left), _number(right)))
    if sign in {"=", "!="}:
        return _is_equal(left, right) is (sign == "=")
    if sign in ARITHMETIC:
        return float(ARITHMETIC[sign](_number(left), _number(right)))
    return None


def _is_equal(left: Value, right: Value) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return _truth(left) is _truth(right)
    if isinstance(left, float) or isinstance(right, float):
        return _number(left) == _number(right)
    return left == right


def _number(value: Value) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _truth(value: Value) -> bool:
    return value != 0 and not math.isnan(value) if isinstance(value, float) else bool(value)


def _joined(expr: Binary, known: Known, single: Callable[[Expr], bool]) -> bool | None:
    """Decide `and`; `or` is decided as the opposite of the opposites' `and`."""
    is_and = expr.operator == "and"
    terms = _flat(expr, expr.operator)
    results = [outcome(term, known, single) for term in terms]
    if (not is_and) in results:
        return not is_and
    if all(result is is_and for result in results):
        return is_and
    open_terms = [term for term, result in zip(terms, results, strict=True) if result is None]
    return not is_and if _is_contradiction(open_terms, is_and, single) else None


def _flat(expr: Expr, sign: str) -> list[Expr]:
    if isinstance(expr, Binary) and expr.operator == sign:
        return [*_flat(expr.left, sign), *_flat(expr.right, sign)]
    return [expr]


def _is_contradiction(terms: Sequence[Expr], positive: bool, single: Callable[[Expr], bool]) -> bool:
    """Return whether no answer makes all terms true (or, with positive false, all of them false)."""
    ways: list[list[Atom]] = [[]]
    for term in terms:
        options = _ways(term, positive)
        if len(ways) * len(options) > BRANCHES_MAX:
            continue
        ways = [[*way, *option] for way in ways for option in options]
    return all(_clashes(atom for atom in way if single(atom.subject)) for way in ways)


def _ways(term: Expr, positive: bool) -> list[list[Atom]]:
    """Return the ways in which a term comes true (or false), each a list of atoms; unknown parts are left out."""
    match term:
        case Call(name="not", arguments=(inner,)):
            return _ways(inner, not positive)
        case Binary(operator="and" | "or" as sign, left=left, right=right):
            lefts, rights = _ways(left, positive), _ways(right, positive)
            if (sign == "and") is positive:
                return [[*a, *b] for a in lefts for b in rights][:BRANCHES_MAX] or [[]]
            return [*lefts, *rights]
        case Binary(operator=sign, left=left, right=right) if sign in INVERSE:
            atom = _atom(left, sign if positive else INVERSE[sign], right)
            return [[atom]] if atom else [[]]
    return [[Atom(term, "is", str(positive))]]


def _atom(left: Expr, sign: str, right: Expr) -> Atom | None:
    if (value := fold(right)) is not None and fold(left) is None and not isinstance(value, bool):
        return Atom(left, sign, value)
    if (value := fold(left)) is not None and fold(right) is None and not isinstance(value, bool):
        return Atom(right, MIRRORED[sign], value)
    return None


def _clashes(atoms: Iterable[Atom]) -> bool:
    """Return whether the atoms about some subject cannot all hold."""
    about: dict[Expr, list[Atom]] = {}
    for atom in atoms:
        about.setdefault(atom.subject, []).append(atom)
    return any(_is_impossible(each) for each in about.values())


def _is_impossible(atoms: Sequence[Atom]) -> bool:
    if len({atom.value for atom in atoms if atom.operator == "is"}) > 1:
        return True
    equal = [atom.value for atom in atoms if atom.operator == "="]
    if equal:
        return any(not _allows(atom, equal[0]) for atom in atoms)
    least = max((_bound(atom) for atom in atoms if atom.operator in {">", ">="}), default=(-math.inf, False))
    most = min(
        ((_number(atom.value), atom.operator == "<=") for atom in atoms if atom.operator in {"<", "<="}),
        default=(math.inf, False),
    )
    if least[0] == -math.inf or most[0] == math.inf:
        return False
    return least[0] > most[0] or (least[0] == most[0] and (least[1] or not most[1]))


def _bound(atom: Atom) -> tuple[float, bool]:
    """Return a lower bound; of two equal ones the open is the stricter."""
    return _number(atom.value), atom.operator == ">"


def _allows(atom: Atom, value: float | str) -> bool:
    if atom.operator == "is":
        return True
    return _operated(atom.operator, value, atom.value) is True

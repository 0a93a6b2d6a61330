"""A cell's expression as a tree, with `${name}` kept as a reference to a question by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from forms.check.design import Design, Question
from forms.errors import FormError
from forms.xpath_parser import Axis, Binary, Call, Expr, Negation, Path, Step, parse

REFERENCE = re.compile(r"\$\{\s*(last-saved#)?([^}#]+?)\s*\}")
ROOT = "chapar.reference"
CURLY = str.maketrans("‘’“”", "''\"\"")
"""pyxform straightens quotation marks, too."""
LOGIC = ("relevant", "constraint", "calculation", "choice_filter")
LEVELS_MAX = 150
OTHERS = ("required", "readonly", "repeat_count", "default", "trigger")


def references(text: str) -> tuple[str, ...]:
    """Return the names that a text refers to, each once, without those of the answer saved last."""
    return tuple(dict.fromkeys(match[2] for match in REFERENCE.finditer(text) if not match[1]))


@lru_cache(maxsize=8192)
def tree(expression: str) -> Expr | None:
    """Return the tree of a cell's expression, None when it cannot be read: the compiler says why.

    None as well for one nested deeper than LEVELS_MAX, which rules that walk down a tree could not bear.
    """
    try:
        found = parse(REFERENCE.sub(_as_path, expression.translate(CURLY)))
    except (FormError, RecursionError):
        return None
    return found if _fits(found) else None


def _fits(expr: Expr) -> bool:
    level = [expr]
    for _ in range(LEVELS_MAX):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return True
    return False


def referred(expr: Expr) -> str:
    """Return the name that an expression consists of, as `${name}`; "" when it is anything else."""
    match expr:
        case Path(steps=(Step(name=root), Step(axis=Axis.CHILD, name=name, predicates=())), absolute=True):
            return name if root == ROOT else ""
    return ""


def is_self(expr: Expr) -> bool:
    """Return whether an expression is `.`, the answer itself."""
    return isinstance(expr, Path) and expr.start is None and expr.steps == (Step(Axis.SELF),)


def bare_word(expr: Expr) -> str:
    """Return the name when an expression is one word such as `age`, "" when it is anything else."""
    match expr:
        case Path(steps=(Step(axis=Axis.CHILD, name=name, predicates=()),), absolute=False, start=None):
            return name if name != "*" else ""
    return ""


def parts(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all inside it, without predicates: those speak of another place."""
    waiting = [expr]
    while waiting:
        yield (first := waiting.pop(0))
        waiting += _inside(first)


def _inside(expr: Expr) -> tuple[Expr, ...]:
    match expr:
        case Call(arguments=inner):
            return inner
        case Binary(left=left, right=right):
            return left, right
        case Negation(operand=operand):
            return (operand,)
        case Path(start=start) if start is not None:
            return (start,)
    return ()


def sources(design: Design, names: tuple[str, ...]) -> dict[str, Question]:
    """Return the questions that these names come from: themselves, and what their calculations refer to."""
    found: dict[str, Question] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in design.by_name and name not in found:
            found[name] = design.by_name[name]
            waiting += references(found[name].entry["calculation"])
    return found


def _as_path(match: re.Match[str]) -> str:
    if not re.fullmatch(r"[^\W\d][\w.\-]*", match[2]):
        return " '' "
    return f" /{ROOT}{'.saved' if match[1] else ''}/{match[2]} "

"""The XPath of ODK XForms as a tree: read here, evaluated by `forms.xpath`, looked into by `forms.fill`.

The subset that JavaRosa accepts: paths of child, parent, self and attribute steps with predicates, the operators
of XPath 1.0, function calls, literals. Other axes are refused, as in JavaRosa.
Why not elementpath: its values and comparisons are not JavaRosa's (a date is text, `if` is a keyword), and each
changed answer needs a new context: 1.5 ms per expression on 300 nodes against 20 µs here.
Source: https://www.w3.org/TR/xpath-10/ section 3, https://getodk.github.io/xforms-spec/#xpath-support
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from forms.errors import Fault, FormError


class XPathError(FormError):
    """An expression cannot be read or evaluated; the message quotes the expression, never an answer."""

    def __init__(self, problem: str, expression: str = "") -> None:
        quoted = f" in `{expression}`" if expression else ""
        super().__init__(Fault(f"{problem}{quoted}.", "Correct the expression."))


class Axis(Enum):
    """Where a step goes."""

    CHILD = "child"
    PARENT = "parent"
    SELF = "self"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Literal:
    """A quoted text or a number."""

    value: str | float


@dataclass(frozen=True, slots=True)
class Call:
    """A function call, name as written (`jr:choice-name`)."""

    name: str
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions: or and = != < <= > >= + - * div mod |."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Negation:
    """A minus sign before an expression."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path; name `*` is any, "" where the axis needs none."""

    axis: Axis
    name: str = ""
    predicates: tuple[Expr, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from the root element's parent (`start` is None and `absolute`), the context node, or an expression."""

    steps: tuple[Step, ...]
    absolute: bool = False
    start: Expr | None = None


Expr = Literal | Call | Binary | Negation | Path

TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"[^"]*"|'[^']*')
    | (?P<number>\d+(?:\.\d*)?|\.\d+)
    | (?P<name>[^\W\d][\w.\-]*(?::[^\W\d][\w.\-]*)?)
    | (?P<symbol>::|\.\.|!=|<=|>=|//|[()\[\],.@/|+\-=<>*])
    )""",
    re.VERBOSE,
)
LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"or"}),
    frozenset({"and"}),
    frozenset({"=", "!="}),
    frozenset({"<", "<=", ">", ">="}),
    frozenset({"+", "-"}),
    frozenset({"*", "div", "mod"}),
)
WORDS = frozenset({"or", "and", "div", "mod"})
OPERAND_FOLLOWS = frozenset({"(", "[", ",", "@", "::", "/", "|", "+", "-", "=", "!=", "<", "<=", ">", ">="})


def parse(expression: str) -> Expr:
    """Return the tree of `expression`. Raises XPathError when it is not in the subset."""
    try:
        return _Parser(expression).parse()
    except RecursionError:
        raise XPathError("The expression is nested too deeply") from None


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield `expr` and every expression inside it, predicates included."""
    yield expr
    match expr:
        case Call(arguments=parts):
            pass
        case Binary(left=left, right=right):
            parts = (left, right)
        case Negation(operand=operand):
            parts = (operand,)
        case Path(steps=steps, start=start):
            parts = (
                *(() if start is None else (start,)),
                *(each for step in steps for each in step.predicates),
            )
        case _:
            parts = ()
    for part in parts:
        yield from walk(part)


def _tokens(expression: str) -> list[tuple[str, str]]:
    """Cut into (kind, text); a name or `*` where only an operator can stand is an `operator` (XPath 1.0, 3.7)."""
    tokens: list[tuple[str, str]] = []
    position = 0
    text = expression.rstrip()
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise XPathError(f"Unexpected character at {position + 1}", expression)
        kind, value = found.lastgroup or "", found.group(found.lastgroup or 0)
        after_operand = bool(tokens) and not (
            tokens[-1][0] == "operator" or (tokens[-1][0] == "symbol" and tokens[-1][1] in OPERAND_FOLLOWS)
        )
        if after_operand and (value in WORDS or value == "*"):
            kind = "operator"
        tokens.append((kind, value))
        position = found.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = [*_tokens(expression), ("end", "")]
        self.at = 0

    def parse(self) -> Expr:
        expr = self.binary(0)
        if self.tokens[self.at][0] != "end":
            raise self.error()
        return expr

    def error(self) -> XPathError:
        found = self.tokens[self.at][1]
        return XPathError(
            f"“{found}” is out of place" if found else "The end comes too early", self.expression
        )

    def accept(self, *values: str) -> str:
        kind, value = self.tokens[self.at]
        if kind in {"symbol", "operator"} and value in values:
            self.at += 1
            return value
        return ""

    def expect(self, value: str) -> None:
        if not self.accept(value):
            raise self.error()

    def binary(self, level: int) -> Expr:
        if level == len(LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while operator := self.accept(*LEVELS[level]):
            left = Binary(operator, left, self.binary(level + 1))
        return left

    def unary(self) -> Expr:
        if self.accept("-"):
            return Negation(self.unary())
        left = self.path()
        while self.accept("|"):
            left = Binary("|", left, self.path())
        return left

    def path(self) -> Expr:
        if self.accept("/"):
            return Path(self.steps(), absolute=True)
        start = self.primary()
        if start is None:
            return Path(self.steps())
        predicates = self.predicates()
        if predicates:
            start = Path((Step(Axis.SELF, predicates=predicates),), start=start)
        return Path(self.steps(), start=start) if self.accept("/") else start

    def primary(self) -> Expr | None:
        kind, value = self.tokens[self.at]
        if kind == "text":
            self.at += 1
            return Literal(value[1:-1])
        if kind == "number":
            self.at += 1
            return Literal(float(value))
        if kind == "name" and self.tokens[self.at + 1] == ("symbol", "("):
            self.at += 2
            return Call(value, self.arguments())
        if self.accept("("):
            inner = self.binary(0)
            self.expect(")")
            return inner
        return None

    def arguments(self) -> tuple[Expr, ...]:
        if self.accept(")"):
            return ()
        arguments = [self.binary(0)]
        while self.accept(","):
            arguments.append(self.binary(0))
        self.expect(")")
        return tuple(arguments)

    def steps(self) -> tuple[Step, ...]:
        steps = [self.step()]
        while self.accept("/"):
            steps.append(self.step())
        return tuple(steps)

    def step(self) -> Step:
        if self.accept(".."):
            return Step(Axis.PARENT, predicates=self.predicates())
        if self.accept("."):
            return Step(Axis.SELF, predicates=self.predicates())
        axis = Axis.ATTRIBUTE if self.accept("@") else self.named_axis()
        if self.accept("*"):
            return Step(axis, "*", self.predicates())
        kind, name = self.tokens[self.at]
        if kind != "name":
            raise self.error()
        self.at += 1
        return Step(axis, name, self.predicates())

    def named_axis(self) -> Axis:
        kind, name = self.tokens[self.at]
        if kind != "name" or self.tokens[self.at + 1] != ("symbol", "::"):
            return Axis.CHILD
        if name not in {"child", "attribute"}:
            raise XPathError(f"Axis “{name}” is not supported", self.expression)
        self.at += 2
        return Axis(name)

    def predicates(self) -> tuple[Expr, ...]:
        predicates = []
        while self.accept("["):
            predicates.append(self.binary(0))
            self.expect("]")
        return tuple(predicates)

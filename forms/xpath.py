"""Evaluate the XPath of ODK XForms against an instance: relevance, constraints, calculations, choice lists.

Each expression is read once, turned into closures and kept. Non-relevant nodes must be absent from the instance,
as JavaRosa leaves them out of every nodeset. An absolute path inside a repeat means the row that the expression
stands in (TreeReference.contextualize), also `count(/data/row)`, which is 1 there; `..`-paths see all rows.
Source: https://getodk.github.io/xforms-spec/, JavaRosa d686d1bc9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from forms.xpath_functions import FUNCTIONS, children_of
from forms.xpath_operators import ARITHMETIC, COMPARE, equal, union
from forms.xpath_parser import (
    Axis,
    Binary,
    Call,
    Expr,
    Literal,
    Negation,
    Path,
    Step,
    XPathError,
    parse,
    walk,
)
from forms.xpath_values import (
    Context,
    Environment,
    Nodes,
    Value,
    text_of,
    to_boolean,
    to_number,
    to_text,
)

__all__ = [
    "Environment",
    "Expression",
    "XPathError",
    "boolean",
    "compile_expression",
    "nodes",
    "number",
    "text",
]

Evaluate = Callable[[Context], Value]
VOLATILE = frozenset({"random", "uuid"})


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression ready to run. volatile: it gives another value each time (`uuid()` outside `once()`)."""

    source: str
    tree: Expr
    evaluate: Evaluate
    volatile: bool


@lru_cache(maxsize=8192)
def compile_expression(source: str) -> Expression:
    """Return the expression ready to run, read once for all. Raises XPathError."""
    tree = parse(source)
    try:
        evaluate = compile_tree(tree)
    except XPathError as error:
        raise XPathError(error.faults[0].message.rstrip("."), source.strip()) from None
    except RecursionError:  # also thousands of terms in a row: each is one level of the tree
        raise XPathError("The expression is too long, or nested too deeply") from None
    calls = {part.name for part in walk(tree) if isinstance(part, Call)}
    return Expression(source, tree, evaluate, "once" not in calls and not calls.isdisjoint(VOLATILE))


def boolean(source: str, node: etree._Element, environment: Environment) -> bool:
    """Return the truth of an expression at a node of the main instance."""
    return to_boolean(evaluate(source, node, environment))


def number(source: str, node: etree._Element, environment: Environment) -> float:
    """Return the number that an expression gives at a node; NaN when none."""
    return to_number(evaluate(source, node, environment))


def text(source: str, node: etree._Element, environment: Environment) -> str:
    """Return the text that an expression gives at a node."""
    return to_text(evaluate(source, node, environment))


def nodes(source: str, node: etree._Element, environment: Environment) -> Nodes:
    """Return the nodes that an expression selects. Raises XPathError when it gives a value instead."""
    found = evaluate(source, node, environment)
    if not isinstance(found, list):
        raise XPathError("A nodeset is needed", source.strip())
    return found


def evaluate(source: str, node: etree._Element, environment: Environment) -> Value:
    """Return what an expression gives at a node. Raises XPathError."""
    root = node.getroottree().getroot()
    return compile_expression(source).evaluate(Context(node, node, root, environment))


@lru_cache(maxsize=8192)
def compile_tree(tree: Expr) -> Evaluate:
    """Return a tree, or a part of one, ready to run. Raises XPathError."""
    match tree:
        case Literal(value=constant):
            return lambda _: constant
        case Negation(operand=operand):
            inner = compile_tree(operand)
            return lambda context: -to_number(inner(context))
        case Binary():
            return _compile_binary(tree.operator, compile_tree(tree.left), compile_tree(tree.right))
        case Call():
            return _compile_call(tree)
        case Path():
            return _compile_path(tree)


def _compile_binary(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    if sign == "or":
        return lambda context: to_boolean(left(context)) or to_boolean(right(context))
    if sign == "and":
        return lambda context: to_boolean(left(context)) and to_boolean(right(context))
    if sign in {"=", "!="}:
        wanted = sign == "="
        return lambda context: equal(left(context), right(context)) is wanted
    if sign in COMPARE:
        compare = COMPARE[sign]
        return lambda context: compare(to_number(left(context)), to_number(right(context)))
    if sign == "|":
        return lambda context: union(left(context), right(context))
    calculate = ARITHMETIC[sign]
    return lambda context: calculate(to_number(left(context)), to_number(right(context)))


def _compile_call(call: Call) -> Evaluate:
    arguments = tuple(compile_tree(argument) for argument in call.arguments)
    if call.name in SPECIAL:
        compile_special, least, most = SPECIAL[call.name]
        _check_count(call, least, most)
        return compile_special(call, arguments)
    if call.name not in FUNCTIONS:
        raise XPathError(f"Function “{call.name}” is not known")
    function, least, most = FUNCTIONS[call.name]
    _check_count(call, least, most)
    return lambda context: function(context, *[argument(context) for argument in arguments])


def _check_count(call: Call, least: int, most: int | None) -> None:
    if len(call.arguments) < least or (most is not None and len(call.arguments) > most):
        raise XPathError(f"Function “{call.name}” was given {len(call.arguments)} arguments")


def _if(_: Call, arguments: tuple[Evaluate, ...]) -> Evaluate:
    condition, then, otherwise = arguments
    return lambda context: then(context) if to_boolean(condition(context)) else otherwise(context)


def _coalesce(_: Call, arguments: tuple[Evaluate, ...]) -> Evaluate:
    def coalesce(context: Context) -> Value:
        value: Value = ""
        for argument in arguments:
            value = argument(context)
            if to_text(value) not in {"", "NaN"}:
                break
        return value

    return coalesce


def _once(_: Call, arguments: tuple[Evaluate, ...]) -> Evaluate:
    return lambda context: text_of(context.current) or arguments[0](context)


def _choice_name(_: Call, arguments: tuple[Evaluate, ...]) -> Evaluate:
    """`jr:choice-name(answer, 'path')`: the label; the answer itself where no label is known."""

    def choice_name(context: Context) -> str:
        answer = to_text(arguments[0](context))
        path = "/" + "/".join(_names(parse(to_text(arguments[1](context))), context)[1:])
        labels = context.environment.choice_labels.get(path, {})
        return ", ".join(labels.get(name, name) for name in answer.split())

    return choice_name


def _indexed_repeat(call: Call, arguments: tuple[Evaluate, ...]) -> Evaluate:
    """`indexed-repeat(field, repeat, index, …)`; an index below 1 is 1, as in JavaRosa."""
    if len(call.arguments) % 2 == 0:
        raise XPathError("Function “indexed-repeat” needs a field and pairs of repeat and index")

    def indexed_repeat(context: Context) -> Value:
        rows = {
            tuple(_names(repeat, context)): max(1, int(to_number(index(context)) or 1))
            for repeat, index in zip(call.arguments[1::2], arguments[2::2], strict=True)
        }
        names = _names(call.arguments[0], context)
        found: Nodes = [context.root]
        for depth in range(1, len(names)):
            found = [child for node in found for child in children_of(node, names[depth])]
            row = rows.get(tuple(names[: depth + 1]))
            found = _own_row(found, context) if row is None else found[row - 1 : row]
        return found

    return indexed_repeat


SPECIAL: dict[str, tuple[Callable[[Call, tuple[Evaluate, ...]], Evaluate], int, int | None]] = {
    "if": (_if, 3, 3),
    "coalesce": (_coalesce, 1, None),
    "once": (_once, 1, 1),
    "indexed-repeat": (_indexed_repeat, 3, 11),
    "jr:choice-name": (_choice_name, 2, 2),
}
"""Functions that choose what to evaluate, or that look at an argument's path."""


def _names(path: Expr, context: Context) -> list[str]:
    """Return the names from the root element down that a plain path means."""
    if not isinstance(path, Path) or path.start is not None:
        raise XPathError("A plain path is needed")
    names = [] if path.absolute else path_names(context.current)
    for step in path.steps:
        if step.axis is Axis.PARENT:
            names.pop()
        elif step.axis is Axis.CHILD:
            names.append(step.name)
    return names


def path_names(node: etree._Element) -> list[str]:
    """Return the local names from the root element down to `node`."""
    chain = [node, *node.iterancestors()]
    return [element.tag.rpartition("}")[2] for element in reversed(chain)]


def _compile_path(path: Path) -> Evaluate:
    steps = tuple(_compile_step(step) for step in path.steps)
    if path.start is not None:
        start = compile_tree(path.start)
        return lambda context: _follow(steps, start(context), context)
    if not path.absolute:
        return lambda context: _follow(steps, [context.node], context)
    root_name = path.steps[0].name.rpartition(":")[2]
    below = tuple(zip(steps[1:], (bool(step.predicates) for step in path.steps[1:]), strict=True))

    def absolute(context: Context) -> Nodes:
        found: Nodes = [context.root] if context.root.tag.rpartition("}")[2] == root_name else []
        for step, filtered in below:
            found = step(found, context)
            if len(found) > 1 and not filtered:
                found = _own_row(found, context)
        return found

    return absolute


def _own_row(found: Nodes, context: Context) -> Nodes:
    """Keep, of several rows, the one that the expression stands in, if it stands in one."""
    lineage = [context.current, *context.current.iterancestors()]
    return [node for node in found if node in lineage] or found


def _follow(steps: tuple[Callable[[Nodes, Context], Nodes], ...], start: Value, context: Context) -> Nodes:
    if not isinstance(start, list):
        raise XPathError("A path cannot start at a value")
    for step in steps:
        start = step(start, context)
    return start


def _compile_step(step: Step) -> Callable[[Nodes, Context], Nodes]:
    move = _compile_move(step)
    if not step.predicates:
        return lambda found, _: move(found)
    filters = tuple(_compile_filter(predicate) for predicate in step.predicates)

    def filtered(found: Nodes, context: Context) -> Nodes:
        found = move(found)
        for keep in filters:
            found = keep(found, context)
        return found

    return filtered


def _compile_filter(predicate: Expr) -> Callable[[Nodes, Context], Nodes]:
    """Compile a predicate; of `[country = /data/country]` the right side is evaluated once, not per row."""
    match predicate:
        case Binary(
            operator="=",
            left=Path(steps=(Step(axis=Axis.CHILD, name=name, predicates=()),)) as left,
            right=right,
        ):
            if not left.absolute and left.start is None and _is_the_same_everywhere(right):
                wanted = compile_tree(right)
                return lambda found, context: _filter_equal(found, name, wanted(context) if found else "")
    test = compile_tree(predicate)
    return lambda found, context: _filter(found, test, context)


def _is_the_same_everywhere(expr: Expr) -> bool:
    """Whether an expression gives the same value in every row: a literal, or a path without predicates."""
    match expr:
        case Literal():
            return True
        case Path(steps=steps, absolute=absolute, start=start):
            anchored = absolute or start == Call("current", ())
            return anchored and not any(step.predicates for step in steps)
    return False


def _filter_equal(found: Nodes, name: str, wanted: Value) -> Nodes:
    return [node for node in found if equal(children_of(node, name), wanted)]


def _compile_move(step: Step) -> Callable[[Nodes], Nodes]:
    match step.axis:
        case Axis.SELF:
            return lambda found: found
        case Axis.PARENT:
            return _parents
        case Axis.CHILD:
            return lambda found: [child for node in found for child in children_of(node, step.name)]
        case Axis.ATTRIBUTE:
            return lambda found: [_attribute(node, step.name) for node in found if step.name in node.attrib]


def _parents(found: Nodes) -> Nodes:
    parents: Nodes = []
    for node in found:
        parent = node.getparent()
        if parent is not None and parent not in parents:
            parents.append(parent)
    return parents


def _attribute(node: etree._Element, name: str) -> etree._Element:
    """Return the attribute as a leaf of its own, so that a nodeset holds elements only."""
    leaf = etree.Element(name)
    leaf.text = node.get(name)
    return leaf


def _filter(found: Nodes, predicate: Evaluate, context: Context) -> Nodes:
    kept: Nodes = []
    for position, node in enumerate(found, start=1):
        value = predicate(context._replace(node=node, position=position, size=len(found)))
        if value == position if isinstance(value, float) else to_boolean(value):
            kept.append(node)
    return kept

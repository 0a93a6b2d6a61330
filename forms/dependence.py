"""Which questions an expression speaks of, and which answers decide whether a question is asked at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from forms.errors import FormError
from forms.schema import Field, FormSchema
from forms.xpath_parser import Axis, Call, Expr, Path, parse, walk


def controllers(schema: FormSchema) -> Mapping[str, frozenset[str]]:
    """Return, for each field that is not always asked, the fields whose answers decide it.

    Through the relevance of the groups and repeats around it, and further: of what those fields themselves depend
    on, by relevance or calculation.
    """
    own: dict[str, frozenset[str]] = {}
    for node in schema.walk():
        above = own.get(node.path.rpartition("/")[0], frozenset())
        own[node.path] = above | referred([node.relevant], node.path, schema)
    sources = {
        field.path: own[field.path] | referred([field.calculate], field.path, schema)
        for field in schema.fields
    }
    return {field.path: _closure(own[field.path], sources) for field in schema.fields if own[field.path]}


def referred(expressions: Iterable[str], here: str, schema: FormSchema) -> frozenset[str]:
    """Return the paths of the fields that expressions at the path `here` speak of; none for what cannot be read."""
    found = set()
    for expression in expressions:
        try:
            tree = parse(expression) if expression else None
        except FormError:
            continue
        for part in walk(tree) if tree else ():
            path = target(part, here)
            if isinstance(schema.by_path.get(path), Field):
                found.add(path)
    return frozenset(found)


def target(expr: Expr, here: str) -> str:
    """Return the path in the schema that a path in an expression means, "" when it means none.

    here: the path of the node that the expression stands at.
    """
    if not isinstance(expr, Path):
        return ""
    at = [""] if expr.absolute else here.split("/")
    match expr.start:
        case None | Call(name="current"):
            pass
        case _:
            return ""
    for step in expr.steps[1:] if expr.absolute else expr.steps:
        match step.axis:
            case Axis.CHILD:
                at.append(step.name)
            case Axis.PARENT:
                at = at[:-1]
            case Axis.SELF:
                pass
            case Axis.ATTRIBUTE:
                return ""
    return "/".join(at)


def _closure(start: frozenset[str], sources: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += sources[path]
    return frozenset(found)

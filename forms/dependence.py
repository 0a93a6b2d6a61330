"""Which questions an expression speaks of, and which answers decide whether a question is asked at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from forms.errors import FormError
from forms.schema import Field, FormSchema, Repeat
from forms.xpath_parser import Axis, Call, Expr, Path, parse, walk


def controllers(schema: FormSchema) -> Mapping[str, frozenset[str]]:
    """Return, for each field that is not always asked, the fields whose answers decide it.

    Through the relevance of the groups and repeats around it, and further: of what those fields themselves depend
    on, by relevance or calculation.
    """
    deciders = _deciders(schema)
    direct = _direct(schema, deciders)
    return {
        field.path: frozenset(
            path for path in _closure(deciders[field.path], direct) if isinstance(schema.by_path[path], Field)
        )
        for field in schema.fields
        if deciders[field.path]
    }


def sources(schema: FormSchema) -> Mapping[str, frozenset[str]]:
    """Return, for each calculation, the fields and repeats that its value comes from, also through others'."""
    direct = _direct(schema, _deciders(schema))
    return {field.path: _closure(direct[field.path], direct) for field in schema.fields if field.calculate}


def _deciders(schema: FormSchema) -> Mapping[str, frozenset[str]]:
    """What the relevance of each node and of those around it speaks of."""
    found: dict[str, frozenset[str]] = {}
    for node in schema.walk():
        above = found.get(node.path.rpartition("/")[0], frozenset())
        found[node.path] = above | referred([node.relevant], node.path, schema)
    return found


def _direct(schema: FormSchema, deciders: Mapping[str, frozenset[str]]) -> Mapping[str, frozenset[str]]:
    """What each field says because of, in one step."""
    return {
        field.path: deciders[field.path] | referred([field.calculate], field.path, schema)
        for field in schema.fields
    }


def referred(expressions: Iterable[str], here: str, schema: FormSchema) -> frozenset[str]:
    """Return the paths of the fields and repeats that expressions at `here` speak of; none for what cannot be read."""
    found = set()
    for expression in expressions:
        try:
            tree = parse(expression) if expression else None
        except FormError:
            continue
        for part in walk(tree) if tree else ():
            path = target(part, here)
            if isinstance(schema.by_path.get(path), Field | Repeat):
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
            waiting += sources.get(path, ())
    return frozenset(found)

"""Stored answers as a tree that expressions can be evaluated in, outside a tablet: for filters and checks.

An expression names questions as a sheet does, `${size} > 20`, or by paths. At a question in a repeat it is evaluated
once for each row, and a path means that row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lxml import etree

from forms.cells import KEY
from forms.schema import FormSchema

REFERENCE = re.compile(r"\$\{\s*([^}\s]+)\s*\}")


def plant(document: Mapping[str, Any], schema: FormSchema, hides: Callable[[str], bool]) -> etree._Element:
    """Return the answers as elements. document: as `instance.to_json` gives it. hides: whether a path stays out."""
    root = etree.Element(schema.root)
    _grow(root, "", document, hides)
    return root


def expanded(expression: str, schema: FormSchema, find: Callable[[str], str]) -> str:
    """Return an expression with paths for `${name}`. find: name → path, without root."""
    return REFERENCE.sub(lambda found: f" /{schema.root}{find(found[1])} ", expression)


def spots(root: etree._Element, schema: FormSchema, path: str) -> Iterator[tuple[str, etree._Element]]:
    """Yield every place of a question or repeat, answered or not, as (cell, element); of a repeat each row.

    A cell is named as `sync.cleaning` does.
    """
    repeats = {one.path: one.row_key for one in schema.repeats}

    def walk(
        node: etree._Element, cell: str, above: str, rest: list[str]
    ) -> Iterator[tuple[str, etree._Element]]:
        if not rest:
            yield cell, node
            return
        name, here = rest[0], f"{above}/{rest[0]}"
        found = node.findall(name)
        if here in repeats:
            for number, row in enumerate(found, 1):
                yield from walk(row, f"{cell}/{name}[{_key(row, repeats[here], number)}]", here, rest[1:])
        else:
            child = found[0] if found else etree.SubElement(node, name)
            yield from walk(child, f"{cell}/{name}", here, rest[1:])
            if not found:
                node.remove(child)

    yield from walk(root, "", "", path.split("/")[1:])


def _key(row: etree._Element, key_name: str, number: int) -> str:
    own = (row.findtext(key_name) or "").strip() if key_name else ""
    return own if KEY.fullmatch(own) else f"@{number}"


def _grow(
    parent: etree._Element, above: str, content: Mapping[str, Any], hides: Callable[[str], bool]
) -> None:
    for name, child in content.items():
        path = f"{above}/{name}"
        for one in child if isinstance(child, list) else [child]:
            if name[0] in "@#":
                continue
            if isinstance(one, Mapping):
                element = etree.SubElement(parent, name)
                if text := one.get("#text"):
                    element.text = str(text)
                _grow(element, path, one, hides)
            elif one and not hides(path):
                etree.SubElement(parent, name).text = str(one)

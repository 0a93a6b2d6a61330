"""Which answers may be shown to whom: what the sheet flags personal, sensitive or restricted, few may read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forms.cells import Cells, is_row, path_of
from forms.schema import IDENTITY, Field, Node
from server.merging import FormLine
from server.permissions import PROTECTED


@dataclass(frozen=True)
class Veil:
    """Hides answers. open_paths: of what may be shown; None when all may."""

    open_paths: frozenset[str] | None

    def hides(self, path: str) -> bool:
        """Whether the answer at a path of the form stays hidden; what no version of the form knows does."""
        return self.open_paths is not None and path not in self.open_paths

    def hides_cell(self, cell: str) -> bool:
        """Whether what a cell says stays hidden; that a row or a record is there is no answer."""
        return bool(cell) and not is_row(cell) and self.hides(path_of(cell))

    def answers(self, cells: Cells) -> dict[str, str | None]:
        """Return cells as people read them: a select_multiple as one answer, None for what is hidden."""
        found: dict[str, list[str]] = {}
        for name, cell in cells.items():
            found.setdefault(name.partition("#")[0], []).append(cell.text)
        return {
            name: None if self.hides(path_of(name)) else " ".join(filter(None, texts))
            for name, texts in found.items()
        }


def veil(line: FormLine, *, personal: bool) -> Veil:
    """Return what is hidden of a form's answers: nothing to who may see personal ones.

    A question that is flagged in any version is hidden in all.
    """
    if personal:
        return Veil(None)
    nodes = [node for version in line.versions for node in version.schema.walk()]
    hidden = {node.path for node in nodes if _is_protected(node)}
    return Veil(IDENTITY.union(node.path for node in nodes) - hidden)


def hides_any(line: FormLine) -> bool:
    """Whether any answer of the form is for few, so that nobody else may have the bytes of a record."""
    return any(_is_protected(node) for version in line.versions for node in version.schema.walk())


def open_files(seen: Veil, document: Mapping[str, Any]) -> set[str]:
    """Return the texts of the answers that are not hidden: a file that one of them names may be shown."""
    return {text for path, text in _leaves(document, "") if not seen.hides(path)}


def _leaves(node: object, path: str) -> Iterator[tuple[str, str]]:
    match node:
        case dict():
            for name, child in node.items():
                yield from _leaves(child, f"{path}/{name}")
        case list():
            for row in node:
                yield from _leaves(row, path)
        case str():
            yield path, node


def _is_protected(node: Node) -> bool:
    if isinstance(node, Field):
        return not PROTECTED.isdisjoint(node.flags)
    return any(map(_is_protected, node.children))

"""Which answers may be shown to whom: what the sheet flags personal, sensitive or restricted, few may read."""

from __future__ import annotations

from dataclasses import dataclass

from forms.cells import Cells, path_of
from forms.schema import Field, Node
from server.merging import FormLine
from server.permissions import PROTECTED, Action, Actor, may


@dataclass(frozen=True)
class Veil:
    """Hides answers. open_paths: of what may be shown; None when all may."""

    open_paths: frozenset[str] | None

    def hides(self, path: str) -> bool:
        """Whether the answer at a path of the form stays hidden; what no version of the form knows does."""
        return self.open_paths is not None and path not in self.open_paths

    def answers(self, cells: Cells) -> dict[str, str | None]:
        """Return cells as people read them: a select_multiple as one answer, None for what is hidden."""
        found: dict[str, list[str]] = {}
        for name, cell in cells.items():
            found.setdefault(name.partition("#")[0], []).append(cell.text)
        return {
            name: None if self.hides(path_of(name)) else " ".join(filter(None, texts))
            for name, texts in found.items()
        }


UNVEILED = Veil(None)


def veil(actor: Actor, project_id: int, line: FormLine) -> Veil:
    """Return what this person sees of a form's answers: flagged in any version, a question is hidden in all."""
    return UNVEILED if may(actor, Action.EXPORT_PERSONAL, project_id) else veiled(line)


def veiled(line: FormLine) -> Veil:
    """Return what everybody may see who may see answers at all."""
    known: set[str] = set()
    hidden: set[str] = set()
    for version in line.versions:
        for node in version.schema.walk():
            known.add(node.path)
            if _is_protected(node):
                hidden.add(node.path)
    return Veil(frozenset(known - hidden))


def _is_protected(node: Node) -> bool:
    if isinstance(node, Field):
        return not PROTECTED.isdisjoint(node.flags)
    return any(map(_is_protected, node.children))

"""Compare two versions of a form: every change with what it does to the answers collected so far.

Pure: schemas in, changes out. How many stored records a change concerns is counted by `server.evolution`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forms.evolve_questions import compare_questions, relevance_change
from forms.evolve_renames import guess_renames, table_of
from forms.evolve_rules import Change
from forms.lineage import NO_RENAMES, Renames, followed, translated
from forms.schema import IDENTITY, Field, FormSchema, Group, Node, Repeat

__all__ = ["Change", "compare"]


def compare(old: FormSchema, new: FormSchema, renames: Renames = NO_RENAMES) -> tuple[Change, ...]:
    """Return what changed, in the form's order: first the form itself, then what is gone, then what stands in the new.

    renames: old path → new path of questions, repeats and groups that were renamed (`forms.evolve_renames`).
    """
    kept = followed(old, new, renames)
    came_from = {after: before for before, after in kept.items()}
    gone = [node for node in _asked(old) if node.path not in kept]
    come = [node for node in _asked(new) if node.path not in came_from]
    guessed = guess_renames(old, new, _outermost(gone), _outermost(come), kept)
    gone, come = _outside(gone, guessed.keys()), _outside(come, guessed.values())
    crossed = _crossed(old, new, gone, come, kept)
    return (
        *_of_form(old, new),
        *(_crossing(before, after) for before, after in crossed.items()),
        *(_guess(before, after) for before, after in guessed.items()),
        *(_removed(node) for node in _outside(_outermost(gone), crossed.keys())),
        *(_added(node) for node in _outside(_outermost(come), crossed.values())),
        *_of_kept(old, new, kept, renames),
    )


def _of_form(old: FormSchema, new: FormSchema) -> Iterator[Change]:
    if old.form_id != new.form_id:
        message = f"The form's id was “{old.form_id}” and is “{new.form_id}”: they are two forms."
        yield Change("form-id-changed", "/", "/", message, f"Set form_id to “{old.form_id}”.")
    if come := [name for name in new.languages if name not in old.languages]:
        yield Change("language-added", "/", "/", f"Languages added: {', '.join(come)}.", "Nothing to do.")
    if gone := [name for name in old.languages if name not in new.languages]:
        message = f"Languages removed: {', '.join(gone)}."
        yield Change("language-removed", "/", "/", message, "Keep them while somebody reads them.")


def _of_kept(old: FormSchema, new: FormSchema, kept: Renames, renames: Renames) -> Iterator[Change]:
    came_from = {after: before for before, after in kept.items()}
    repeats = {before: after for before, after in kept.items() if isinstance(old.by_path[before], Repeat)}
    groups = {translated(node.path, renames): node for node in old.walk() if isinstance(node, Group)}
    for node in new.walk():
        before = (
            groups.get(node.path)
            if isinstance(node, Group)
            else old.by_path.get(came_from.get(node.path, ""))
        )
        if before is None or node.path in IDENTITY:
            continue
        if not isinstance(node, Group):
            yield from _moved(before, node, renames, {**renames, **repeats})
        yield from relevance_change(before, node, old, new, kept)
        match before, node:
            case Repeat(), Repeat():
                yield from _key(before, node, kept)
            case Field(), Field():
                yield from compare_questions(before, node, old, new, kept)


def _moved(old: Node, new: Node, renames: Renames, around: Renames) -> Iterator[Change]:
    if old.name != new.name or old.path in renames:
        message = f"{old.path} is called {new.path} now, as the rename says."
        yield Change("renamed", old.path, new.path, message, "Nothing to do: it stays one column.")
    elif f"{translated(old.path.rpartition('/')[0], around)}/{old.name}" != new.path:
        rule = "repeat-moved" if isinstance(new, Repeat) else "question-moved"
        message = f"It moved from {old.path} to {new.path}."
        yield Change(rule, old.path, new.path, message, "Nothing to do: it stays one column.")


def _key(old: Repeat, new: Repeat, kept: Renames) -> Iterator[Change]:
    before = kept.get(f"{old.path}/{old.row_key}", "").removeprefix(f"{new.path}/")
    if old.row_key and before != new.row_key:
        message = f"Rows of {old.path} were told apart by “{old.row_key}”, now by “{new.row_key}”."
        fix = "Keep the old key: edits of stored records could not be joined row by row."
        yield Change("key-changed", old.path, new.path, message, fix)
    elif new.row_key and not old.row_key:
        message = f"Rows of {new.path} are told apart by “{new.row_key}” from now on."
        yield Change("key-added", old.path, new.path, message, "Rows stored so far have no such id.")


def _removed(node: Node) -> Change:
    rule = "repeat-removed" if isinstance(node, Repeat) else "question-removed"
    message = f"{node.path} is not asked any more."
    return Change(rule, node.path, "", message, "Nothing to do: its answers stay in every export.")


def _added(node: Node) -> Change:
    rule = "repeat-added" if isinstance(node, Repeat) else "question-added"
    return Change(rule, node.path, node.path, f"{node.path} is new.", "Nothing to do.")


def _guess(before: str, after: str) -> Change:
    message = f"{before} is gone, and {after} looks renamed from it."
    fix = f"Say --rename {before}={after} to keep one column, or accept two."
    return Change("looks-renamed", before, after, message, fix)


def _crossing(before: str, after: str) -> Change:
    message = f"{before} moved into or out of a repeat, to {after}: its answers would stand in two tables."
    return Change("repeat-crossed", before, after, message, "Leave it where it was, or accept two columns.")


def _crossed(
    old: FormSchema, new: FormSchema, gone: list[Node], come: list[Node], kept: Renames
) -> dict[str, str]:
    """Old path → new path of nodes of one name that stand in another repeat now, or that turned into one."""
    tables = {"": "", **kept}
    names = {node.name: node for node in come}
    pairs = [(node, names[node.name]) for node in gone if node.name in names]
    return {
        before.path: after.path
        for before, after in pairs
        if type(before) is not type(after)
        or tables.get(table_of(old, before.path)) != table_of(new, after.path)
    }


def _asked(schema: FormSchema) -> Iterator[Node]:
    return (node for node in schema.walk() if not isinstance(node, Group) and node.path not in IDENTITY)


def _outermost(nodes: list[Node]) -> list[Node]:
    """Leave out what stands inside a repeat that is in the list itself: the repeat says it all."""
    return _outside(nodes, [node.path for node in nodes if isinstance(node, Repeat)], itself=True)


def _outside(nodes: list[Node], paths: Iterable[str], *, itself: bool = False) -> list[Node]:
    """Leave out the nodes at these paths, unless `itself`, and those inside them."""
    at = set() if itself else set(paths)
    inside = tuple(f"{path}/" for path in paths)
    return [node for node in nodes if node.path not in at and not node.path.startswith(inside)]

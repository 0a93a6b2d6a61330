"""Renames between two versions of a form: reading what a designer says, and guessing what was left unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from forms.errors import Fault, FormError
from forms.lineage import Renames, followed
from forms.schema import Field, FormSchema, Group, Node, Repeat

ALIKE_MIN = 0.8
"""Two labels of “Name of the mother” and “Name of mother” are 0.9 alike; “Age” and “Sex” 0."""
GUESSES_MAX = 4_000
"""Pairs of labels that are compared letter by letter: a tenth of a second."""


def read_renames(texts: Iterable[str], old: FormSchema, new: FormSchema) -> dict[str, str]:
    """Return the rename map of `OLD=NEW` texts; a name stands for its path where the version has it once.

    Raises FormError for a text that names nothing, and for renames that cannot be followed.
    """
    pairs = [text.partition("=") for text in texts]
    renames = {_path(old, before): _path(new, after) for before, _, after in pairs}
    _check(renames, old, new)
    return renames


def guess_renames(
    old: FormSchema, new: FormSchema, gone: Sequence[Node], come: Sequence[Node], kept: Mapping[str, str]
) -> dict[str, str]:
    """Return old path → new path of what looks renamed.

    A repeat: most of its questions' names are the same. A question: same repeat, same type, and the same label (of
    a calculation the same expression), or an alike one after the same neighbour. gone, come: nodes that only one
    version has. kept: old path → new path of those that both have.
    """
    before, after = _neighbours(old), _neighbours(new)
    places = {"": "", **kept}
    found: dict[str, str] = {}
    taken: set[str] = set()
    pairs = 0
    for one in gone:
        for other in come:
            if other.path in taken or type(one) is not type(other):
                continue
            if places.get(table_of(old, one.path)) != table_of(new, other.path):
                continue
            pairs += 1
            same_place = places.get(before[one.path]) == after[other.path]
            if _looks_renamed(one, other, same_place=same_place and pairs <= GUESSES_MAX):
                found[one.path] = other.path
                taken.add(other.path)
                break
    return found


def _check(renames: Renames, old: FormSchema, new: FormSchema) -> None:
    """A rename leads from something to something, not onto a node that stays, not in or out of a repeat."""
    paths = followed(old, new, renames)
    faults = []
    for before, after in renames.items():
        if before not in old.by_path or after not in new.by_path:
            faults.append(_fault(before, after, "one of the two is not in its version"))
        elif [*renames.values()].count(after) > 1 or (after in old.by_path and after not in renames):
            faults.append(_fault(before, after, f"another node of the older version is {after}"))
        elif not isinstance(old.by_path[before], Group) and paths.get(before) != after:
            faults.append(_fault(before, after, "they stand in different repeats, or are of different kinds"))
    if faults:
        raise FormError(*faults)


def _path(schema: FormSchema, text: str) -> str:
    text = text.strip()
    if text.startswith("/"):
        return text
    found = [node.path for node in schema.walk() if node.name == text]
    if len(found) != 1:
        times = "no" if not found else "more than one"
        raise FormError(
            Fault(f"Version “{schema.version}” has {times} “{text}”.", "Write its path, as /group/question.")
        )
    return found[0]


def _fault(before: str, after: str, reason: str) -> Fault:
    return Fault(f"{before} cannot have become {after}: {reason}.", "Correct the rename, or leave it out.")


def _looks_renamed(one: Node, other: Node, *, same_place: bool) -> bool:
    match one, other:
        case Repeat(), Repeat():
            names = {child.name for child in one.children}
            return 2 * len(names & {child.name for child in other.children}) > len(names)
        case Field(), Field() if one.type is other.type:
            if one.calculate or other.calculate:
                return _plain(one.calculate) == _plain(other.calculate)
            labels = _labels(one, other)
            return any(
                left == right or (same_place and SequenceMatcher(None, left, right).ratio() >= ALIKE_MIN)
                for left, right in labels
            )
    return False


def _labels(one: Field, other: Field) -> list[tuple[str, str]]:
    """The labels in the languages that both have."""
    pairs = [(_plain(one.label[language]), _plain(other.label.get(language, ""))) for language in one.label]
    return [(left, right) for left, right in pairs if left and right]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _neighbours(schema: FormSchema) -> dict[str, str]:
    """The path of the question before each node, "" at the start."""
    found: dict[str, str] = {}
    last = ""
    for node in schema.walk():
        found[node.path] = last
        last = node.path if isinstance(node, Field) else last
    return found


def table_of(schema: FormSchema, path: str) -> str:
    """The path of the repeat around a node, "" when there is none."""
    above = path.rpartition("/")[0]
    while above and not isinstance(schema.by_path[above], Repeat):
        above = above.rpartition("/")[0]
    return above

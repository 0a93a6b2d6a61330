"""Counting the stored records that each change between two form versions concerns."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from lxml import etree
from sqlalchemy import Connection

from forms import xpath
from forms.evolve_rules import Change, Touches
from forms.fill_form import prepare
from forms.lineage import Version, trace
from forms.schema import Field, FormSchema
from forms.xpath import Environment, XPathError
from server.node import Node
from server.store import forms, submissions

EVALUATED = frozenset({Touches.REFUSED, Touches.HIDDEN})

Answers = Mapping[str, Any]


def count(
    connection: Connection,
    node: Node,
    form: tuple[int, str],
    versions: Sequence[Version],
    old: int,
    changes: Sequence[Change],
    xform: bytes,
) -> dict[str, int | None]:
    """Return how many stored records each change concerns, by its key; None when its expression cannot be evaluated.

    versions: oldest first; `changes` are those from the one at `old` to the last. Sealed records are not counted.
    """
    wanted = [change for change in changes if change.touches is not Touches.NONE]
    totals: dict[str, int | None] = {change.key: 0 for change in wanted}
    if not wanted:
        return totals
    traced = trace(versions)
    # of two that bear one version, stored records are of the older: the newer is a sheet not yet published
    by_version = {versions[at].schema.version: traced[at] for at in reversed(range(len(versions)))}
    evaluated = any(change.touches in EVALUATED for change in wanted)
    world = _world(connection, node, form, versions[-1].schema, xform) if evaluated else None
    for one in submissions.iter_submissions(connection, *form):
        if one.encrypted:
            continue
        here = by_version.get(one.version, traced[old])
        answers = orjson.loads(one.answers)
        record = _Record(
            _answered(answers, here),
            _shifted(answers, here, traced[-1], versions[-1].schema) if world else None,
        )
        for change in wanted:
            total = totals[change.key]
            if total is not None:
                concerned = _concerned(change, record, traced[old], versions[-1].schema, world)
                totals[change.key] = None if concerned is None else total + concerned
    return totals


@dataclass(frozen=True, slots=True)
class _Record:
    """answered: texts by identity of the question, "" for a repeat that has rows. root: in the newest version."""

    answered: Mapping[int, list[str]]
    root: etree._Element | None


def _world(
    connection: Connection, node: Node, form: tuple[int, str], schema: FormSchema, xform: bytes
) -> Environment:
    """What expressions may see: the lists in the form and those attached to it, and the clock."""
    tablet = prepare(schema, xform, forms.read_lists(connection, node.blobs, *form))
    return Environment(datetime.now(UTC), random.Random(0), tablet.instances, tablet.choice_labels)  # noqa: S311


def _concerned(
    change: Change, record: _Record, old: Mapping[str, int], schema: FormSchema, world: Environment | None
) -> bool | None:
    texts = record.answered.get(old.get(change.path, -1))
    match change.touches:
        case Touches.ALL:
            return True
        case Touches.ANSWERED:
            return texts is not None
        case Touches.UNANSWERED:
            return texts is None
        case Touches.CHOSEN:
            return any(name in text.split() for text in texts or () for name in change.names)
        case Touches.REFUSED | Touches.HIDDEN:
            assert record.root is not None, "records are shifted when something is to be evaluated"
            assert world is not None, "as above"
            return _fails(change, record.root, schema, world)
    return False


def _fails(change: Change, root: etree._Element, schema: FormSchema, world: Environment) -> bool | None:
    """Whether an answer breaks the new constraint, or stands where the new version shows nothing."""
    node = schema.by_path[change.new_path]
    rule = node.relevant
    if change.touches is Touches.REFUSED and isinstance(node, Field):
        rule = node.constraint
    if not rule:
        return False
    try:
        return any(
            not xpath.boolean(rule, element, world)
            for element in root.iterfind("." + change.new_path)
            if any(text.strip() for text in element.itertext())
        )
    except XPathError:
        return None


def _answered(answers: Answers, here: Mapping[str, int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path, text in _leaves(answers, ""):
        if path in here and (text is None or text.strip()):
            found.setdefault(here[path], []).append(text or "")
    return found


def _leaves(node: Answers, path: str) -> Iterator[tuple[str, str | None]]:
    """Yield every text with its path; None for a row of a repeat (and for a group)."""
    for name, child in node.items():
        here = f"{path}/{name}"
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, str):
                yield here, one
            else:
                yield here, None
                yield from _leaves(one, here)


def _shifted(
    answers: Answers, here: Mapping[str, int], newest: Mapping[str, int], schema: FormSchema
) -> etree._Element:
    """Return the instance as the newest version would hold it."""
    paths = {one: path for path, one in newest.items()}
    root = etree.Element(schema.root)
    _shift(answers, "", root, "", {path: paths[one] for path, one in here.items() if one in paths})
    return root


def _shift(node: Answers, path: str, row: etree._Element, row_path: str, paths: Mapping[str, str]) -> None:
    """Put the answers below `path` where `paths` says, inside the repeat's row that they stand in."""
    for name, child in node.items():
        here = f"{path}/{name}"
        target = paths.get(here, "")
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, str):
                if target:
                    _put(row, target.removeprefix(row_path)).text = one
            elif target:
                _shift(one, here, _put(row, target.removeprefix(row_path)), target, paths)
            else:
                _shift(one, here, row, row_path, paths)


def _put(row: etree._Element, path: str) -> etree._Element:
    *groups, name = path.strip("/").split("/")
    for group in groups:
        found = row.find(group)
        row = etree.SubElement(row, group) if found is None else found
    return etree.SubElement(row, name)

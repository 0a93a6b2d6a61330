"""One change to many records: a filter, what it would do, exactly that done, and undone as one batch.

A preview's token names the records and the state they were seen in; what changed since is left, and told.
"""

from __future__ import annotations

import base64
import hashlib
import random
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import orjson
from sqlalchemy import Connection

from forms import planting
from forms.cells import path_of
from forms.fill_answers import spell_value
from forms.schema import Field
from forms.xpath import Environment, XPathError, boolean, compile_expression, evaluate
from forms.xpath_values import to_text
from server.cleaning import entering
from server.cleaning.desk import Wish
from server.cleaning.entering import Fault, Plan, open_current
from server.cleaning.places import NoPlaceError, Questions
from server.cleaning.records import Cleaner
from server.disclosure import Veil, veil
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import cleaning as stored
from server.store import submissions
from server.store.engine import reading
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import EntryKind, Status, fold

BULK_MAX = 1000
PAGE = 100
LETTERS = str.maketrans("يىك", "ییک")
STALE = "The record changed since the preview. Preview again."
UNREADABLE = (XPathError, ArithmeticError, ValueError, IndexError)


@dataclass(frozen=True)
class Edit:
    """What to do where. where: an expression that is true, of the clean view. name: of the question or repeat, "" for
    the record. new: the answer or choice; or formula: an expression that gives it; or values: what is written in the
    question `source` → what is given, whatever its case and blanks.
    """

    where: str
    kind: EntryKind
    name: str = ""
    new: str = ""
    formula: str = ""
    reason: str = ""
    check_id: str = ""
    source: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def folded(self) -> Mapping[str, str]:
        """The values by what is compared."""
        return {folded(text): new for text, new in self.values.items()}


@dataclass(frozen=True)
class Preview:
    """plan: what it would do. more: there are more records than one goes through with. token: to do exactly this."""

    plan: Plan
    more: bool
    token: str


def preview(node: Node, form: FormKey, edit: Edit, *, personal: bool) -> Preview:
    """Return what an edit would do to up to 1000 records; nothing changes.

    Answers that the person may not see count as blank. Raises Problem 400.33 for an expression that cannot be read.
    """
    with reading(node.engine) as connection:
        wishes, seen, more = _wishes(connection, node, form, edit, None, personal=personal)
        plan = entering.plan(connection, node, form, wishes, personal=personal)
    planned = {one.about.instance_id for one in plan.records}
    names = {name: state for name, state in seen.items() if name in planned}
    token = base64.urlsafe_b64encode(orjson.dumps([form, asdict(edit), names])).decode()
    return Preview(plan, more, token)


def apply(node: Node, actor: Actor, form: FormKey, token: str, *, personal: bool) -> tuple[str, Plan]:
    """Do exactly what a preview showed; return the batch and what was done. Raises Problem 400.1."""
    edit, names = _read_token(form, token)
    with reading(node.engine) as connection:
        wishes, seen, _ = _wishes(connection, node, form, edit, names, personal=personal)
        fresh = [one for one in wishes if seen[one.instance_id] == names[one.instance_id]]
        plan = entering.plan(connection, node, form, fresh, personal=personal)
    done = {one.instance_id for one in fresh}
    stale = [Fault(0, "stale", STALE)] * len(names.keys() - done)
    batch = entering.record(node, actor, plan)
    return batch, Plan(form, plan.records, (*plan.faults, *stale), plan.unchanged)


def all_wishes(
    connection: Connection,
    node: Node,
    form: FormKey,
    edit: Edit,
    names: Collection[str] | None = None,
    *,
    personal: bool,
) -> list[Wish]:
    """Return what an edit asks for of all records, or of those with these names."""
    cleaner = open_current(connection, node, form)
    reader = _Reader(cleaner, edit, veil(cleaner.line, personal=personal))
    wishes: list[Wish] = []
    for one, entries in _records(connection, cleaner, names):
        wishes += reader.read(one, entries, len(wishes))
    return wishes


def read_edit(document: Mapping[str, Any]) -> Edit:
    """Return the edit that `dataclasses.asdict` wrote. Raises TypeError, ValueError, KeyError for anything else."""
    return Edit(**{**document, "kind": EntryKind(document["kind"])})


def _wishes(
    connection: Connection,
    node: Node,
    form: FormKey,
    edit: Edit,
    names: Mapping[str, str] | None,
    *,
    personal: bool,
) -> tuple[list[Wish], dict[str, str], bool]:
    """What an edit asks for, the state of each record it was read from, and whether there is more."""
    cleaner = open_current(connection, node, form)
    reader = _Reader(cleaner, edit, veil(cleaner.line, personal=personal))
    wishes: list[Wish] = []
    seen: dict[str, str] = {}
    for one, entries in _records(connection, cleaner, names):
        found = list(reader.read(one, entries, len(wishes)))
        if found and len(seen) >= BULK_MAX:
            return wishes, seen, True
        if found:
            seen[one.instance_id] = _state(one, entries)
            wishes += found
    return wishes, seen, False


class _Reader:
    """Finds where an edit applies in one record after another."""

    def __init__(self, cleaner: Cleaner, edit: Edit, shown: Veil) -> None:
        self._cleaner = cleaner
        self._edit = edit
        self._shown = shown
        self._questions = Questions(cleaner.line)
        chance = random.Random(0)  # noqa: S311  (a filter that asks for chance gets the same each time)
        self._environment = Environment(datetime.now(UTC), chance)
        self._expressions: dict[tuple[str, int], str] = {}
        source = f"${{{edit.source or edit.name}}}" if edit.values else ""
        for expression in filter(None, (edit.where, edit.formula, source)):
            self._expanded(expression, len(cleaner.line.versions) - 1)

    def read(self, one: StoredSubmission, entries: list[stored.StoredEntry], number: int) -> Iterator[Wish]:
        """Yield what the edit asks for in a record."""
        at, schema = self._cleaner.line.place(one.version), self._cleaner.schema(one)
        known = self._cleaner.entries(one, entries)
        done = fold(orjson.loads(one.answers), known, schema, keep_rows=True)
        gone = {
            entry.cell
            for entry in known
            if entry.kind is EntryKind.REMOVE_ROW and done.status[entry.id] is Status.APPLIED
        }
        if done.removal and self._edit.kind is not EntryKind.RESTORE:
            return
        try:
            path = self._questions.find(at, self._edit.name).path if self._edit.name else ""
            where = self._expanded(self._edit.where, at) if self._edit.where else ""
        except NoPlaceError:
            return
        root = planting.plant(done.document, schema, self._shown.hides)
        for cell, element in list(planting.spots(root, schema, path)) if path else [("", root)]:
            if any(f"{cell}/".startswith(f"{row}/") for row in gone):
                continue
            try:
                if where and not boolean(where, element, self._environment):
                    continue
                new = self._new(at, element, schema.by_path.get(path_of(cell)))
                if new is None:
                    continue
            except UNREADABLE:
                continue
            number += 1
            name = cell if "[" in cell or not self._edit.name else self._edit.name
            yield Wish(
                number,
                one.instance_id,
                self._edit.kind,
                name,
                new=new,
                reason=self._edit.reason,
                check_id=self._edit.check_id,
            )

    def _new(self, at: int, element: Any, node: object) -> str | None:
        """The new answer; None where what is written is none of the values."""
        if self._edit.values:
            source = f"${{{self._edit.source or self._edit.name}}}"
            said = to_text(evaluate(self._expanded(source, at), element, self._environment))
            return self._edit.folded.get(folded(said))
        if not self._edit.formula or not isinstance(node, Field):
            return self._edit.new
        value = evaluate(self._expanded(self._edit.formula, at), element, self._environment)
        return spell_value(value, node.type)

    def _expanded(self, expression: str, at: int) -> str:
        if (expression, at) not in self._expressions:
            schema = self._cleaner.line.versions[at].schema
            try:
                text = planting.expanded(expression, schema, lambda name: self._questions.find(at, name).path)
                compile_expression(text)
            except (XPathError, NoPlaceError) as error:
                raise Problem(400.33, f"The expression cannot be read: {error}") from None
            self._expressions[expression, at] = text
        return self._expressions[expression, at]


def _records(
    connection: Connection, cleaner: Cleaner, names: Collection[str] | None
) -> Iterator[tuple[StoredSubmission, list[stored.StoredEntry]]]:
    """The records that can be cleaned, or those with these names, each with the entries about it."""
    after = 0
    while page := (
        submissions.list_submissions(connection, *cleaner.form, after, PAGE) if names is None else ()
    ):
        yield from _with_entries(connection, cleaner, page)
        after = page[-1].position
    named = (submissions.find_submission(connection, *cleaner.form, name) for name in names or ())
    found = {one.instance_id: one for one in named if one and not one.is_deleted}
    yield from _with_entries(connection, cleaner, list(found.values()))


def _with_entries(
    connection: Connection, cleaner: Cleaner, page: list[StoredSubmission]
) -> Iterator[tuple[StoredSubmission, list[stored.StoredEntry]]]:
    found = stored.entries_of(connection, cleaner.form, [one.instance_id for one in page], cleaner.up_to)
    yield from ((one, found.get(one.instance_id, [])) for one in page if not one.encrypted)


def folded(text: str) -> str:
    """Return what two spellings have in common: case, width, blanks, Arabic for Persian letters."""
    plain = unicodedata.normalize("NFKC", text).replace("\u200c", " ").translate(LETTERS)
    return " ".join(plain.casefold().split())


def _state(one: StoredSubmission, entries: list[stored.StoredEntry]) -> str:
    state = [one.current_digest, one.version, orjson.Fragment(one.answers), [entry.id for entry in entries]]
    return hashlib.sha256(orjson.dumps(state)).hexdigest()[:16]


def _read_token(form: FormKey, token: str) -> tuple[Edit, dict[str, str]]:
    try:
        about, edit, names = orjson.loads(base64.urlsafe_b64decode(token))
        if tuple(about) == form and len(names) <= BULK_MAX:
            return read_edit(edit), {str(k): str(v) for k, v in names.items()}
    except (ValueError, TypeError, KeyError):
        pass
    raise Problem(400.1, "This is no token of a preview of this form. Preview again.")

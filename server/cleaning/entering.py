"""Writing the cleaning log: what people ask for is held against the records, told line by line, and entered as facts.

A plan says what would be entered and what is wrong with the rest; recording it is one transaction, with one fact for
each record, so that erasing a record takes only what was said of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection

from server import projection
from server.cleaning.desk import Desk, Wish, WishError, entry_of, seen_of
from server.cleaning.places import Questions
from server.cleaning.records import Cleaner, open_cleaner
from server.disclosure import veil
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import cleaning, journal, submissions
from server.store.cleaning import AT_ONCE_MAX
from server.store.engine import reading, writing
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import EntryKind, Status
from sync.journal import Fact, Kind


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is not entered, in a sentence without any answer. code: for scripts."""

    number: int
    code: str
    message: str


@dataclass(frozen=True)
class Planned:
    """What would be entered about one record: (the wish's number, the entry as the fact has it). seen: see `Given`."""

    about: StoredSubmission
    seen: str
    entries: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True)
class Plan:
    """What a list of wishes comes to. unchanged: numbers of those that ask for what is so already."""

    form: FormKey
    records: tuple[Planned, ...]
    faults: tuple[Fault, ...]
    unchanged: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many entries it makes."""
        return sum(len(one.entries) for one in self.records)


def plan(
    connection: Connection, node: Node, form: FormKey, wishes: Iterable[Wish], *, personal: bool
) -> Plan:
    """Return what wishes come to; nothing changes. personal: whether the person may see all answers."""
    cleaner = open_current(connection, node, form)
    shown, questions = veil(cleaner.line, personal=personal), Questions(cleaner.line)
    by_record: dict[str, list[Wish]] = {}
    faults: list[Fault] = []
    unchanged: list[int] = []
    found: dict[str, StoredSubmission] = {}
    for wish in wishes:
        about = _find(connection, form, wish.instance_id)
        if about is None:
            faults.append(Fault(wish.number, "unknown-record", "There is no record with this ID."))
            continue
        found[about.instance_id] = about
        by_record.setdefault(about.instance_id, []).append(wish)
    stored = cleaning.entries_of(connection, form, by_record)
    records = []
    for instance_id, asked in by_record.items():
        desk = Desk(cleaner, questions, found[instance_id], stored.get(instance_id, []), shown)
        for wish in asked:
            try:
                if not desk.take(wish):
                    unchanged.append(wish.number)
            except WishError as error:
                faults.append(Fault(wish.number, error.code, str(error)))
        if desk.entries:
            records.append(Planned(desk.about, desk.seen, tuple(desk.entries)))
    faults.sort(key=lambda one: one.number)
    return Plan(form, tuple(records), tuple(faults), tuple(sorted(unchanged)))


def record(node: Node, actor: Actor, planned: Plan) -> str:
    """Enter a plan in one transaction, bring the state up to it, and return the batch's name, "" for nothing.

    Entered twice it is there once.
    """
    return record_all(node, actor, [planned])[0]


def record_all(node: Node, actor: Actor, plans: Sequence[Plan]) -> list[str]:
    """Enter plans, each as a batch of its own; see `record`."""
    given = [
        (
            one.form,
            {
                about.about.instance_id: Given(about.seen, [entry for _, entry in about.entries])
                for about in one.records
            },
        )
        for one in plans
    ]
    return _enter(node, actor, given)


@dataclass(frozen=True)
class Given:
    """Entries about one record as the fact has them. seen: names what was entered about it before, so that the same
    said again after it was taken back is another fact.
    """

    seen: str
    entries: list[dict[str, Any]]


def enter(node: Node, actor: Actor, form: FormKey, given: Mapping[str, Given]) -> str:
    """Enter entries, by record, as the facts have them; see `record`."""
    return _enter(node, actor, [(form, given)])[0]


def _enter(node: Node, actor: Actor, batches: Sequence[tuple[FormKey, Mapping[str, Given]]]) -> list[str]:
    names: list[str] = []
    facts: list[Fact] = []
    for form, given in batches:
        content = orjson.dumps([form, given, actor.id], option=orjson.OPT_SORT_KEYS)
        names.append(hashlib.sha256(content).hexdigest()[:16] if given else "")
        facts += _facts(actor, form, given, names[-1])
    if facts:
        with writing(node.engine) as connection:
            journal.append(connection, facts)
        node.catch_up()
    return names


def _facts(actor: Actor, form: FormKey, given: Mapping[str, Given], batch: str) -> Iterator[Fact]:
    for instance_id, said in given.items():
        for start in range(0, len(said.entries), AT_ONCE_MAX):
            whole = {
                "form_id": form[1],
                "instance_id": instance_id,
                "batch": batch,
                "actor_id": actor.id,
                "actor_name": actor.name,
                "seen": said.seen,
                "entries": said.entries[start : start + AT_ONCE_MAX],
            }
            detail = orjson.dumps(whole)
            key = hashlib.sha256(orjson.dumps([Kind.CLEANING, form[0]]) + detail).digest()
            yield Fact(Kind.CLEANING, form[0], key, detail)


def undo(
    node: Node,
    actor: Actor,
    form: FormKey,
    *,
    batch: str = "",
    ids: Sequence[str] = (),
    reason: str = "",
    personal: bool,
) -> str:
    """Take back entries: a batch as a whole, or single ones; return the new batch. Taken back itself, they are back.

    Raises Problem 409.34 when none of them stands, 403.1 when one is about an answer that the person may not see.
    """
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        named = (
            cleaning.list_entries(connection, form, batch=batch)
            if batch
            else cleaning.find_entries(connection, form, ids)
        )
        abouts = {one.instance_id: _find(connection, form, one.instance_id) for one in named}
        page = list({about.instance_id: about for about in abouts.values() if about}.values())
        cleaned = cleaner.clean(connection, page)
    status = {name: one for done in cleaned.values() for name, one in done.status.items()}
    standing = [one for one in named if status.get(one.id, Status.UNDONE) is not Status.UNDONE]
    if not standing:
        raise Problem(409.34, "No entry of these stands: there are none, or they are undone already.")
    shown = veil(cleaner.line, personal=personal)
    if any(shown.hides_cell(one.cell) for one in standing):
        raise Problem(403.1, "This account may not clean answers that it may not see.")
    given: dict[str, Given] = {}
    for one in standing:
        about = abouts[one.instance_id]
        assert about is not None, "what stands is about a record that is here"
        seen = seen_of(cleaned[about.instance_id].entries)
        given.setdefault(one.instance_id, Given(seen, [])).entries.append(
            entry_of(EntryKind.UNDO, one.version, one.cell, reason=reason, undoes=one.id)
        )
    return enter(node, actor, form, given)


def open_current(connection: Connection, node: Node, form: FormKey) -> Cleaner:
    """Return what cleans a form's records by the whole log as far as it is state."""
    return open_cleaner(connection, node.schemas, form, journal.cursor(connection, projection.CURSOR))


def _find(connection: Connection, form: FormKey, name: str) -> StoredSubmission | None:
    """The record of an instanceID, which logs of other tools have without its `uuid:`."""
    found = submissions.find_submission(connection, *form, name)
    if found is None and not name.startswith("uuid:"):
        found = submissions.find_submission(connection, *form, f"uuid:{name}")
    return found

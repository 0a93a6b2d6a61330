"""Changes to many records that are kept and made again: recoded others, spelling lists, units.

Running them enters what they ask of records that have come since, under the name of whoever kept the recode; a server
does so by itself behind a cursor of the journal. What a recode has entered about an answer once it never enters again:
if somebody took that back, they meant it. Two nodes that run it on one record enter the same fact.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import groupby

import orjson

from server import projection
from server.cleaning import bulk_edit, entering
from server.cleaning.bulk_edit import Edit, read_edit
from server.cleaning.desk import Wish
from server.cleaning.entering import Fault, Plan
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import cleaning as stored
from server.store import journal, recodes
from server.store.engine import reading, writing
from server.store.recodes import StoredRecode
from server.store.submissions import FormKey
from sync.journal import Fact, Kind

AT_ONCE = 500
"""About so many lines are held against their records, and entered, at a time."""
log = logging.getLogger("chapar.recodes")

CHECK = "recode:"
"""Begins the check that a recode's entries name."""


def keep(node: Node, actor: Actor, form: FormKey, name: str, edit: Edit, *, personal: bool) -> None:
    """Keep a recode under a name, in place of one that has it. Raises Problem 400.33 for one that cannot be read."""
    bulk_edit.preview(node, form, edit, personal=personal)
    _say(node, actor, form, name, edit, personal=personal, is_kept=True)


def give_up(node: Node, actor: Actor, form: FormKey, name: str) -> None:
    """Run a recode no more; what it has entered stays. Raises Problem 404.1."""
    one = _get(node, form, name)
    edit = read_edit(orjson.loads(one.edit))
    _say(node, actor, form, name, edit, personal=one.personal, is_kept=False)


def run(node: Node, form: FormKey) -> dict[str, tuple[int, list[Fault]]]:
    """Make every kept recode again; return how many entries each made, and the lines that could not be entered."""
    with reading(node.engine) as connection:
        kept = recodes.list_recodes(connection, form)
    return {one.name: _run(node, form, one) for one in kept}


def follow(node: Node) -> bool:
    """Make the recodes again to some records that came since the last time; False when none are left."""
    with reading(node.engine) as connection:
        seen = journal.cursor(connection, recodes.CURSOR)
        end = journal.cursor(connection, projection.CURSOR)
        if not seen or end <= seen:
            return False
        reached, arrived = recodes.next_arrivals(connection, seen, end, AT_ONCE)
        kept = {form: recodes.list_recodes(connection, form) for form in arrived}
    for form, names in arrived.items():
        for one in kept[form]:
            try:
                _run(node, form, one, names)
            except Problem as problem:  # its form has changed: nobody else is to wait
                log.warning(
                    "the recode %s of the form %s cannot be made: %s", one.name, form[1], problem.status
                )
    with writing(node.engine) as connection:
        journal.advance(connection, recodes.CURSOR, seen, reached)
    return True


def _run(
    node: Node, form: FormKey, one: StoredRecode, names: Collection[str] | None = None
) -> tuple[int, list[Fault]]:
    """Make a recode to all records, or to those with these names: then as one batch for each record."""
    check_id = CHECK + one.name
    edit = replace(read_edit(orjson.loads(one.edit)), check_id=check_id)
    author = Actor(one.actor_id, one.actor_name, None)
    with reading(node.engine) as connection:
        wishes = bulk_edit.all_wishes(connection, node, form, edit, names, personal=one.personal)
    count = 0
    faults: list[Fault] = []
    for some in _portions(wishes):
        with reading(node.engine) as connection:
            plan = entering.plan(connection, node, form, some, personal=one.personal)
            roots = [planned.about.instance_id for planned in plan.records]
            known = stored.entries_of(connection, form, roots)
        fresh = []
        for planned in plan.records:
            entries = known.get(planned.about.instance_id, ())
            done = {(entry.cell, entry.base) for entry in entries if entry.check_id == check_id}
            left = tuple(pair for pair in planned.entries if (pair[1]["cell"], pair[1]["base"]) not in done)
            if left:
                fresh.append(replace(planned, entries=left))
        plans = [fresh] if names is None else [[planned] for planned in fresh]
        entering.record_all(node, author, [Plan(form, tuple(found), (), ()) for found in plans])
        count += sum(len(planned.entries) for planned in fresh)
        faults += plan.faults
    return count, faults


def _portions(wishes: Iterable[Wish]) -> Iterator[list[Wish]]:
    """Some lines at a time, those about one record together: so the same are entered as one at every node."""
    some: list[Wish] = []
    for _, own in groupby(wishes, lambda wish: wish.instance_id):
        some += own
        if len(some) >= AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _get(node: Node, form: FormKey, name: str) -> StoredRecode:
    with reading(node.engine) as connection:
        found = [one for one in recodes.list_recodes(connection, form) if one.name == name]
    if not found:
        raise Problem(404.1, "There is no recode of this name.")
    return found[0]


def _say(
    node: Node, actor: Actor, form: FormKey, name: str, edit: Edit, *, personal: bool, is_kept: bool
) -> None:
    facts = {
        "form_id": form[1],
        "name": name,
        "edit": asdict(edit),
        "personal": personal,
        "is_kept": is_kept,
        "actor_id": actor.id,
        "actor_name": actor.name,
    }
    with writing(node.engine) as connection:
        journal.append(connection, [Fact(Kind.RECODE, form[0], None, orjson.dumps(facts))])
    node.catch_up()

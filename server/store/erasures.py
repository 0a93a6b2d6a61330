"""Erasure as state: which names are erased for good, and what leaves the tables because of it.

A record is erased as a whole: every revision that instanceID and deprecatedID link to an erased one, whenever it
comes. What an entry does not name yet is appended as an entry of its own, so that it is known wherever the journal
goes and survives the payloads that said it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, delete, select

from server.store import entities, entity_arrivals, journal, key_conflicts, tallies
from server.store.dialect import insert_ignore
from server.store.dropping import drop
from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import STATE, distinction, erased, quarantine, revision
from sync.erasure import FOLLOWS, Names, Reason
from sync.journal import Fact, Kind
from sync.revision import RevisionKind

Arrived = tuple[Record, Mapping[str, Any]]
"""An entry and its detail."""

OF_RECORDS = tuple(
    table
    for table in STATE
    if {"project_id", "form_id", "instance_id"} <= set(table.c.keys()) and table is not distinction
)
"""Tables with rows of single records. That two records are different says nothing of either."""


def fact(form: FormKey, names: Names, reason: Reason | Literal["follows"], actor_id: int | None) -> Fact:
    """Return the fact that a record is erased; the same names give the same fact."""
    facts = {
        "form_id": form[1],
        "instance_ids": sorted(names.instance_ids),
        "digests": sorted(names.digests),
        "reason": reason,
        "actor_id": actor_id,
    }
    key = hashlib.sha256(orjson.dumps([Kind.ERASURE, form[0], facts])).digest()
    return Fact(Kind.ERASURE, form[0], key, orjson.dumps(facts))


def names_of(connection: Connection, form: FormKey, instance_ids: Iterable[str]) -> Names:
    """Return all that the records with these instanceIDs are known by."""
    names = Names(set(instance_ids))
    roots: set[str] = set()
    for some in chunks(instance_ids):
        linked = revision.c.instance_id.in_(some) | revision.c.deprecated_id.in_(some)
        roots.update(
            connection.execute(select(revision.c.root_id).where(*of_form(revision, form), linked)).scalars()
        )
    for some in chunks(roots):
        query = select(revision).where(*of_form(revision, form), revision.c.root_id.in_(some))
        for row in connection.execute(query).mappings():
            said = Names.of(dict(row))
            names.instance_ids.update(said.instance_ids)
            if row["kind"] == RevisionKind.EDIT:
                names.digests.update(said.digests)
    for some in chunks(names.instance_ids):
        query = select(quarantine.c.digest)
        rows = connection.execute(query.where(*of_form(quarantine, form), quarantine.c.instance_id.in_(some)))
        names.digests.update(rows.scalars())
    return names


def project_erasure(connection: Connection, record: Record, detail: Mapping[str, Any]) -> None:
    """Take every row of the record out of the state, and say which entries are to be dropped."""
    form = (record.project_id, detail["form_id"])
    said = Names(set(detail["instance_ids"]), set(detail["digests"]))
    names = names_of(connection, form, said.instance_ids)
    names.digests.update(said.digests)
    keys = key_conflicts.keys_of(connection, form, names.instance_ids)
    positions = _waiting(connection, form, names)
    touched = list(entities.entities_of(connection, *form, names.instance_ids))
    before = tallies.count(connection, form, names.instance_ids)
    for table in OF_RECORDS:
        for some in chunks(names.instance_ids):
            mine = (*of_form(table, form), table.c.instance_id.in_(some))
            if "position" in table.c:
                positions.update(connection.execute(select(table.c.position).where(*mine)).scalars())
            connection.execute(delete(table).where(*mine))
    tallies.add(connection, form, tallies.count(connection, form, names.instance_ids) - before)
    key_conflicts.refresh(connection, form, keys)
    entity_arrivals.derive_again(connection, record.project_id, touched)
    _remember(connection, form, names, said)
    drop(connection, positions)


def find_late(connection: Connection, arrived: Sequence[Arrived]) -> set[int]:
    """Return the positions of those entries that belong to an erased record."""
    if connection.execute(select(erased.c.name).limit(1)).first() is None:
        return set()
    known: set[tuple[int, str, str]] = set()
    for some in chunks({name for _, detail in arrived for _, name in _asked(detail)}):
        rows = connection.execute(select(erased).where(erased.c.name.in_(some)))
        known.update((row.project_id, row.form_id, row.name) for row in rows)
    return {
        record.position
        for record, detail in arrived
        if any((record.project_id, *name) in known for name in _asked(detail))
    }


def drop_late(connection: Connection, late: Sequence[Arrived]) -> None:
    """Have what came of an erased record dropped, and what it names erased too."""
    drop(connection, [record.position for record, _ in late])
    for record, detail in late:
        _remember(connection, (record.project_id, detail["form_id"]), Names.of(detail), Names())


def _asked(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names, (form_id, name), any of which makes an entry one of an erased record."""
    return _rows(detail.get("form_id", ""), Names.of(detail))


def _rows(form_id: str, names: Names) -> list[tuple[str, str]]:
    """The names as `erased` has them: an instanceID is one of its form, a digest of the project."""
    return [(form_id, name) for name in names.instance_ids] + [("", name) for name in names.digests]


def _waiting(connection: Connection, form: FormKey, names: Names) -> set[int]:
    """Take out of the quarantine the same bytes under any name, and what was set aside; return the positions."""
    positions: set[int] = set()
    of_project = quarantine.c.project_id == form[0]
    known = [quarantine.c.digest.in_(some) for some in chunks(names.digests)]
    set_aside = [quarantine.c.instance_id.in_(some) for some in chunks(names.instance_ids)]
    for mine in (*known, *((quarantine.c.form_id == "") & one for one in set_aside)):
        positions.update(connection.execute(select(quarantine.c.position).where(of_project, mine)).scalars())
        connection.execute(delete(quarantine).where(of_project, mine))
    return positions


def _remember(connection: Connection, form: FormKey, names: Names, said: Names) -> None:
    """Add the names to those erased. said: those that an entry names; others get an entry."""
    rows = _rows(form[1], names)
    known = set(_rows(form[1], said))
    for some in chunks(name for _, name in rows):
        query = select(erased.c.form_id, erased.c.name).where(
            erased.c.project_id == form[0], erased.c.name.in_(some)
        )
        known.update((row.form_id, row.name) for row in connection.execute(query))
    if not known.issuperset(rows):
        journal.append(connection, [fact(form, names, FOLLOWS, None)])
    keys = ("project_id", "form_id", "name")
    insert_ignore(connection, erased, [dict(zip(keys, (form[0], *row), strict=True)) for row in sorted(rows)])

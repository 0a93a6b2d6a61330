"""What a post may say of records: of those that it, or a post below it, received.

Whether it received one may be known only later, when entries come in any order: what is not taken for that reason is
left uncovered, so that it comes again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import orjson
from sqlalchemy import Connection, or_, select

from server.store.mentions import RECEIPTS
from server.store.submissions import FormKey, chunks, of_form
from server.store.tables import mention, revision
from sync.journal import Entry, Kind

SAID = frozenset({Kind.DECISION, Kind.REVIEW, Kind.COMMENT, Kind.DISTINCT, Kind.CLEANING, Kind.ERASURE})
"""What is said of records."""

Name = tuple[int, str, str]
"""project, form, instanceID"""


def list_foreign(connection: Connection, family: Collection[str], entries: Sequence[Entry]) -> set[bytes]:
    """Return the hashes of those entries that say something of a record that none of the family received.

    entries: as they come together, with the records that some of them are about. What erases records of which nothing is
    here is no such entry: they were erased before they came, and without payload nothing tells who received them.
    """
    about = {one.hash: set(_names(one)) for one in entries if one.fact.kind in SAID and one.fact.detail}
    erasures = {one.hash for one in entries if one.fact.kind is Kind.ERASURE}
    if not about:
        return set()
    records = _Records(connection, set[Name]().union(*about.values()))
    coming = {name for one in entries if one.fact.kind in RECEIPTS for name in _names(one)}

    def is_theirs(name: Name) -> bool:
        return name in coming or not records.receivers(name).isdisjoint(family)

    foreign = set()
    for digest, names in about.items():
        own = {name for name in names if any(map(is_theirs, records.joined(name)))}
        is_elsewhere = any(records.is_known(name) for name in names - own)
        if is_elsewhere or not (own or digest in erasures):
            foreign.add(digest)
    return foreign


class _Records:
    """What is known here of records, by any of their names."""

    def __init__(self, connection: Connection, names: Collection[Name]) -> None:
        self._joined: dict[Name, set[Name]] = {name: {name} for name in names}
        self._is_known: set[Name] = set()
        self._receivers: dict[tuple[int, str], set[str]] = {}
        for form in {name[:2] for name in names}:
            self._join(connection, form, {name[2] for name in names if name[:2] == form})
        wanted = set[Name]().union(*self._joined.values())
        for some in chunks(sorted({name[2] for name in wanted})):
            columns = (mention.c.project_id, mention.c.name, mention.c.origin)
            found = connection.execute(
                select(*columns).where(mention.c.is_receipt, mention.c.name.in_(some))
            ).all()
            for row in found:
                self._receivers.setdefault((row.project_id, row.name), set()).add(row.origin)

    def _join(self, connection: Connection, form: FormKey, names: Collection[str]) -> None:
        """Find all names of the records of a form that have one of these."""
        columns = (revision.c.instance_id, revision.c.deprecated_id, revision.c.root_id)
        roots: set[str] = set()
        for some in chunks(sorted(names)):
            named = or_(revision.c.instance_id.in_(some), revision.c.deprecated_id.in_(some))
            rows = connection.execute(select(*columns).where(*of_form(revision, form), named))
            roots.update(row.root_id for row in rows)
        groups: dict[str, set[Name]] = {}
        for some in chunks(sorted(roots)):
            rows = connection.execute(
                select(*columns).where(*of_form(revision, form), revision.c.root_id.in_(some))
            )
            for row in rows:
                both = {(*form, name) for name in (row.instance_id, row.deprecated_id) if name}
                groups.setdefault(row.root_id, set()).update(both)
        for group in groups.values():
            for name in group & self._joined.keys():
                self._joined[name] |= group
                self._is_known.add(name)

    def joined(self, name: Name) -> set[Name]:
        """Return all names of the records that have this one."""
        return self._joined[name]

    def receivers(self, name: Name) -> set[str]:
        """Return which other nodes received something of this name."""
        return self._receivers.get((name[0], name[2]), set())

    def is_known(self, name: Name) -> bool:
        """Whether anything of this name is here."""
        return name in self._is_known or bool(self.receivers(name))


def _names(entry: Entry) -> Iterator[Name]:
    detail = orjson.loads(entry.fact.detail or b"{}")
    said = (detail.get("instance_id"), detail.get("deprecated_id"), *detail.get("instance_ids", ()))
    return ((entry.fact.project_id, detail.get("form_id") or "", name) for name in said if name)

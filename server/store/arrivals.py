"""Deriving a form's submissions from what arrived: which rows its revisions, decisions and attachments make.

Computed on a connection that only reads; what it changes comes back as functions of one that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from forms.recheck import Recheck
from server import merging
from server.merging import REMEMBERED_MAX, FormLine, Read
from server.quality import Checker
from server.store import arrival_rows, conflicts, findings, key_conflicts, quarantine, reviews, tallies
from server.store.arrival_rows import Files, NewRevision
from server.store.dialect import insert_earliest, insert_ignore, upsert
from server.store.journal import Record
from server.store.submissions import FormKey, chunks, of_form, revision_of
from server.store.tables import attachment, review, revision, submission, unjoined
from server.store.tallies import Tally
from sync.history import components, history
from sync.review import Review
from sync.revision import Revision, RevisionKind

AT_ONCE_MAX = 50
"""Submissions of more revisions are joined apart from what brought the last one, and for all that came meanwhile."""

AHEAD = 16

Change = Callable[[Connection], None]
Unjoined = Sequence[Mapping[str, Any]]
"""Rows of `unjoined`."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where what is already stored comes from.

    load: the entries at some positions. read: the revision that an entry is. line: all versions of a form. logic: what
    a version of it calculates and allows.
    """

    load: Callable[[Sequence[int]], Mapping[int, Record]]
    read: Callable[[Record], NewRevision]
    line: Callable[[FormKey], FormLine]
    logic: Callable[[FormKey, str], Recheck]


def joined_again(connection: Connection, form: FormKey, sources: Sources, position: int) -> list[Change]:
    """Return what changes in a form's submissions of several people when a list that the form reads has changed."""
    query = select(submission.c.instance_id).where(*of_form(submission, form), submission.c.is_joined)
    names = set(connection.execute(query).scalars())
    return _changes_of_form(connection, form, _Arrived(names), sources, position)


def find_unjoined(connection: Connection) -> Unjoined:
    """Return the marks of the submission that has waited longest to be joined; none when none waits."""
    first = connection.execute(select(unjoined).order_by(unjoined.c.since).limit(1)).mappings().first()
    if first is None:
        return []
    form = (first["project_id"], first["form_id"])
    group = _connected(connection, form, {first["instance_id"]})
    names = {first["instance_id"]}.union(*(_names(revision_of(row)) for row in group))
    waiting: list[dict[str, Any]] = []
    for some in chunks(names):
        query = select(unjoined).where(*of_form(unjoined, form), unjoined.c.instance_id.in_(some))
        waiting += map(dict, connection.execute(query).mappings())
    return waiting


def joined_apart(connection: Connection, waiting: Unjoined, sources: Sources) -> list[Change]:
    """Return what changes when the submission of these marks is joined."""
    form = (waiting[0]["project_id"], waiting[0]["form_id"])
    arrived = _Arrived({row["instance_id"] for row in waiting})
    return _changes_of_form(connection, form, arrived, sources, None)


def take_up(connection: Connection, waiting: Unjoined) -> bool:
    """Say that these wait no more; False when more came in since, so that they still do."""
    keys = [unjoined.c[name] for name in ("project_id", "form_id", "instance_id", "since")]
    taken = 0
    for row in waiting:
        mine = [key == row[key.name] for key in keys]
        taken += connection.execute(delete(unjoined).where(*mine)).rowcount
    if taken < len(waiting):
        insert_ignore(connection, unjoined, waiting)
    return taken == len(waiting)


def changes(
    connection: Connection,
    new: Sequence[NewRevision],
    attachments: Sequence[Mapping[str, Any]],
    reviewed: Sequence[Mapping[str, Any]],
    quarantined: Sequence[Mapping[str, Any]],
    released: Sequence[Record],
    sources: Sources,
    position: int,
) -> list[Change]:
    """Return what these arrivals change, computed on `connection` (which only reads). position: of the last entry."""
    done: list[Change] = [
        partial(insert_earliest, table=attachment, rows=attachments),
        partial(insert_ignore, table=review, rows=reviewed),
        partial(quarantine.keep, rows=quarantined),
    ]
    if released:
        done.append(partial(quarantine.release, released=released))
    touched: dict[FormKey, set[str]] = {}
    for one in new:
        touched.setdefault(one.form, set()).update(_names(one.revision))
    for row in (*attachments, *reviewed):
        touched.setdefault((row["project_id"], row["form_id"]), set()).add(row["instance_id"])
    for form, names in touched.items():
        of_this = [one for one in new if one.form == form]
        arrived, heard = (
            [row for row in rows if (row["project_id"], row["form_id"]) == form]
            for rows in (attachments, reviewed)
        )
        brought = _Arrived(names, of_this, arrived, heard)
        done += _changes_of_form(connection, form, brought, sources, position)
    return done


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What came of one form. names: instanceIDs of the submissions that it touches. files, reviews: new rows."""

    names: set[str]
    revisions: Sequence[NewRevision] = ()
    files: Sequence[Mapping[str, Any]] = ()
    reviews: Sequence[Mapping[str, Any]] = ()


def _changes_of_form(
    connection: Connection, form: FormKey, arrived: _Arrived, sources: Sources, position: int | None
) -> list[Change]:
    """What changes in the submissions that something came of.

    position: of the last entry; submissions of very many revisions are only marked with it, to be joined apart. None
    to join them.
    """
    stored = {row["digest"]: row for row in _connected(connection, form, arrived.names)}
    fresh: dict[str, NewRevision] = {}
    for one in arrived.revisions:
        digest = one.revision.digest
        known = fresh[digest].row if digest in fresh else stored.get(digest)
        if known is None or _receipt(one.row) < _receipt(known):
            fresh[digest] = one
    roots = {str(row["root_id"]) for row in stored.values()}
    if position is None:
        roots |= arrived.names
    rows: dict[str, Mapping[str, Any]] = {**stored, **{digest: one.row for digest, one in fresh.items()}}
    files = _files(connection, form, {row["instance_id"] for row in rows.values()}, arrived.files)
    known_revisions = [
        fresh[digest].revision if digest in fresh else revision_of(row) for digest, row in rows.items()
    ]
    heard = _reviews(connection, form, known_revisions, arrived.reviews)
    inserts, moved, upserts, contests, waiting = [], [], [], [], []
    contested, before = set(), set(roots)

    again = sorted((row for digest, row in stored.items() if digest not in fresh), key=_receipt)
    entries = _Ahead([row["position"] for row in again], sources.load)

    @lru_cache(maxsize=REMEMBERED_MAX)
    def read(digest: str) -> NewRevision:
        return fresh.get(digest) or sources.read(entries.at(stored[digest]["position"]))

    for group in components(known_revisions):
        members = {one.digest: rows[one.digest] for one in group}
        said = {said for one in group for name in _names(one) for said in heard.get(name, ())}
        row: dict[str, Any] | None = None
        if len(group) == 1 and group[0].kind is RevisionKind.EDIT:
            root, row = arrival_rows.single(read(group[0].digest), members, files, said)
        elif position is not None and len(group) > AT_ONCE_MAX:
            root = history(group).instance_id
            old = {str(stored[digest]["root_id"]) for digest in members if digest in stored}
            roots -= old
            waiting += [dict(zip(_MARK, (*form, name, position), strict=True)) for name in {root, *old}]
        else:
            reads = [_read(one, members[one.digest], read, files) for one in group]
            merged = merging.merge(sources.line(form), reads, partial(sources.logic, form))
            root = merged.view.history.instance_id
            row = arrival_rows.joined(merged, members, read, said)
            decided = [one.digest for one in group if one.kind is not RevisionKind.EDIT]
            about = {
                digest: conflict for digest in decided if (conflict := read(digest).detail.get("conflict"))
            }
            contests += conflicts.rows_of(form, merged.view, about, members)
            contested.add(root)
        if row is not None:
            upserts.append(row)
        for digest, member in members.items():
            if digest in fresh:
                inserts.append({**member, "root_id": root})
            elif member["root_id"] != root:
                moved.append((digest, root))
    shown = {row["instance_id"] for row in upserts}
    gone = roots - shown
    keys = key_conflicts.keys_of(connection, form, roots)
    keys.update(row["duplicate_key"] for row in upserts if row["duplicate_key"])
    new = sum(digest not in stored for digest in fresh)
    return [
        partial(_count, form=form, before=before & (gone | shown), rows=upserts, revisions=new),
        partial(upsert, table=revision, rows=inserts),
        partial(_move, form=form, moved=moved),
        partial(_forget, form=form, roots=gone),
        partial(upsert, table=submission, rows=upserts),
        partial(upsert, table=unjoined, rows=waiting),
        partial(conflicts.replace, form=form, roots=contested | gone, rows=contests),
        partial(key_conflicts.refresh, form=form, keys=keys),
        *findings.changes(
            form, upserts, gone, lambda: Checker(sources.line(form), partial(sources.logic, form))
        ),
    ]


class _Ahead:
    """Entries by position, read a few at a time: they are asked for in about this order, and only once each."""

    def __init__(
        self, positions: Sequence[int], load: Callable[[Sequence[int]], Mapping[int, Record]]
    ) -> None:
        self._positions = positions
        self._numbers = {position: number for number, position in enumerate(positions)}
        self._load = load
        self._loaded: Mapping[int, Record] = {}

    def at(self, position: int) -> Record:
        if position not in self._loaded:
            number = self._numbers[position]
            self._loaded = self._load(self._positions[number : number + AHEAD])
        return self._loaded[position]


_MARK = ("project_id", "form_id", "instance_id", "since")


def _receipt(row: Mapping[str, Any]) -> tuple[int, str]:
    """What orders the receipts of one revision: it counts from the first, whichever is learnt of first."""
    return (row["stamp"], row["origin"])


def _read(
    one: Revision,
    row: Mapping[str, Any],
    read: Callable[[str], NewRevision],
    files: Files,
) -> Read:
    decided = merging.decode(row["cells"])
    return Read(one, row["version"], lambda: read(one.digest).tree, decided, files.of(one))


def _connected(connection: Connection, form: FormKey, names: set[str]) -> list[dict[str, Any]]:
    """All stored revisions of the submissions that any of these instanceIDs belongs to."""
    roots: set[str] = set()
    for some in chunks(names):
        linked = or_(revision.c.instance_id.in_(some), revision.c.deprecated_id.in_(some))
        roots.update(
            connection.execute(select(revision.c.root_id).where(*of_form(revision, form), linked)).scalars()
        )
    rows: list[dict[str, Any]] = []
    for some in chunks(roots):
        query = select(revision).where(*of_form(revision, form), revision.c.root_id.in_(some))
        rows += [dict(row) for row in connection.execute(query).mappings()]
    return rows


def _names(one: Revision) -> tuple[str, ...]:
    """The instanceIDs by which a revision is tied to its submission."""
    return (one.instance_id, one.deprecated_id) if one.deprecated_id else (one.instance_id,)


def _reviews(
    connection: Connection, form: FormKey, revisions: Iterable[Revision], new: Sequence[Mapping[str, Any]]
) -> dict[str, list[Review]]:
    """The reviews of these revisions' submissions, by the instanceID that they name."""
    heard: dict[str, list[Review]] = {}
    names = {name for one in revisions for name in _names(one)}
    for row in (*reviews.rows_of(connection, form, names), *new):
        heard.setdefault(row["instance_id"], []).append(reviews.review_of(row))
    return heard


def _files(
    connection: Connection, form: FormKey, names: set[str], arrived: Sequence[Mapping[str, Any]]
) -> Files:
    columns = [attachment.c[name] for name in ("instance_id", "digest", "name", "sha256", "stamp")]
    found = list(arrived)
    for some in chunks(names):
        query = select(*columns).where(*of_form(attachment, form), attachment.c.instance_id.in_(some))
        found += map(dict, connection.execute(query).mappings())
    stamps: dict[tuple[str, str, str, str], int] = {}
    for row in found:
        file = (row["instance_id"], row["digest"], row["name"], row["sha256"])
        stamps[file] = min(row["stamp"], stamps.get(file, row["stamp"]))
    files = Files()
    for instance_id, digest, name, sha256 in sorted(stamps, key=lambda file: (stamps[file], file[-1])):
        files.of_instance.setdefault(instance_id, {})[name] = sha256
        files.of_revision.setdefault(digest, {})[name] = sha256
    return files


def _count(
    connection: Connection,
    form: FormKey,
    before: set[str],
    rows: Sequence[Mapping[str, Any]],
    revisions: int,
) -> None:
    """Keep the form's tally: these rows come in place of the submissions with the roots `before`."""
    shown = [row for row in rows if not row["is_deleted"]]
    edits, contested = (sum(row[name] for row in shown) for name in ("edits", "open_conflicts"))
    gone = replace(tallies.count(connection, form, before), revisions=0)
    tallies.add(connection, form, Tally(len(shown), edits, contested, revisions) - gone)


def _move(connection: Connection, form: FormKey, moved: Sequence[tuple[str, str]]) -> None:
    for digest, root_id in moved:
        query = update(revision).where(*of_form(revision, form), revision.c.digest == digest)
        connection.execute(query.values(root_id=root_id))


def _forget(connection: Connection, form: FormKey, roots: set[str]) -> None:
    """Submissions that turned out to be edits of another one."""
    for some in chunks(roots):
        connection.execute(
            delete(submission).where(*of_form(submission, form), submission.c.instance_id.in_(some))
        )

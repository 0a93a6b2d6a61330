"""A form's submissions out of the store, ready to be written: one short reading transaction, rows on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import astuple, dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import orjson
from sqlalchemy import Connection

from forms.lineage import FORM
from forms.schema import Flag
from server.days import told_days
from server.exports.cleaning_log import log_rows
from server.exports.disclosure import Risk, ladder
from server.exports.frames import Frame, frame, is_kept_as_csv, watch
from server.exports.layout import Table
from server.exports.options import Format, Options, Profile
from server.exports.pages import MediaFile, iter_pages
from server.exports.profiles import REPEAT_NUMBERS, ROOT_NUMBERS, Numbering
from server.exports.rows import Row
from server.exports.scope import Scope
from server.exports.spool import Spool
from server.exports.variables import Kind, Variable, variables
from server.exports.views import Left, Records
from server.problems import Problem
from server.progress import Report, unseen
from server.store import quarantine
from server.store.forms import iso
from server.store.journal import chain_hash, read_entry
from server.store.tallies import tally


@dataclass(slots=True)
class Gathered:
    """What is about to be written. chain, stamp: hash and time of the journal at the cut-off. left: see `Left`, by why.

    cleaning, log: of the clean view, the extent of the cleaning log and its rows. risks: see `server.exports.disclosure.ladder`. files: on disk until it is closed; wanted: which media.
    """

    scope: Scope
    chain: str
    time: str
    spools: tuple[Spool, ...] = ()
    frames: tuple[Frame, ...] = ()
    left: dict[str, Left] = field(default_factory=dict)
    quarantined: int = 0
    cleaning: dict[str, int | str] | None = None
    days: dict[str, object] | None = None
    log: list[Row] = field(default_factory=list)
    risks: list[Risk] = field(default_factory=list)
    wanted: BinaryIO | None = None
    files: ExitStack = field(default_factory=ExitStack)

    def media(self) -> Iterator[MediaFile]:
        """Yield the files that the exported answers name."""
        if self.wanted:
            self.wanted.seek(0)
            for line in self.wanted:
                yield MediaFile(*orjson.loads(line))

    def shape(self) -> None:
        """Make the frames of what was read so far."""
        self.frames = tuple(frame(one, self.scope.options, self.scope.language) for one in self.spools)

    def close(self) -> None:
        """Let go of the disk."""
        self.files.close()


def gather(
    connection: Connection, scope: Scope, folder: Path, *, media: bool = False, report: Report = unseen
) -> Gathered:
    """Read everything that the scope names into files of `folder` that have no name. Raises Problem, OSError."""
    found = prepare(connection, scope, folder, media=media)
    try:
        read(connection, found, report)
    except BaseException:
        found.close()
        raise
    return found


def prepare(connection: Connection, scope: Scope, folder: Path, *, media: bool) -> Gathered:
    """Return what `read` fills. Raises OSError."""
    head = read_entry(connection, scope.cut_off)
    is_numbered = scope.options.profile is Profile.KOBO
    with ExitStack() as files:
        spools = [
            files.enter_context(
                closing(
                    Spool(
                        folder,
                        table,
                        variables(table, _numbers(table) if is_numbered else {}),
                        scope.name(table),
                        is_csv=is_kept_as_csv(scope.options),
                    )
                )
            )
            for table in scope.tables
        ]
        wants_media = media or scope.options.format is Format.MEDIA
        return Gathered(
            scope,
            chain_hash(connection, scope.cut_off).hex(),
            iso(head.stamp),
            tuple(spools),
            wanted=files.enter_context(TemporaryFile(dir=folder)) if wants_media else None,
            files=files.pop_all(),
        )


def read(connection: Connection, found: Gathered, report: Report = unseen) -> None:
    """Read everything, then make the frames. Raises Problem, OSError, and ValueError once `found` is closed."""
    try:
        _read(connection, found, report)
    finally:
        for spool in found.spools:
            spool.finish()
    found.shape()
    options = found.scope.options
    if options.recipient or options.keys:
        found.risks = _risks(found.spools[0], found.frames[0], options)


def _read(connection: Connection, found: Gathered, report: Report) -> None:
    scope, form = found.scope, (found.scope.project_id, found.scope.form_id)
    numbering = Numbering([scope.name(table) for table in scope.tables])
    is_numbered = scope.options.profile is Profile.KOBO
    for spool in found.spools:
        watch(spool, scope.options)
    advance = report("reading", tally(connection, form).submissions)
    records = Records(connection, scope.schemas, scope)
    found.left = records.left
    if records.cleaner:
        found.cleaning = {"entries": records.cleaner.count, "sha256": records.cleaner.sha256}
    if records.cleaner and not scope.key:
        found.log = list(log_rows(connection, scope, records.cleaner))
        found.days = told_days(connection, records.cleaner)
    with closing(iter_pages(connection, scope, records, media=found.wanted is not None)) as pages:
        for page in pages:
            if is_numbered:
                numbering.add(page.rows)
            for spool, rows in zip(found.spools, page.rows, strict=True):
                spool.add(rows)
            if found.wanted:
                found.wanted.writelines(orjson.dumps(astuple(one)) + b"\n" for one in page.media)
            advance(len(page.rows[0]))
    found.quarantined = len(quarantine.list_quarantined(connection, *form))


def _numbers(table: Table) -> Mapping[str, tuple[Kind, str]]:
    return ROOT_NUMBERS if table.repeat == FORM else REPEAT_NUMBERS


def _risks(read: Spool, own: Frame, options: Options) -> list[Risk]:
    """Return how far people stand out by the key questions of the form's own table. Raises Problem 400.1.

    read: with the questions that nobody answered, too.
    """
    known = {seen.variable.field.name for seen in read.seen if seen.variable.field}
    names = [variable.field.name if variable.field else "" for variable in own.variables]
    asked = list(filter(None, map(str.strip, options.keys.split(","))))
    if missing := set(asked) - known:
        raise Problem(400.1, f"The export has no question {', '.join(sorted(missing))} to know people by.")
    places = [
        place
        for place, variable in enumerate(own.variables)
        if (names[place] in asked if asked else _is_quasi(variable)) and not variable.is_made
    ]
    counts = Counter(tuple(row[place] for place in places) for page in own.pages() for row in page)
    return ladder([own.variables[place].title for place in places], counts)


def _is_quasi(variable: Variable) -> bool:
    asked = variable.column.asked if variable.column else ()
    return any(Flag.QUASI_IDENTIFIER in field.flags for field in asked)

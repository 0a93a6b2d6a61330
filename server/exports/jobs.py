"""Exports that take longer than a request: made by a thread, as of the moment they were asked for."""

from __future__ import annotations

import errno
import logging
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from server.exports.gathering import Gathered, gather
from server.exports.limit import one_of_few
from server.exports.making import etag_of, file_name, write_file
from server.exports.options import Options
from server.exports.past import node_at, position_at
from server.exports.prepared import Job, Prepared
from server.exports.scope import Scope, open_scope
from server.node import Node
from server.problems import Problem
from server.progress import Advance
from server.store.engine import reading

TOLD_EVERY_S = 0.5
LOOK_EVERY_S = 0.05
FAILED = 503.2
ERASED = "A record was erased while the export was made. Ask for it again."
NO_ROOM = "The server's disk is full, or fails. Ask its operator."
ROOM_MADE = "The server's disk was full; older exports made way. Ask for it again."
BROKEN = "Something went wrong here; the log has it."

log = logging.getLogger("chapar.exports")


def prepared(node: Node) -> Prepared:
    """Return the exports kept at this node."""
    return Prepared(node.settings.data / "tmp")


def start(node: Node, project_id: int, form_id: str, options: Options, *, media: bool) -> Job:
    """Return the export of this moment: finished when the same was made before, else begun in a thread.

    Raises Problem 404.1, 503.1 when too many are being made here, and those of a filter.
    """
    kept = prepared(node)
    node.catch_up()
    with ExitStack() as mine:
        part = kept.new_part()
        mine.callback(part.unlink, missing_ok=True)
        kept.clear()
        transaction = mine.enter_context(ExitStack())
        connection = transaction.enter_context(reading(node.engine))
        scope = open_scope(connection, node, project_id, form_id, options, now=node)
        if options.as_of:
            scope = replace(scope, cut_off=position_at(connection, options.as_of))
        job_id = etag_of(connection, scope, ["file", media])
        known = kept.find(job_id)
        if known and known.state != "failed":
            return known
        job = Job(job_id, project_id, form_id, options.personal, file_name(form_id, options, media=media))
        if not mine.enter_context(kept.making(job_id)):
            return job
        mine.enter_context(one_of_few())
        kept.tell(job)
        work = _Work(node, kept, job, scope, part, media, transaction, mine.pop_all())
        threading.Thread(target=work.run, args=(connection,), name="export", daemon=True).start()
    return job


def wait(node: Node, job: Job, patience_s: float) -> Job:
    """Return how an export stands when it is done, or when patience is at its end."""
    kept, until = prepared(node), time.monotonic() + patience_s
    while job.state == "running" and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        job = kept.find(job.id) or replace(job, state="failed", detail=BROKEN, code=FAILED)
    return job


class _Work:
    """One export being made. transaction: ends when all is read. holds: its file, its lock, its place among the running."""

    def __init__(
        self,
        node: Node,
        kept: Prepared,
        job: Job,
        scope: Scope,
        part: Path,
        media: bool,
        transaction: ExitStack,
        holds: ExitStack,
    ) -> None:
        self._node, self._kept, self._job, self._scope = node, kept, job, scope
        self._part, self._media = part, media
        self._transaction, self._holds = transaction, holds
        self._told_at = 0.0

    def run(self, connection: Connection) -> None:
        """Make it, and tell how it went."""
        with self._holds:
            try:
                found = self._gather(connection)
                self._transaction.close()
                with closing(found):
                    write_file(found, self._part, self._node.blobs, media=self._media, report=self._report)
                size = self._part.stat().st_size
                self._kept.keep(replace(self._job, state="finished", size=size), self._part)
            except FileNotFoundError:
                self._fail(ERASED)
            except OSError as error:
                log.error("an export failed: %s", error.strerror)
                is_full = error.errno == errno.ENOSPC
                self._fail(ROOM_MADE if is_full and self._kept.make_way() else NO_ROOM)
            except Problem as problem:
                self._fail(problem.detail, problem.code)
            except Exception:
                log.exception("an export failed")
                self._fail(BROKEN)

    def _gather(self, connection: Connection) -> Gathered:
        scope, scratch = self._scope, self._node.settings.data / "tmp"
        if not scope.options.as_of:
            return gather(connection, scope, scratch, media=self._media, report=self._report)
        self._transaction.close()
        form = (scope.project_id, scope.form_id)
        with node_at(self._node, *form, scope.cut_off) as past, reading(past.engine) as then:
            known = open_scope(then, past, *form, scope.options, now=self._node)
            return gather(then, known, scratch, media=self._media, report=self._report)

    def _fail(self, detail: str, code: float = FAILED) -> None:
        self._kept.tell(replace(self._job, state="failed", detail=detail, code=code))

    def _report(self, doing: str, total: int) -> Advance:
        self._job = replace(self._job, doing=doing, done=0, total=total)

        def advance(more: int) -> None:
            self._job = replace(self._job, done=self._job.done + more)
            if time.monotonic() - self._told_at > TOLD_EVERY_S:
                self._told_at = time.monotonic()
                self._kept.tell(self._job)

        return advance

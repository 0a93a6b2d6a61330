"""Since when which node has what: told to people, nothing follows from it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, func, select

from server.store.dialect import insert_ignore
from server.store.tables import mark
from sync.logs import Have, Log


def note(connection: Connection, receiver: str, said: Have, at_ms: int) -> None:
    """Keep that a node covers these ranges by now, as far as each log has no gap."""
    for (origin, epoch), ranges in said.items():
        last = max((one.last for one in ranges if one.first == 1), default=0)
        if last > _last(connection, receiver, (origin, epoch)):
            row = {"receiver": receiver, "origin": origin, "epoch": epoch, "last": last, "at_ms": at_ms}
            insert_ignore(connection, mark, [row])


def find(connection: Connection, receiver: str, log: Log, seq: int) -> int | None:
    """Return when (ms since 1970) it was first known that a node has this entry, None when it is not known to."""
    query = select(func.min(mark.c.at_ms)).where(*_of(receiver, log), mark.c.last >= seq)
    return connection.execute(query).scalar()


def _last(connection: Connection, receiver: str, log: Log) -> int:
    return connection.execute(select(func.max(mark.c.last)).where(*_of(receiver, log))).scalar() or 0


def _of(receiver: str, log: Log) -> tuple[ColumnElement[bool], ...]:
    return (mark.c.receiver == receiver, mark.c.origin == log[0], mark.c.epoch == log[1])

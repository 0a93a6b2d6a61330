"""Since when which node has what: told to people, nothing follows from it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, func, select

from server.store.dialect import insert_ignore
from server.store.tables import mark
from sync.logs import Have, Log


def note(connection: Connection, receiver: str, said: Have, at_ms: int, *, is_whole: bool = False) -> None:
    """Keep that a node covers these ranges by now, as far as each log has no gap; what it lost counts anew.

    is_whole: it covers nothing of any other log.
    """
    query = select(mark.c.origin, mark.c.epoch).where(mark.c.receiver == receiver).distinct()
    others = [(origin, epoch) for origin, epoch in connection.execute(query)] if is_whole else []
    for (origin, epoch), ranges in {**dict.fromkeys(others, ()), **said}.items():
        last = max((one.last for one in ranges if one.first == 1), default=0)
        beyond = (*_of(receiver, (origin, epoch)), mark.c.last > last)
        connection.execute(delete(mark).where(*beyond))
        if last > _last(connection, receiver, (origin, epoch)):
            row = {"receiver": receiver, "origin": origin, "epoch": epoch, "last": last, "at_ms": at_ms}
            insert_ignore(connection, mark, [row])


def find(connection: Connection, receiver: str, log: Log, seq: int) -> int | None:
    """Return when (ms since 1970) it was first known that a node has this entry, None when it is not known to."""
    query = select(func.min(mark.c.at_ms)).where(*_of(receiver, log), mark.c.last >= seq)
    return connection.execute(query).scalar()


def read_until(connection: Connection, receiver: str, until_ms: int) -> dict[Log, int]:
    """Return up to which seq of each log a node was known to have everything by then (ms since 1970)."""
    query = select(mark.c.origin, mark.c.epoch, func.max(mark.c.last))
    mine = (mark.c.receiver == receiver, mark.c.at_ms <= until_ms)
    rows = connection.execute(query.where(*mine).group_by(mark.c.origin, mark.c.epoch))
    return {(origin, epoch): int(last) for origin, epoch, last in rows}


def _last(connection: Connection, receiver: str, log: Log) -> int:
    return connection.execute(select(func.max(mark.c.last)).where(*_of(receiver, log))).scalar() or 0


def _of(receiver: str, log: Log) -> tuple[ColumnElement[bool], ...]:
    return (mark.c.receiver == receiver, mark.c.origin == log[0], mark.c.epoch == log[1])

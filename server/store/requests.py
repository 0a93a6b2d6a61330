"""What another node asked for when it last said all that it holds: a bundle answers it, however much later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from server.store.dialect import insert_ignore
from server.store.lost import Asked
from server.store.tables import asked, asked_again, unsure


@dataclass(frozen=True, slots=True)
class Requests:
    """files: SHA-256 of those that it lacks. again: entries whose payload it lacks. unsure: files that it wants to drop, if they are here."""

    files: Sequence[str] = ()
    again: Sequence[Asked] = ()
    unsure: Sequence[str] = ()


def keep(connection: Connection, origin: str, requests: Requests) -> None:
    """Keep what a node asks for, instead of what it asked for before."""
    for table in (asked, asked_again, unsure):
        connection.execute(delete(table).where(table.c.origin == origin))
    names = ("origin", *_AGAIN)
    again = [dict(zip(names, (origin, *one), strict=True)) for one in requests.again]
    insert_ignore(connection, asked_again, again)
    for table, digests in ((asked, requests.files), (unsure, requests.unsure)):
        insert_ignore(connection, table, [{"origin": origin, "sha256": one} for one in digests])


def read(connection: Connection, origin: str) -> Requests:
    """Return what a node asked for."""
    files, sure = (
        list(connection.execute(select(table.c.sha256).where(table.c.origin == origin)).scalars())
        for table in (asked, unsure)
    )
    columns = [asked_again.c[name] for name in _AGAIN]
    rows = connection.execute(select(*columns).where(asked_again.c.origin == origin).order_by(*columns))
    return Requests(sorted(files), [(*row,) for row in rows], sorted(sure))


_AGAIN = ("log_origin", "epoch", "seq", "hash")

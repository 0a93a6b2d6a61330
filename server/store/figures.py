"""Figures of the whole store, for metrics: how far it is and what waits. Quick, whatever the store holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from server.store import journal
from server.store.conflicts import OPEN
from server.store.tables import attachment, conflict, quarantine
from server.store.tables import journal as entries
from sync.clock import to_datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """position: of the newest entry. oldest_stamp: of the first entry that is not projected, None when all are."""

    position: int
    lag_entries: int
    oldest_stamp: int | None
    quarantined: int
    conflicts: int
    database_bytes: int

    def lag_s(self, now_s: float) -> float:
        """How old the oldest entry is that is not projected; 0.0 when all are."""
        if self.oldest_stamp is None:
            return 0.0
        return max(0.0, now_s - to_datetime(self.oldest_stamp).timestamp())


def read_figures(connection: Connection, reader: str) -> Figures:
    """Return the figures as one transaction sees them. reader: whose cursor says what is projected."""
    position, cursor = journal.head_position(connection), journal.cursor(connection, reader)
    oldest = select(entries.c.stamp).where(entries.c.position > cursor).order_by(entries.c.position).limit(1)
    return Figures(
        position=position,
        lag_entries=position - cursor,
        oldest_stamp=connection.execute(oldest).scalar(),
        quarantined=_count(connection, quarantine, quarantine.c.released.is_(False)),
        conflicts=_count(connection, conflict, conflict.c.state == OPEN),
        database_bytes=_database_bytes(connection),
    )


def attachment_bytes(connection: Connection) -> int:
    """Return the sum of the sizes of all attachments; reads them all."""
    return int(connection.execute(select(func.coalesce(func.sum(attachment.c.size), 0))).scalar_one())


def _count(connection: Connection, table: Any, wanted: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(wanted)).scalar_one())


def _database_bytes(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())

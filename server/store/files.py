"""Which blobs the facts name: what a backup has to hold, and a check to look for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, select

from server.store.tables import form_draft, form_draft_media, journal

PAGE = 1000


def files_in(detail: Mapping[str, Any]) -> set[str]:
    """Return the SHA-256 of the blobs that an entry with this detail names."""
    files = [detail, detail.get("oversize") or {}, *detail.get("files", ())]
    named = [detail.get("sheet_sha256"), *(file.get("sha256") for file in files)]
    return set(filter(None, named))


def named_files(connection: Connection) -> set[str]:
    """Return the SHA-256 of every blob that the journal or a draft of a form names."""
    found: set[str] = set()
    details = select(journal.c.detail).where(journal.c.detail.is_not(None)).execution_options(yield_per=PAGE)
    with connection.execute(details) as rows:
        for detail in rows.scalars():
            found |= files_in(orjson.loads(detail))
    for column in (form_draft.c.sheet_sha256, form_draft_media.c.sha256):
        found.update(connection.execute(select(column).where(column.is_not(None))).scalars())
    return found

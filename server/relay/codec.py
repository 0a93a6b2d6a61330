"""What makes frames small: the forms that this store holds."""

from __future__ import annotations

from sqlalchemy import Connection

from forms.schema import FormSchema
from server.store.forms import Schemas


class StoreCodec:
    """The codec of frames over a store's published forms; for one transaction."""

    def __init__(self, connection: Connection, schemas: Schemas) -> None:
        self._connection = connection
        self._schemas = schemas

    def schema(self, project_id: int, form_id: str, version: str) -> FormSchema | None:
        """Return the schema of exactly this version, None where it was not published here."""
        found = self._schemas.find(self._connection, project_id, form_id, version)
        return found if found and found.version == version else None

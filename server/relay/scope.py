"""What a node is to get, held by the sender: upwards all that was collected, downwards what concerns the receiver.

Of an entry that is not for it the receiver learns the place in the log only, and only from who may decide so: a post
speaks of what was written at or below it, the node above of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, select, true

from server.store.mentions import RECEIPTS
from server.store.submissions import chunks
from server.store.tables import journal, mention
from sync.journal import FIRST_KINDS, Kind

OF_FORMS = frozenset(
    {Kind.PROJECT, Kind.FORM, Kind.FORM_MEDIA, Kind.FORM_STATE, Kind.RECODE, Kind.DAYS, Kind.PLAN}
)
ADDRESSED = frozenset({Kind.APP_USER, Kind.LISTED})
"""Each is for one post, or for tablets of this node."""
FROM_ABOVE = OF_FORMS | ADDRESSED
"""Only the node above writes these, and they do not go upwards."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Who gets something from this node. is_up: the receiver is the node above.

    family: origins of the lower of the two nodes and of those below it. forms: it gets these only, None for all.
    strangers: origins of which it takes nothing from this node. kinds: those that it knows.
    """

    receiver: str
    family: frozenset[str]
    is_up: bool
    forms: frozenset[str] | None = None
    strangers: frozenset[str] = frozenset()
    kinds: frozenset[str] = FIRST_KINDS

    def may_skip(self, origin: str) -> bool:
        """Whether to say of entries by this origin that they are not for the receiver.

        Else it may have lost them and get them from who has them.
        """
        return not self.is_up or origin in self.family

    def candidates(self, origin: str) -> ColumnElement[bool]:
        """Return what selects entries by this origin that may be for the receiver."""
        if self._gets_all(origin):
            return true()
        if self.is_up:
            return journal.c.kind.not_in(FROM_ABOVE)
        return journal.c.kind.not_in(RECEIPTS | {Kind.ENTITY})

    def choose(self, connection: Connection, origin: str, rows: Sequence[Any]) -> set[int]:
        """Return the positions of those candidates that are for the receiver. rows: with position, kind, detail."""
        if self.is_up or self._gets_all(origin):
            return {row.position for row in rows}
        about = self._about_family(connection, [row.position for row in rows])
        return {
            row.position
            for row in rows
            if (row.kind in OF_FORMS and self._is_of_forms(row))
            or row.position in about
            or (row.kind in ADDRESSED and self._is_of_family(row.detail))
        }

    def _gets_all(self, origin: str) -> bool:
        """What was written below a node it may have again when it has lost it; and so may the node above its own."""
        return origin == self.receiver if self.is_up else origin in self.family

    def _is_of_forms(self, row: Any) -> bool:
        if self.forms is None or row.kind == Kind.PROJECT:
            return True
        return orjson.loads(row.detail or b"{}").get("form_id") in self.forms

    def _is_of_family(self, detail: bytes | None) -> bool:
        said = orjson.loads(detail or b"{}")
        return "revoked_id" in said or said.get("post") in self.family

    def _about_family(self, connection: Connection, positions: Sequence[int]) -> set[int]:
        """Those of these entries that are about a record of which any of the family received something."""
        receipt = mention.alias()
        same = and_(receipt.c.project_id == mention.c.project_id, receipt.c.name == mention.c.name)
        theirs = (receipt.c.is_receipt, receipt.c.origin.in_(self.family))
        found: set[int] = set()
        for some in chunks(positions):
            query = select(mention.c.position).where(mention.c.position.in_(some), same, *theirs)
            found.update(connection.execute(query.distinct()).scalars())
        return found

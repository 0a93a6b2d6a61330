"""Who this node relays with: its centre above, its posts below. Settings of this node, no facts."""

from __future__ import annotations

from sqlalchemy import Integer, LargeBinary, Table, Text

from server.store.tables.columns import METADATA, column, key, optional

post = Table(
    "post",
    METADATA,
    key("name"),
    optional("origin", unique=True),
    optional("public_key", LargeBinary),
    column("secret"),
    optional("forms", Text),
    optional("crossings", Text),
    column("added_at"),
    optional("answered_at"),
    optional("revoked_at"),
)
"""A post below this node. Times in ISO 8601, UTC.

origin, public_key: NULL until it answered its enrolment. secret: of an enrolment that waits for its answer, "" when
none does. forms, crossings: JSON, lists of what it may send and receive, NULL for all.
"""

centre = Table(
    "centre",
    METADATA,
    key("id", Integer),
    column("origin"),
    column("public_key", LargeBinary),
    column("url"),
    column("name"),
    column("secret"),
    column("since"),
)
"""The node that this one relays to; one row at a post, none elsewhere.

name: what the centre calls this post. url: "" when only bundles reach it. secret: as in `post`, until the centre
has confirmed the answer.
"""

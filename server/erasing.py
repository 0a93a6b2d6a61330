"""Erasing a record for good: the fact, and at once the bytes at this node; others follow when they learn of it.

`server.store.erasures` takes it out of the state, `server.sweeping` out of journal and blobs. It cannot be brought
back; headers and hashes in the journal show that something was there.
"""

from __future__ import annotations

import time

from server.node import Node
from server.permissions import Actor
from server.store import erasures, journal
from server.store.engine import writing
from server.store.submissions import StoredSubmission
from server.sweeping import sweep
from sync.erasure import Reason

TRIES = 20
BETWEEN_TRIES_S = 0.1
"""Readers come and go; only one that stays, as a long export does, is not waited for."""


def erase(node: Node, actor: Actor, about: StoredSubmission, reason: Reason) -> bool:
    """Erase a submission with its revisions, decisions, reviews, comments and files.

    Returns False when the bytes are out of reach but not yet out of SQLite's log: a running server empties it as soon
    as nobody reads from it any more.
    """
    form = (about.project_id, about.form_id)
    with writing(node.engine) as connection:
        names = erasures.names_of(connection, form, [about.instance_id])
        journal.append(connection, [erasures.fact(form, names, reason, actor.id)])
    node.catch_up()
    for _ in range(TRIES):
        if sweep(node.engine, node.blobs):
            return True
        time.sleep(BETWEEN_TRIES_S)
    return False

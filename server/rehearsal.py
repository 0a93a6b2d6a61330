"""What was sent to test a draft, as it would look had it come in for real: taken in, joined and exported alike.

The tests are replayed into an empty node that holds the draft as its only form and vanishes afterwards. So there is
no second way to read answers, and nothing of a draft ever stands among facts or state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from server import drafts, publishing
from server.node import Node
from server.store import drafts as stored
from server.store import identity, journal
from server.store.drafts import FormDraft
from server.store.engine import migrate, open_engine, reading, writing
from sync.journal import Fact, Kind


@contextmanager
def rehearsed(node: Node, draft: FormDraft) -> Iterator[Node]:
    """Open a node with the draft as a published form, and with its tests as submissions; costs a fifth of a second.

    Times are those of receipt (so its log, in which the form is younger than its records, is none to verify). What is
    written into that node is lost.
    """
    with TemporaryDirectory(prefix="rehearsal-", dir=node.settings.data / "tmp") as folder:
        engine = open_engine(Path(folder))
        try:
            migrate(engine)
            apart = Node(node.settings, engine, node.test_blobs(draft.id))
            _fill(apart, node, draft)
            yield apart
        finally:
            engine.dispose()


def _fill(apart: Node, node: Node, draft: FormDraft) -> None:
    project = Fact(Kind.PROJECT, draft.project_id, None, orjson.dumps({"name": ""}))
    with writing(apart.engine) as connection:
        identity.create_node(connection)
        journal.append(connection, [project], iter([1]))
    media = [file for file in drafts.list_media(node, draft) if file.sha256]
    publishing.publish_edition(apart, draft.project_id, drafts.edition_of(draft), media)
    with reading(node.engine) as tests, writing(apart.engine) as connection:
        for stamp, fact in stored.iter_tests(tests, draft):
            journal.append(connection, [fact], iter([stamp]))
    apart.catch_up()

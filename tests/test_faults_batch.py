"""Arrivals that are committed together: what cannot be stored takes nothing else with it."""

from __future__ import annotations

from collections.abc import Sequence

from conftest import household

from server import receiving
from server.intake import Outcome, Writer
from server.receiving import Sender
from server.store import journal
from server.store.engine import writing

SENDER = Sender(1, "tablet", "collect:x", "test")
REFUSE_LARGE = {
    "sqlite": "CREATE TRIGGER small BEFORE INSERT ON journal WHEN NEW.size > 1000"
    " BEGIN SELECT RAISE(ABORT, 'too large'); END",
    "postgresql": "ALTER TABLE journal ADD CHECK (size <= 1000) NOT VALID",
}


def test_an_arrival_that_cannot_be_stored_does_not_keep_the_others_out(node):
    with writing(node.engine) as connection:
        connection.exec_driver_sql(REFUSE_LARGE[node.engine.dialect.name])
    answered: dict[object, Outcome | Exception] = {}

    def deliver(outcomes: Sequence[tuple[object, Outcome | Exception]]) -> None:
        answered.update(outcomes)

    writer = Writer(node.engine, node.blobs, 100, deliver)
    with writing(node.engine) as connection:
        journal.lock(
            connection
        )  # the first waits for us, and the others for the first: they are committed together
        for name in ("first", "second", "large", "third"):
            xml = household(f"uuid:{name}", extra="<head>x</head>" * (1000 if name == "large" else 1))
            writer.submit(receiving.examine(1, xml, [], SENDER, lambda *_: True), name)
        writer.wake()
    writer.close()
    assert isinstance(answered.pop("large"), Exception)
    assert answered == dict.fromkeys(("first", "second", "third"), Outcome.STORED)

"""Made-up records of the bundled questionnaires, as tablets send them and as a node notes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from forms.compile import compile_form
from forms.fill import Tablet, fill
from forms.fill_form import prepare
from forms.sample import sample
from server.publishing import BUNDLED
from server.receiving import Sender, examine, facts_of
from sync.journal import Fact

DEVICES = 12
BEGIN = datetime(2026, 11, 1, 8, tzinfo=UTC)


def filled(name: str, records: int, seed: int = 5) -> tuple[list[bytes], bytes]:
    """Instances as tablets send them, and the made-up records that every node has."""
    path = BUNDLED / f"{name}.xlsx"
    compiled = compile_form(path.read_bytes(), path.name)
    media = {file.name: file.read_bytes() for file in (BUNDLED / "media").iterdir()}
    form = prepare(compiled.schema, compiled.xform, media)
    chance = random.Random(seed)
    filled = [
        fill(
            form,
            now=BEGIN + timedelta(minutes=7 * number),
            chance=chance,
            tablet=Tablet(f"collect:{number % DEVICES:016d}", f"enumerator {number % DEVICES}"),
        ).xml
        for number in range(records)
    ]
    return filled, sample(compiled.schema, compiled.xform)


def facts_of_records(xmls: Sequence[bytes]) -> list[Fact]:
    facts = []
    for number, xml in enumerate(xmls):
        device = number * 7 % DEVICES
        sender = Sender(device, f"tablet {device}", f"collect:{device:016d}", "openrosa")
        facts += facts_of(examine(1, xml, (), sender, lambda *_: True))
    return facts

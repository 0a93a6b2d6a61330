"""`chapar doctor`: what is wrong with this node, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from server.cli.common import Data, Json, settings, tell

MARKS = {"fine": "ok", "warning": "WARNING", "broken": "BROKEN"}


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Without reading the whole journal and every blob.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Check store, journal, blobs, disk and clock, and say what to do. Changes nothing; a server may run.

    Exits with 0 when all is fine, 1 when somebody should look, 2 when something is broken.
    """
    from server.cli.bars import bars
    from server.doctor.examine import examine
    from server.doctor.findings import Check
    from server.settings import SettingsError

    try:
        chosen = settings(data)
    except SettingsError as error:
        found = [
            Check("settings").broken(str(error), "Mend that first: without it nothing else is looked at.")
        ]
    else:
        with bars() as report:
            found = list(examine(chosen, report, quick=quick))
    worst = max(one.level for one in found)
    lines = []
    for one in found:
        lines.append(f"{MARKS[one.level.name.lower()]:<8} {one.check:<11} {one.what}")
        lines += [f"{'':<20} {one.do}"] * bool(one.do)
    findings = [asdict(one) | {"level": one.level.name.lower()} for one in found]
    tell({"level": worst.name.lower(), "findings": findings}, "\n".join(lines), as_json=as_json)
    raise typer.Exit(int(worst))

"""The order of events of the demonstration, from the sheets to the table."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import typer

from server.demo import report
from server.demo.coordinator import Coordinator
from server.demo.exported import read_export
from server.demo.program import LOG, DemoError, export_form, serving
from server.demo.reconcile import Case, Line, exit_code, reconcile
from server.demo.records import Known, Ledger
from server.demo.report import Narrator
from server.demo.story import SHELTER, SHELTER_ID, Scale, compile_sheets, play_tablets

FULL = Scale()
SAMPLES = 20


def run_demo(out: Path, *, seed: int, as_json: bool, scale: Scale = FULL) -> int:
    """Show the whole road and leave the exports in `out`; return 0 when every figure reconciles, else 1."""
    narrator = Narrator(as_json=as_json)
    home = Path(mkdtemp(prefix="chapar-demo-"))
    try:
        cases, lines = play(home, out, seed, scale, narrator)
    except DemoError as error:
        narrator.say(f"{error} What happened is kept in {home}")
        return 1
    names = [name for case in cases.values() for name in case.exported.names]
    if as_json:
        typer.echo(report.dump(report.document(lines, out, names, seed, narrator.seconds)))
    else:
        titles = {form_id: form_id.partition("_")[0] for form_id in cases}
        narrator.console.print(report.table(lines, titles))
        narrator.console.print(report.next_steps(out, names), markup=False, soft_wrap=True)
    if exit_code(lines):
        narrator.say(f"Some figures do not reconcile. The data directory and {LOG} are kept in {home}")
    else:
        shutil.rmtree(home)
    return exit_code(lines)


def play(
    home: Path, out: Path, seed: int, scale: Scale, narrator: Narrator
) -> tuple[dict[str, Case], tuple[Line, ...]]:
    """Play it once with a server in `home`; return what is known of each form, and the table. Raises DemoError."""
    with serving(home / "data") as server:
        forms = compile_sheets()
        ledger = Ledger(forms)
        narrator.say(f"compiled {len(forms)} sheets: {', '.join(forms)}")
        server.wait_until_listening()
        narrator.say(f"a server listens on {server.url}")
        with closing(Coordinator(server.url, server.password)) as coordinator:
            coordinator.publish(SHELTER.read_bytes(), SHELTER_ID)
            play_tablets(coordinator, ledger, forms, seed, scale, narrator)
            coordinator.wait_until_still(list(forms))
            with ThreadPoolExecutor() as pool:
                csvs = pool.map(lambda form_id: export_form(home / "data", form_id, out), forms)
                names = dict(zip(forms, csvs, strict=True))
            narrator.say(f"exported to {out.resolve()}")
            stored = {form_id: coordinator.read_stored(form_id) for form_id in forms}
            quarantined = coordinator.count_quarantined()
            samples = {
                form_id: tuple(_samples(coordinator, known, random.Random(seed)))  # noqa: S311
                for form_id, known in ledger.known().items()
            }
        server_exit_code = server.stop()
    cases = {
        form_id: Case(
            compiled.schema,
            ledger.known()[form_id],
            stored[form_id],
            read_export(out, names[form_id], compiled.schema),
            samples[form_id],
        )
        for form_id, compiled in forms.items()
    }
    return cases, reconcile(cases, quarantined, server_exit_code)


def _samples(coordinator: Coordinator, known: Known, chance: random.Random) -> Iterator[tuple[bytes, bytes]]:
    for one in chance.sample(known.finished, min(SAMPLES, len(known.finished))):
        yield one.filled.xml, coordinator.read_xml(one.form_id, *one.key)

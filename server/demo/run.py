"""The order of events of the demonstration, from the sheets to the table."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import typer

from server.demo import report
from server.demo.coordinator import Coordinator
from server.demo.exported import read_export
from server.demo.link import LinkError
from server.demo.posts import CUT_OFF, Held, posts_of
from server.demo.program import LOG, DemoError, export_form, serving
from server.demo.reconcile import Case, exit_code, reconcile
from server.demo.records import Known, Ledger
from server.demo.report import Narrator
from server.demo.resolution import resolve_first
from server.demo.story import HOUSEHOLD_ID, SHELTER, SHELTER_ID, Scale, compile_sheets, play_tablets

FULL = Scale()
SAMPLES = 20


@dataclass(frozen=True)
class Played:
    """What is known when all is over. cases: by form ID. server_exit_code: of the centre. held: by the posts.

    taken: (form ID, instanceID, SHA-256) of what each post acknowledged to its tablets.
    """

    cases: Mapping[str, Case]
    quarantined: int
    server_exit_code: int
    held: tuple[Held, ...]
    taken: Mapping[str, frozenset[tuple[str, str, str]]]


def run_demo(out: Path, *, seed: int, as_json: bool, scale: Scale = FULL, keep_in: Path | None = None) -> int:
    """Show the whole road and leave the exports in `out`; return 0 when every figure reconciles, else 1.

    keep_in: an empty or new directory for the server's data and log, which stay there; None removes them at the end.
    Raises FileExistsError when `keep_in` holds something.
    """
    narrator = Narrator(as_json=as_json)
    home = _empty(keep_in) if keep_in else Path(mkdtemp(prefix="chapar-demo-"))
    code = 1
    try:
        code = conclude(play(home, out, seed, scale, narrator), out, seed, narrator, as_json=as_json)
    except (DemoError, LinkError) as error:
        narrator.say(f"It stopped: {error}")
    finally:
        if code or keep_in:
            narrator.say(f"The data directory and {LOG} are kept in {home}")
        else:
            shutil.rmtree(home)
    return code


def _empty(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise FileExistsError(f"{home} is not empty: the demo needs a directory of its own.")
    return home


def conclude(played: Played, out: Path, seed: int, narrator: Narrator, *, as_json: bool) -> int:
    """Print the table and what to do next, or the same as JSON; return the exit code."""
    lines = reconcile(played.cases, played.quarantined, played.server_exit_code, played.held, played.taken)
    names = [name for case in played.cases.values() for name in case.exported.names]
    if as_json:
        typer.echo(report.dump(report.document(lines, out, names, seed, narrator.seconds)))
    else:
        titles = {form_id: form_id.rpartition("_")[2] for form_id in played.cases}
        narrator.console.print(report.table(lines, titles))
        narrator.console.print(report.next_steps(out, names), markup=False, soft_wrap=True)
    failed = [line.label.strip() for line in lines if not line.total.agrees]
    failed += sorted({f"a post: {why}" for case in played.cases.values() for why in case.known.failures})
    narrator.say(
        f"Does not reconcile: {'; '.join(failed)}" if failed else "Everything reconciles to the last record."
    )
    return exit_code(lines)


def play(home: Path, out: Path, seed: int, scale: Scale, narrator: Narrator) -> Played:
    """Play it once with a server in `home`; return what is known. Raises DemoError, LinkError."""
    narrator.say("starting a server; compiling the sheets")
    with serving(home / "data") as server:
        forms = compile_sheets()
        ledger = Ledger(forms)
        narrator.say(f"compiled {len(forms)} sheets: {', '.join(forms)}")
        server.wait_until_listening()
        narrator.say(f"a server listens on {server.url}")
        with ExitStack() as stack:
            coordinator = stack.enter_context(closing(Coordinator(server.url, server.password)))
            coordinator.publish(SHELTER.read_bytes(), SHELTER_ID)
            posts = stack.enter_context(posts_of(home / "data", coordinator))
            narrator.say(f"posts are up: {', '.join(post.name for post in posts)}; {CUT_OFF} has no network")
            play_tablets(posts, ledger, forms, seed, scale, narrator)
            narrator.say("relaying to the centre, and by courier")
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda post: post.send_up(home / "data"), posts))
            narrator.say("waiting until the centre's figures stand still")
            coordinator.wait_until_still(list(forms))
            resolution = resolve_first(coordinator, forms[HOUSEHOLD_ID].schema)
            if resolution:
                narrator.say(
                    f"resolved {resolution.about.path} as “{resolution.chosen}”, undid it, resolved it again"
                )
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda post: post.fetch(home / "data"), posts))
                held = tuple(pool.map(lambda post: post.look(forms, HOUSEHOLD_ID), posts))
            narrator.say("exporting")
            with ThreadPoolExecutor() as pool:
                csvs = pool.map(lambda form_id: export_form(home / "data", form_id, out), forms)
                names = dict(zip(forms, csvs, strict=True))
            narrator.say(f"exported to {out.resolve()}; asking the server for every record")
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
            is_to_resolve=form_id == HOUSEHOLD_ID,
            resolution=resolution if form_id == HOUSEHOLD_ID else None,
        )
        for form_id, compiled in forms.items()
    }
    return Played(cases, quarantined, server_exit_code, held, ledger.acknowledged_at())


def _samples(coordinator: Coordinator, known: Known, chance: random.Random) -> Iterator[tuple[bytes, bytes]]:
    for one in chance.sample(known.finished, min(SAMPLES, len(known.finished))):
        yield one.filled.xml, coordinator.read_xml(one.form_id, *one.key)

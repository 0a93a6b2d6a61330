"""What happens on the tablets: fill offline, send over a bad link, edit, contradict each other."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from forms.compile import CompiledForm, compile_form
from server.demo.posts import Post
from server.demo.records import Finished, Ledger
from server.demo.report import Narrator
from server.demo.tablet import Mishap, Tablet
from server.publishing import BUNDLED

SHELTER = Path(__file__).with_name("shelter_photo.md")
SHELTER_ID = "shelter_photo"
HOUSEHOLD_ID = "protection_needs_assessment"
HOUSEHOLD: Mapping[str, str] = {
    "/pcons/p_consent": "yes",
    "/pna/pbas/p_hungry": "2",
    "/pna/pbas/p_sleep": "yes",
    "/pna/pbas/p_fare": "yes",
}
"""One household, as it was first told: days hungry, a place to sleep, the fare."""
EDITS_APART: Sequence[Mapping[str, str]] = (
    {"/pna/pbas/p_hungry": "4", "/pna/pbas/p_sleep": "no"},
    {"/pna/pbas/p_fare": "no", "/pna/pbas/p_sleep": "dont_know"},
)
"""What two tablets make of it that do not know of each other."""
GIVEN_SHARE = 0.8
GIVEN: Mapping[str, Mapping[str, str]] = {
    "flow_monitoring_registry": {"/slot/post_status": "open", "/slot/any_crossed": "yes"},
    "flow_monitoring_survey": {"/cons/consent": "yes"},
    HOUSEHOLD_ID: {"/pcons/p_consent": "yes"},
}
"""Answers that open the longer part of a form."""
CLOCK_ERRORS = (timedelta(0), timedelta(hours=-5), timedelta(minutes=7), timedelta(days=2))
CALM_SHARE = 0.4


@dataclass(frozen=True)
class Scale:
    """How much of everything. tablets: at least two. edits: per tablet, at most as many as it has records.

    records: new ones per tablet by form ID.
    """

    tablets: int = 6
    records: Mapping[str, int] = field(
        default_factory=lambda: {
            "flow_monitoring_registry": 20,
            "flow_monitoring_survey": 5,
            HOUSEHOLD_ID: 8,
            SHELTER_ID: 6,
        }
    )
    edits: int = 3


def compile_sheets() -> dict[str, CompiledForm]:
    """Return the forms that the tablets fill, by form ID: bundled ones and the demonstration's own."""
    sheets = [*(path for path in sorted(BUNDLED.glob("*.xlsx")) if path.stem in Scale().records), SHELTER]
    compiled = [compile_form(path.read_bytes(), path.name) for path in sheets]
    return {one.schema.form_id: one for one in compiled}


def play_tablets(
    posts: Sequence[Post],
    ledger: Ledger,
    forms: Mapping[str, CompiledForm],
    seed: int,
    scale: Scale,
    narrator: Narrator,
) -> None:
    """Enrol the tablets at the posts and let them work, each in a thread; what they know is in the ledger."""
    tablets = [_enrol(posts[number % len(posts)], ledger, number, seed) for number in range(scale.tablets)]
    fresh = sum(scale.records.values()) * scale.tablets
    finished, acknowledged = ledger.count_finished, ledger.count_acknowledged
    with ThreadPoolExecutor(scale.tablets) as pool:
        try:
            published = {form_id: _digests(compiled) for form_id, compiled in forms.items()}
            work = [pool.submit(tablet.fetch_forms, published) for tablet in tablets]
            narrator.watch("tablets that have their forms", len(work), _count_done(work), work)
            work = [pool.submit(_fill_all, tablet, scale) for tablet in tablets]
            narrator.watch("records filled offline", fresh, finished, work)
            work = [pool.submit(_send_all, tablet) for tablet in tablets]
            narrator.watch("acknowledged over a bad link", fresh, acknowledged, work)
            work = [pool.submit(_edit_some, tablet, scale.edits) for tablet in tablets]
            narrator.watch(
                "acknowledged with edits", fresh + (scale.edits + 2) * len(work), acknowledged, work
            )
            work = [pool.submit(one.send, revision) for one, revision in _contradict(tablets)]
            narrator.watch("acknowledged with contradictions", finished(), acknowledged, work)
            work = [pool.submit(tablet.check_forms) for tablet in tablets]
            narrator.watch("tablets that checked for new forms", len(work), _count_done(work), work)
        finally:
            for tablet in tablets:
                tablet.close()


def _enrol(post: Post, ledger: Ledger, number: int, seed: int) -> Tablet:
    name = f"Tablet {number + 1}"
    chance = random.Random(f"{seed}/{number}")  # noqa: S311
    clock_error = CLOCK_ERRORS[number % len(CLOCK_ERRORS)]
    return Tablet(name, post.name, post.desk.enrol(name), ledger, chance, clock_error)


def _digests(compiled: CompiledForm) -> dict[str, str]:
    """SHA-256 of each file of a blank form; "" names the XForm."""
    files = {"": compiled.xform}
    files |= {name: (BUNDLED / "media" / name).read_bytes() for name in compiled.schema.media}
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _fill_all(tablet: Tablet, scale: Scale) -> None:
    for form_id, count in scale.records.items():
        for _ in range(count):
            given = GIVEN.get(form_id, {}) if tablet.chance.random() < GIVEN_SHARE else {}
            tablet.filled.append(tablet.fill(form_id, given))


def _send_all(tablet: Tablet) -> None:
    """Send what was filled, in its order; every mishap strikes somewhere when there are records enough."""
    calm = [Mishap.NOTHING] * int(len(tablet.filled) * CALM_SHARE)
    rough = [one for one in Mishap if one is not Mishap.NOTHING]
    deck = (calm + rough * len(tablet.filled))[: len(tablet.filled)]
    for one, mishap in zip(tablet.filled, tablet.chance.sample(deck, len(deck)), strict=True):
        tablet.send(one, mishap)


def _edit_some(tablet: Tablet, count: int) -> None:
    """Edit records sent; one more edit arrives before its parent."""
    for one in tablet.chance.sample(tablet.filled, count):
        tablet.send(tablet.edit(one), tablet.chance.choice(list(Mishap)))
    late = tablet.fill(SHELTER_ID, {})
    tablet.send(tablet.edit(late))
    tablet.send(late)


def _contradict(tablets: Sequence[Tablet]) -> list[tuple[Tablet, Finished]]:
    """Finish what contradicts: two edits of one household on two tablets, and one shelter told twice."""
    first, second = tablets[:2]
    household, shelter = first.fill(HOUSEHOLD_ID, HOUSEHOLD), second.fill(SHELTER_ID, {"/people": "4"})
    first.send(household)
    second.send(shelter)
    edits = [(one, one.edit(household, given)) for one, given in zip(tablets, EDITS_APART, strict=False)]
    return [*edits, (second, second.retell(shelter, {"/people": "7"}))]


def _count_done(work: Sequence[Future[None]]) -> Callable[[], int]:
    return lambda: sum(one.done() for one in work)

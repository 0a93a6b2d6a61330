"""Whatever happens to tablets, posts and a centre, what `merge_world` says of it holds; and long runs (`make soak`)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from tests.merge_world import Schedule, draw_schedule, play, shortest
from tests.test_merge_laws import SOAK, seeds_of, soak

VECTORS = Path(__file__).parent / "vectors" / "schedules"
RUNS = 100
DEEDS = 30
PARTS = 4


def hold(seeds: Iterable[int], deeds: int) -> None:
    """Play the schedules of these seeds; fail with the shortest part of one that breaks."""
    for seed in seeds:
        schedule = draw_schedule(random.Random(seed), deeds)
        if fault := fault_of(schedule):
            least = shortest(schedule, lambda part: type(fault_of(part)) is type(fault))  # noqa: B023
            fault = fault_of(least) or fault
            fault.add_note(f"seed {seed}, {deeds} deeds: {orjson.dumps(least).decode()}")
            raise fault


def fault_of(schedule: Schedule) -> Exception | None:
    """What can be said against how a schedule went."""
    try:
        play(schedule)
    except Exception as fault:  # noqa: BLE001  (whatever it is)
        return fault
    return None


def test_whatever_happens_nodes_in_step_show_the_union():
    hold(range(RUNS), DEEDS)


def test_renaming_origins_changes_nothing():
    """What nodes are called, and so their epochs and hashes, is in no record: also when they sort otherwise."""
    for seed in range(RUNS // 3):
        schedule = draw_schedule(random.Random(seed), DEEDS)
        assert play(schedule, ("z", "post-1", "a")) == play(schedule)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_a_kept_schedule_ends_in_the_union(path):
    play(orjson.loads(path.read_bytes())["schedule"])


@pytest.mark.parametrize("part", [pytest.param(part, marks=soak) for part in range(PARTS)])
def test_ten_thousand_schedules_end_in_the_union(part):
    hold(seeds_of(SOAK // PARTS), DEEDS + 10)


@pytest.mark.parametrize("part", [pytest.param(part, marks=soak) for part in range(PARTS)])
def test_renaming_origins_changes_nothing_in_ten_thousand_schedules(part):
    for seed in seeds_of(SOAK // PARTS):
        schedule = draw_schedule(random.Random(seed), DEEDS)
        assert play(schedule, ("z", "post-1", "a")) == play(schedule), seed

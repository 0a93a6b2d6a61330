"""`kill -9` at any instant: what was acknowledged is there once, byte for byte, and the next start is a quick one."""

from __future__ import annotations

import os
import random
import time

import httpx2
import pytest
from child import launched, prepare, started
from conftest import wait_for
from load import Load, check_all_there

from server.settings import Settings

SOAK_ROUNDS = {"sqlite": 200, "postgresql": 50}
STARTS_CUT_OFF = 0.2
"""How many of the rounds of a soak also kill a server that has not yet said where it listens."""


def kill_rounds(settings: Settings, rounds: int, starts_cut_off: float = 0) -> None:
    load, chance = Load(prepare(settings)), random.Random(rounds)
    ready_s = []
    for _ in range(rounds):
        if chance.random() < starts_cut_off:
            kill_while_it_starts(settings, chance.uniform(0, 1.5))
        ready_s.append(kill_once(settings, load, chance.uniform(0, 1)))
        # Figures, not checks.
        print(f"round {len(ready_s)}: {len(load.acknowledged)} acknowledged, started in {ready_s[-1]:.2f} s")  # noqa: T201
    assert not load.refused
    assert list((settings.data / "tmp").iterdir()) == []
    check_all_there(settings, load.acknowledged)


def kill_once(settings: Settings, load: Load, after_s: float) -> float:
    """Start a server, and kill it so long after the first new acknowledgement; return how long the start took."""
    began, known = time.monotonic(), len(load.acknowledged)
    with started(settings) as child:
        httpx2.get(f"{child.url}/healthz", timeout=300)
        ready_s = time.monotonic() - began
        with load.running(child):
            wait_for(lambda: len(load.acknowledged) > known, timeout_s=300)
            time.sleep(after_s)
            child.kill()
    return ready_s


def kill_while_it_starts(settings: Settings, after_s: float) -> None:
    with launched(settings) as process:
        time.sleep(after_s)
        process.kill()


def test_kill_9_under_load_loses_nothing_that_was_acknowledged(settings):
    kill_rounds(settings, 1 if settings.database_url else 2)


@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
def test_many_kills_under_load_lose_nothing_that_was_acknowledged(settings):
    rounds = SOAK_ROUNDS["postgresql" if settings.database_url else "sqlite"]
    kill_rounds(settings, rounds, STARTS_CUT_OFF)

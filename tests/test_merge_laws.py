"""The laws of merging over drawn histories, the histories that once broke them, and long runs (`make soak`)."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from tests.merge_cases import SHIPPED, Case, merge, of_vector, outcome
from tests.merge_draws import draw_case, smallest
from tests.merge_laws import EXAMPLES, LAWS, Law

VECTORS = Path(__file__).parent / "vectors"
SOAK = int(os.environ.get("CHAPAR_SOAK_SCHEDULES", "10000"))
soak = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it"),
]
EVERY_LAW = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


def seeds_of(count: int) -> range:
    """So many seeds that were most likely never tried; a failure names its own."""
    first = random.SystemRandom().getrandbits(48)
    return range(first, first + count)


def hold(laws: Iterable[Law], name: str, seeds: Iterable[int], most: int = 7) -> None:
    """Try laws with the histories of one form that these seeds draw; fail with the smallest part of one that breaks."""
    for seed in seeds:
        case = draw_case(random.Random(seed), name, most)
        for law in laws:
            if fault := fault_of(law, case, seed):
                least = smallest(case, lambda part: type(fault_of(law, part, seed)) is type(fault))  # noqa: B023
                fault = fault_of(law, least, seed) or fault
                fault.add_note(f"{law.__name__}, seed {seed} of {name}: {least!r}")
                raise fault


def fault_of(law: Law, case: Case, seed: int) -> Exception | None:
    """What a law says against a case."""
    try:
        law(case, random.Random(seed))
    except Exception as fault:  # noqa: BLE001  (whatever it is)
        return fault
    return None


@EVERY_LAW
def test_law_holds(law):
    hold([law], "laws", range(EXAMPLES))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_law_holds_for_the_shipped_forms(name):
    hold(LAWS, name, range(EXAMPLES // 60))


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_a_kept_history_comes_out_as_it_should(path):
    told = orjson.loads(path.read_bytes())
    case = of_vector(told)
    assert outcome(merge(case.form, case.facts)) == told["outcome"]
    for law in LAWS:
        law(case, random.Random(0))


@pytest.mark.parametrize("name", ["laws", *SHIPPED])
@pytest.mark.parametrize("law", [pytest.param(law, id=law.__name__, marks=soak) for law in LAWS])
def test_law_holds_in_ten_thousand_schedules(law, name):
    hold([law], name, seeds_of(SOAK if name == "laws" else SOAK // 5), most=9)

"""The laws of merging over drawn histories, the histories that once broke them, and long runs (`make soak`)."""

from __future__ import annotations

import os
import random
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.merge_cases import SHIPPED, cases, form, merge, of_vector, outcome
from tests.merge_laws import EXAMPLES, LAWS, Law

VECTORS = Path(__file__).parent / "vectors"
SOAK = int(os.environ.get("CHAPAR_SOAK_SCHEDULES", "10000"))
soak = [
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it"),
]
EVERY_LAW = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


def hold(law: Law, name: str, examples: int) -> int:
    """Try a law with so many drawn histories of one form; return how many were tried."""
    tried = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(cases(name), st.integers(0, 2**32))
    def holds(case, seed):
        nonlocal tried
        tried += 1
        law(case, random.Random(seed))

    form(name)
    holds()
    return tried


@EVERY_LAW
def test_law_holds(law):
    hold(law, "laws", EXAMPLES)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_law_holds_for_the_shipped_forms(name):
    def all_of_them(case, chance):
        for law in LAWS:
            law(case, chance)

    hold(all_of_them, name, EXAMPLES // 10)


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
    tried = hold(law, name, SOAK if name == "laws" else SOAK // 10)
    print(f"{tried} histories of {name}")  # noqa: T201  (a figure of the soak)

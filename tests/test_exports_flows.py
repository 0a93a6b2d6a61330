"""The public table of flows, and the rule that hides small counts in it: no hidden count can be worked out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from exporting import TEXTS, publish_sheet, store, xml
from hypothesis import given, settings
from hypothesis import strategies as st

from server import setup
from server.exports.flows import COLUMNS, public_flows
from server.exports.options import Options, View
from server.exports.suppression import FEWEST, suppress
from server.node import Node, open_node
from server.problems import Problem
from server.publishing import publish
from server.settings import Settings

FORM = (
    """
| survey |
| | type | name | label |
| | select_one_from_file crossings.csv | crossing_id | Crossing |
| | date | shift_date | Day |
| | select_one dir | direction | Direction |
"""
    + "".join(
        f"| | integer | n_{sex}_{age} | N |\n" for sex in "fm" for age in ("0_4", "5_17", "18_59", "60p")
    )
    + """
| choices |
| | list_name | name | label |
| | dir | leaving_iran | Leaving |
| | dir | entering_iran | Entering |
| settings |
| | form_id | version |
| | flows | 1 |
"""
)
FORM = FORM.replace("\n\n", "\n")
CROSSINGS = b"name,label,country,province_pcode,type,lat,lon\nAFDOG,Dogharoun,AFG,IR024,road,34.66,60.96\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


def slot(number: int, direction: str, women: int, men: int, day: str = "2026-11-20") -> bytes:
    return xml(
        "flows",
        number,
        f"<crossing_id>AFDOG</crossing_id><shift_date>{day}</shift_date><direction>{direction}</direction>"
        f"<n_f_0_4/><n_f_18_59>{women}</n_f_18_59><n_m_18_59>{men}</n_m_18_59>",
    )


def test_flows_are_counted_by_day_crossing_and_direction_and_small_counts_are_blank(node: Node) -> None:
    publish(node, 1, FORM.encode(), "flows.md", {"crossings.csv": CROSSINGS})
    store(
        node,
        slot(1, "leaving_iran", 20, 30),
        slot(2, "leaving_iran", 5, 6),
        slot(3, "entering_iran", 3, 40),
        slot(4, "entering_iran", 1, 1, day="2026-11-21"),
        xml("flows", 5, "<crossing_id>AFDOG</crossing_id><shift_date>2026-11-22</shift_date>"),
    )
    content = public_flows(node, 1, "flows", Options(view=View.CLEAN))
    tags, *rows = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert list(tags) == list(COLUMNS)
    assert len(COLUMNS) == 21
    assert tags["from_country"] == "#country+code+origin"
    told = [
        (row["reporting_date"], row["from_country"], row["to_country"], row["n"], row["n_f"], row["n_m"])
        for row in rows
    ]
    assert told == [
        ("2026-11-20", "AFG", "IRN", "43", "", ""),
        ("2026-11-20", "IRN", "AFG", "61", "25", "36"),
        ("2026-11-21", "AFG", "IRN", "", "", ""),
    ]
    assert (rows[0]["fmp_name"], rows[0]["adm1_code"], rows[0]["round_number"]) == (
        "Dogharoun",
        "IR024",
        "47",
    )
    assert public_flows(node, 1, "flows", Options(view=View.CLEAN)) == content


def test_a_form_that_counts_no_flows_is_refused(node: Node) -> None:
    publish_sheet(node, TEXTS)
    with pytest.raises(Problem, match="counts no flows"):
        public_flows(node, 1, "texts", Options())


PAIR = st.tuples(st.integers(1, 14), st.integers(1, 14))
TABLES = st.lists(PAIR, min_size=2, max_size=2)


@given(st.lists(st.integers(0, 14), min_size=2, max_size=4))
def test_no_part_of_a_sum_is_hidden_alone(parts: list[int]) -> None:
    shown, _ = suppress([parts])
    hidden = [count for count, seen in zip([*parts, sum(parts)], shown, strict=True) if seen is None]
    assert len(hidden) != 1
    assert not hidden or sum(hidden) >= FEWEST or shown.count(None) == len(shown)
    assert all(seen is None or not 0 < seen < FEWEST for seen in shown)


@given(TABLES)
@settings(max_examples=40, deadline=None)
def test_no_hidden_count_can_be_worked_out(counts: list[tuple[int, int]]) -> None:
    shown = suppress(counts)
    whole = [[*row, sum(row)] for row in counts]
    whole.append([sum(column) for column in zip(*whole, strict=True)])
    for i, row in enumerate(shown):
        for j, count in enumerate(row):
            assert count in (None, whole[i][j])
            assert count is None or not 0 < count < FEWEST
    possible = list(_tables_like(shown, whole))
    assert whole in possible
    for i, row in enumerate(shown):
        for j, count in enumerate(row):
            if count is None:
                assert len({table[i][j] for table in possible}) > 1


def _tables_like(shown: list[list[int | None]], whole: list[list[int]]) -> Iterator[list[list[int]]]:
    """Tables with their totals, not far from the whole one, that show the same where something is shown."""
    inner = [(i, j) for i in range(len(shown) - 1) for j in range(len(shown[0]) - 1) if shown[i][j] is None]
    for guess in product(*(range(max(0, whole[i][j] - 2), whole[i][j] + 3) for i, j in inner)):
        table = [[count or 0 for count in row[:-1]] for row in shown[:-1]]
        for (i, j), count in zip(inner, guess, strict=True):
            table[i][j] = count
        full = [[*row, sum(row)] for row in table]
        full.append([sum(column) for column in zip(*full, strict=True)])
        if all(
            seen is None or seen == count
            for seen_row, row in zip(shown, full, strict=True)
            for seen, count in zip(seen_row, row, strict=True)
        ):
            yield full

"""The law of versions: over ten of them no answer disappears, and each question keeps its column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from editions import put, send, tables
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from server import setup
from server.node import Node, open_node
from server.problems import Problem
from server.settings import Settings


@dataclass(frozen=True)
class Question:
    """uid: what it is, whatever it is called. place: "", "g" or "r" (the repeat)."""

    uid: int
    name: str
    type: str
    place: str


@dataclass
class Chain:
    """A form in the making. renames: paths, from the version before. born: how many questions there ever were."""

    questions: list[Question] = field(default_factory=list)
    renames: dict[str, str] = field(default_factory=dict)
    born: int = 0

    def rows(self) -> list[str]:
        rows = ["text | anchor | Anchor"]
        for place, begin in (("", ""), ("g", "group"), ("r", "repeat")):
            inside = [
                f"{one.type} | {one.name} | Label {one.uid}" for one in self.questions if one.place == place
            ]
            rows += (
                [f"begin_{begin} | {place} | X", *inside, f"end_{begin} | |"] if begin and inside else inside
            )
        return rows

    def content(self, version: int) -> str:
        parts = {"": "", "g": "", "r": ""}
        for one in self.questions:
            parts[one.place] += f"<{one.name}>{answer(one.uid, version)}</{one.name}>"
        return parts[""] + "".join(
            f"<{place}>{parts[place]}</{place}>" for place in ("g", "r") if parts[place]
        )


def answer(uid: int, version: int) -> str:
    return f"{1000 + uid}{1000 + version}"


TYPES = ["text", "integer", "decimal", "select_one l", "select_multiple l", "barcode"]
NAMES = [f"n{number}" for number in range(6)]


def path(one: Question) -> str:
    return f"/{one.place}/{one.name}" if one.place else f"/{one.name}"


@st.composite
def step(draw: st.DrawFn) -> tuple[str, int, str, str, str]:
    kind = draw(st.sampled_from(["add", "add", "remove", "rename", "rename", "move", "retype"]))
    return (
        kind,
        draw(st.integers(0, 9)),
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(TYPES)),
        draw(st.sampled_from(["", "g", "r"])),
    )


def evolved(chain: Chain, steps: list[tuple[str, int, str, str, str]]) -> Chain:
    """The next version: names stay unique, a question changes at most once a version."""
    before = {one.name for one in chain.questions}
    questions, renames, born, touched = list(chain.questions), {}, chain.born, set()
    for kind, place_of, name, type_, place in steps:
        taken = before | {one.name for one in questions}
        if kind == "add" and name not in taken:
            questions.append(Question(born, name, type_, place))
            touched.add(born)
            born += 1
        elif questions and kind != "add":
            one = questions[place_of % len(questions)]
            if one.uid in touched:
                continue
            touched.add(one.uid)
            at = questions.index(one)
            if kind == "remove":
                del questions[at]
            elif kind == "rename" and name not in taken:
                questions[at] = replace(one, name=name)
                renames[path(one)] = path(questions[at])
            elif kind == "move":
                questions[at] = replace(one, place=place)
            elif kind == "retype":
                questions[at] = replace(one, type=type_)
    return Chain(questions, renames, born)


FINDING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking a chain would take minutes: each example is a store of its own."""


@settings(max_examples=10, deadline=None, phases=FINDING, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(step(), min_size=1, max_size=3), min_size=10, max_size=10))
def test_no_answer_of_ten_versions_disappears_and_each_question_keeps_its_column(
    versions: list[list[tuple[str, int, str, str, str]]],
) -> None:
    chain, asked = Chain(), []
    with TemporaryDirectory() as folder:
        node = open_node(Settings(data=Path(folder)))
        setup.ensure_project(node)
        for version, steps in enumerate(versions, 1):
            chain = evolved(chain, steps)
            publish_whatever_it_breaks(node, version, chain)
            send(node, version, version, chain.content(version))
            asked += [(one.uid, version, one.place == "r") for one in chain.questions]
        columns = {
            value: (table, column)
            for table, read in tables(node).items()
            for column in read
            for value in read[column]
            if value
        }
        node.close()
    homes = {(uid, version): columns[answer(uid, version)] for uid, version, _ in asked}
    for uid, version, in_repeat in asked:
        later = [homes[uid, other] for one, other, rows in asked if one == uid and rows == in_repeat]
        crossed = len({rows for one, _, rows in asked if one == uid}) == 2
        assert crossed or later == [homes[uid, version]] * len(later)


def publish_whatever_it_breaks(node: Node, version: int, chain: Chain) -> None:
    renames = tuple(f"{old}={new}" for old, new in chain.renames.items())
    try:
        put(node, version, *chain.rows(), rename=renames)
    except Problem as problem:
        keys = tuple(
            change["accept"] for change in problem.extra["changes"] if change["effect"] == "breaking"
        )
        put(node, version, *chain.rows(), rename=renames, accept=keys)

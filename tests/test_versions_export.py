"""Versions in the store: what is refused and accepted, and exports that keep every answer in one column."""

from __future__ import annotations

import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import commands
import orjson
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forms.compile import compile_form
from server import intake, projection, receiving, setup
from server.app import Application
from server.auth import hash_password
from server.evolution import Consent, compare_versions, read_stored
from server.exports.archive import download_zip
from server.exports.options import CENTRAL
from server.node import Node, open_node
from server.permissions import Role
from server.problems import Problem
from server.publishing import Publication, publish, set_media
from server.receiving import Sender
from server.settings import Settings
from server.store import accounts
from server.store.engine import reading, writing

HEAD = "| survey |\n| | type | name | label | constraint | required | relevant | chapar::flags |\n"
CHOICES = "| choices |\n| | list_name | name | label |\n| | l | a | A |\n| | l | b | B |\n"
END = "| settings |\n| | form_id | version |\n| | f | {} |\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


def sheet(version: int, *rows: str) -> bytes:
    body = "".join(f"| | {row} |\n" for row in rows)
    return (HEAD + body + CHOICES + END.format(version)).encode()


def put(
    node: Node, version: int, *rows: str, accept: tuple[str, ...] = (), rename: tuple[str, ...] = ()
) -> Publication:
    """Publish through an XForm where no flag is needed: compiling in a process of its own costs half a second."""
    consent = Consent(frozenset(accept), rename)
    if any(row.count("|") > 2 for row in rows):
        return publish(node, 1, sheet(version, *rows), "f.md", {}, consent)
    return publish(node, 1, compile_form(sheet(version, *rows), "f.md").xform, "f.xml", {}, consent)


def send(node: Node, number: int, version: int | str, content: str, device: str = "collect:x") -> None:
    meta = f"<meta><instanceID>uuid:{number}</instanceID></meta>"
    xml = f'<data id="f" version="{version}">{content}{meta}</data>'.encode()
    sender = Sender(7, "Tablet 7", device, "test")
    arrival = receiving.examine(1, xml, [], sender, node.known_forms.ask)
    assert intake.record(node.engine, [arrival]) == [intake.Outcome.STORED]
    node.catch_up()


def tables(node: Node, *, personal: bool = True) -> dict[str, pd.DataFrame]:
    chunks = download_zip(node, 1, "f", replace(CENTRAL, personal=personal), media=False).chunks
    assert chunks is not None
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as opened:
        return {
            name.removesuffix(".csv"): pd.read_csv(opened.open(name), dtype=str, keep_default_na=False)
            for name in opened.namelist()
        }


def refused(node: Node, version: int, *rows: str) -> dict[str, dict]:
    """The changes of a version that is refused, by what accepts them."""
    with pytest.raises(Problem) as caught:
        put(node, version, *rows)
    assert caught.value.code == 409.31
    return {change["accept"]: change for change in caught.value.extra["changes"]}


def test_a_rename_that_is_told_gives_one_column_with_the_newest_name(node: Node) -> None:
    put(node, 1, "text | head | Head", "text | note_1 | N")
    send(node, 1, 1, "<head>first</head>")
    put(node, 2, "text | leader | Head", "text | note_1 | N", rename=("head=leader",))
    send(node, 2, 2, "<leader>second</leader>")
    put(
        node,
        3,
        "begin_group | g | G",
        "text | chief | Head",
        "end_group | |",
        "text | note_1 | N",
        rename=("leader=chief",),
    )
    send(node, 3, 3, "<g><chief>third</chief></g>")
    read = tables(node)["f"]
    assert list(read)[1:3] == ["g-chief", "note_1"]
    assert read["g-chief"].tolist() == ["first", "second", "third"]


def test_an_untold_rename_is_refused_with_its_records_and_accepted_by_name(node: Node) -> None:
    put(node, 1, "text | head | Head")
    send(node, 1, 1, "<head>x</head>")
    send(node, 2, 1, "<head/>")
    changes = refused(node, 2, "text | leader | Head")
    assert changes["looks-renamed:/head"]["records"] == 1
    done = put(node, 2, "text | leader | Head", accept=("looks-renamed:/head",))
    assert [change.rule for change in done.changes] == ["looks-renamed"]
    assert {"leader", "head"} <= set(tables(node)["f"])


def test_publishing_a_breaking_version_again_changes_and_asks_nothing(node: Node) -> None:
    put(node, 1, "text | head | Head")
    put(node, 2, "integer | head | Head", accept=("type-changed:/head",))
    put(node, 3, "text | head | Head")
    again = put(node, 2, "integer | head | Head")
    assert (again.is_new, again.changes) == (False, ())


def test_renames_are_in_the_journal_and_survive_a_rebuild(node: Node) -> None:
    put(node, 1, "text | head | Head")
    send(node, 1, 1, "<head>first</head>")
    put(node, 2, "text | leader | Head", rename=("head=leader",))
    before = tables(node)
    projection.rebuild(node.engine, node.schemas)
    assert tables(node)["f"].equals(before["f"])
    assert tables(node)["f"]["leader"].tolist() == ["first"]


def test_an_entry_from_before_there_were_renames_is_read_as_without(node: Node) -> None:
    put(node, 1, "text | head | Head")
    with writing(node.engine) as connection:
        detail = connection.exec_driver_sql("SELECT detail FROM journal WHERE kind = 'form'").scalar_one()
        old = {
            name: text for name, text in orjson.loads(detail).items() if name not in {"renames", "accepted"}
        }
        connection.exec_driver_sql("UPDATE journal SET detail = ? WHERE kind = 'form'", (orjson.dumps(old),))
    projection.rebuild(node.engine, node.schemas)
    assert put(node, 2, "text | leader | Head", rename=("head=leader",)).is_new
    assert list(tables(node)["f"])[1] == "leader"


def test_a_removed_question_and_a_removed_choice_stay_in_the_export(node: Node) -> None:
    put(node, 1, "text | gone | G", "select_one l | pick | P")
    send(node, 1, 1, "<gone>kept</gone><pick>c</pick>")
    put(node, 2, "select_one l | pick | P")
    read = tables(node)["f"]
    assert (read["gone"].tolist(), read["pick"].tolist()) == (["kept"], ["c"])


def test_a_renamed_repeat_is_one_table_and_rows_keep_their_keys(node: Node) -> None:
    put(node, 1, "begin_repeat | child | C", "text | name | N", "end_repeat | |")
    send(node, 1, 1, "<child><name>a</name></child><child><name>b</name></child>")
    rows = ("begin_repeat | kid | C", "text | called | N", "end_repeat | |")
    put(node, 2, *rows, rename=("child=kid", "/child/name=/kid/called"))
    send(node, 2, 2, "<kid><called>c</called></kid>")
    found = tables(node)
    assert list(found) == ["f", "f-kid"]
    assert found["f-kid"]["called"].tolist() == ["a", "b", "c"]
    assert found["f-kid"]["KEY"].tolist() == ["uuid:1/child[1]", "uuid:1/child[2]", "uuid:2/kid[1]"]


def test_a_name_taken_over_by_another_question_makes_two_columns(node: Node) -> None:
    put(node, 1, "text | a | Old", "text | b | Other")
    send(node, 1, 1, "<a>1a</a><b>1b</b>")
    put(node, 2, "text | b | Other")
    put(node, 3, "text | a | Other", rename=("b=a",))
    send(node, 2, 3, "<a>3b</a>")
    read = tables(node)["f"]
    assert (read["a"].tolist(), read["a~2"].tolist()) == (["1b", "3b"], ["1a", ""])


def test_a_version_never_published_here_is_read_by_path_and_shows_no_withheld_answer(node: Node) -> None:
    put(node, 1, "text | a | A | | | | P", "text | b | B")
    put(node, 2, "text | c | A | | | | P", "text | b | B", rename=("a=c",))
    put(node, 3, "text | c | A | | | | P", "text | b | B", "text | a | New | | | | H")
    send(node, 1, "unknown", "<a>secret</a><b>open</b>")
    assert "secret" not in tables(node, personal=False)["f"].to_csv()
    everything = tables(node)["f"]
    assert (everything["b"].tolist(), everything["a"].tolist()) == (["open"], ["secret"])


def test_lists_attached_to_the_form_are_read_and_a_file_that_is_gone_stops_nothing(node: Node) -> None:
    listed = "select_one_from_file places.csv | pick | P"
    put(node, 1, "text | a | A", listed, "text | b | B")
    send(node, 1, 1, "<a>x</a><pick>one</pick>")
    set_media(node, 1, "f", "places.csv", b"name,label\none,One\n")
    known = "count(instance('places')/root/item[name = /data/pick]) = 1"
    rows = (f"text | a | A | {known}", listed, "date | b | B")
    assert refused(node, 2, *rows)["constraint-changed:/a"]["records"] == 0
    for path in (node.settings.data / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"name,label"):
            path.unlink()
    assert refused(node, 2, *rows)["constraint-changed:/a"]["records"] == 1


def test_a_renamed_personal_question_stays_out_of_shared_exports(node: Node) -> None:
    put(node, 1, "text | head | Head | | | | P", "text | b | B")
    changed = ("text | leader | Head | | | | H", "text | b | B")
    put(node, 2, *changed, rename=("head=leader",), accept=("protection-removed:/head",))
    send(node, 1, 1, "<head>Ann</head>")
    assert {"head", "leader"}.isdisjoint(tables(node, personal=False)["f"])


def test_records_that_break_what_is_new_are_counted(node: Node) -> None:
    put(node, 1, "integer | size | Size", "text | why | Why", "select_one l | pick | P")
    for number, size in enumerate((3, 30, 300), 1):
        send(node, number, 1, f"<size>{size}</size><why>w</why><pick>a</pick>", device=f"d{number % 2}")
    send(node, 4, 1, "<why></why>", device="d1")
    rows = ("begin_group | g | G", "integer | size | Size | . < 100", "end_group | |")
    changes = refused(
        node, 2, *rows, "date | why | Why | | yes | ${size} > 10", "select_one l | pick | P | | yes"
    )
    assert changes["constraint-changed:/size"]["records"] == 1
    assert changes["type-changed:/why"]["records"] == 3
    assert changes["relevant-changed:/why"]["records"] == 1
    assert changes["required-added:/pick"]["records"] == 1


def test_a_sheet_that_kept_its_version_is_compared_with_what_is_stored(node: Node) -> None:
    put(node, 1, "text | head | Head")
    send(node, 1, 1, "<head>x</head>")
    changed = compile_form(sheet(1, "text | leader | Head"), "f.md")
    with reading(node.engine) as connection:
        old = read_stored(connection, 1, "f", "1").schema
        found = compare_versions(connection, node, 1, old, changed)
    assert found.records == {"looks-renamed:/head": 1}


def test_devices_on_the_older_version_are_counted(node: Node) -> None:
    put(node, 1, "text | a | A")
    for number in (1, 2, 3):
        send(node, number, 1, "<a>x</a>", device=f"d{number}")
    put(node, 2, "text | a | A", "text | b | B")
    send(node, 4, 2, "<a>x</a>", device="d1")
    with pytest.raises(Problem) as caught:
        put(node, 3, "date | a | A", "text | b | B")
    assert caught.value.extra["devices"] == 3
    assert caught.value.extra["effects"] == {"breaking": 1}


def test_of_two_designers_who_publish_at_once_one_is_told(node: Node) -> None:
    put(node, 1, "text | head | Head")
    outcomes: list[object] = []
    forms = [
        compile_form(sheet(version, "text | head | Head", f"text | q{version} | Q{version}"), "f.md").xform
        for version in (2, 3)
    ]
    ready = threading.Barrier(2)

    def run(xform: bytes) -> None:
        ready.wait()
        try:
            outcomes.append(publish(node, 1, xform, "f.xml", {}).is_new)
        except Problem as problem:
            outcomes.append(problem.code)

    threads = [threading.Thread(target=run, args=(one,)) for one in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(node.engine) as connection:
        stored = connection.exec_driver_sql("SELECT count(*) FROM journal WHERE kind = 'form'").scalar_one()
    assert set(outcomes) <= {True, 409.32}
    assert stored == 1 + outcomes.count(True)
    assert True in outcomes


PASSWORD = "only-for-this-test"


@pytest.fixture
def client(node: Node) -> Iterator[TestClient]:
    put(node, 1, "text | head | Head")
    send(node, 1, 1, "<head>x</head>")
    with writing(node.engine) as connection:
        for role in Role:
            accounts.add_user(connection, role, hash_password(PASSWORD), role, one_time=False)
    with TestClient(Application(node)) as client:
        client.auth = (Role.ADMINISTRATOR, PASSWORD)
        yield client


def test_the_api_refuses_lists_and_takes_renames(client: TestClient) -> None:
    xform = compile_form(sheet(2, "text | leader | Head"), "f.md").xform
    headers = {"Content-Type": "application/xml"}
    answer = client.post("/v1/projects/1/forms?publish=true", content=xform, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, 409.31)
    assert answer.json()["details"]["changes"][0]["accept"] == "looks-renamed:/head"
    done = client.post(
        "/v1/projects/1/forms?publish=true&rename=head%3Dleader", content=xform, headers=headers
    )
    assert [change["rule"] for change in done.json()["changes"]] == ["renamed"]
    diff = client.get("/v1/projects/1/forms/f/versions/1/diff/2").json()
    assert [(change["rule"], change["records"]) for change in diff["changes"]] == [("renamed", 1)]
    assert diff["devices"] == 1


def test_the_api_takes_changes_that_are_accepted(client: TestClient) -> None:
    xform = compile_form(sheet(2, "date | head | Head"), "f.md").xform
    url = "/v1/projects/1/forms?publish=true&accept=type-changed:/head"
    assert client.post(url, content=xform, headers={"Content-Type": "application/xml"}).status_code == 200


def test_a_diff_of_an_unknown_version_or_by_a_stranger_is_refused(client: TestClient) -> None:
    assert client.get("/v1/projects/1/forms/f/versions/1/diff/9").status_code == 404
    assert client.get("/v1/projects/1/forms/g/versions/1/diff/1").status_code == 404
    client.auth = (Role.COORDINATOR, PASSWORD)
    assert client.get("/v1/projects/1/forms/f/versions/1/diff/1").json()["changes"] == []
    client.auth = None
    assert client.get("/v1/projects/1/forms/f/versions/1/diff/1").status_code == 401


def test_the_commands_tell_the_difference_and_take_a_rename(tmp_path: Path) -> None:
    def chapar(*words: str) -> subprocess.CompletedProcess[str]:
        return commands.run("forms", *words, "--data", str(tmp_path / "d"))

    old, new = tmp_path / "old.xml", tmp_path / "new.xml"
    old.write_bytes(compile_form(sheet(1, "text | head | Head"), "f.md").xform)
    new.write_bytes(compile_form(sheet(2, "text | leader | Head"), "f.md").xform)
    assert chapar("publish", str(old)).returncode == 0
    told = chapar("publish", str(new))
    assert told.returncode == 1
    assert "breaking  looks-renamed:/head  [0 records]" in told.stdout
    assert "--rename /head=/leader" in told.stdout
    assert "Traceback" not in told.stderr
    assert chapar("publish", str(new), "--rename", "head=leader").returncode == 0
    found = orjson.loads(chapar("diff", "f@1", str(new), "--json").stdout)
    assert [change["rule"] for change in found["changes"]] == ["renamed"]


# Generated chains


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

"""Versions in the store: what is refused and accepted, and exports that keep every answer in one column."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from editions import put, refused, send, sheet, tables

from forms.compile import compile_form
from server import projection, setup
from server.node import Node, open_node
from server.problems import Problem
from server.publishing import publish, set_media
from server.settings import Settings
from server.store.engine import reading, writing


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


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

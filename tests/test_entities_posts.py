"""What a post is told of entities that were not collected there, and what its tablets then see."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from server import intake, receiving
from server.entity_lists import for_tablets, get
from server.node import Node, open_node
from server.publishing import publish
from server.receiving import Sender
from server.relay.listing import list_for
from server.settings import Settings
from server.setup import ensure_project
from server.store import journal
from server.store.engine import reading, writing
from server.store.posts import Post
from server.store.tables import journal as entries
from server.store.tables import node as own
from server.sweeping import sweep
from sync.journal import Fact, Kind

CASES = """
| survey   |                                     |          |          |          |               |
|          | type                                | name     | label    | save_to  | chapar::flags |
|          | select_one_from_file cases.csv      | case     | Case     |          |               |
|          | text                                | crossing | Crossing | crossing |               |
|          | text                                | person   | Person   | person   | P             |
|          | text                                | status   | Status   | status   |               |
| entities |                                     |          |          |          |               |
|          | list_name | label                   | entity_id | create_if | update_if |
|          | cases     | ${status}               | coalesce(${case}, uuid()) | ${case} = '' | ${case} != '' |
| settings |                                     |          |          |          |               |
|          | form_title                          | form_id  | version  |          |               |
|          | Cases                               | cases    | 1        |          |               |
"""
MILAK, ZARANJ = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
POST = Post("milak", "post-1", b"", "", None, frozenset({"milak"}), "")
TABLET = Sender(7, "Tablet", "collect:x", "test")


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Node]:
    opened = open_node(Settings(data=tmp_path / "post"))
    with writing(opened.engine) as connection:
        connection.execute(update(own).values(origin="post-1"))
    ensure_project(opened)
    publish(opened, 1, CASES.encode(), "cases.md", {})
    yield opened
    opened.close()


@pytest.fixture
def centre(node: Node) -> Node:
    publish(node, 1, CASES.encode(), "cases.md", {})
    create(node, "a", MILAK, "milak", "open")
    create(node, "b", ZARANJ, "zaranj", "open")
    return node


def create(node: Node, instance: str, uuid: str, crossing: str, status: str) -> None:
    send(node, instance, uuid, 'create="1" baseVersion=""', crossing=crossing, person="Zahra", status=status)


def update_case(node: Node, instance: str, uuid: str, base: int, **answers: str) -> None:
    send(node, instance, uuid, f'update="1" baseVersion="{base}"', case=uuid, **answers)


def send(node: Node, instance: str, uuid: str, deed: str, **answers: str) -> None:
    given = "".join(f"<{name}>{text}</{name}>" for name, text in answers.items())
    label = f"<label>{answers['status']}</label>"
    entity = f'<entity dataset="cases" id="{uuid}" {deed}>{label}</entity>'
    meta = f"<meta><instanceID>{instance}</instanceID>{entity}</meta>"
    xml = f'<data id="cases" version="1">{given}{meta}</data>'.encode()
    intake.record(node.engine, [receiving.examine(1, xml, (), TABLET, lambda *_: True)])
    node.catch_up()


def carry(centre: Node, post: Node) -> None:
    """Bring what the post is told to it."""
    list_for(centre, POST)
    with reading(centre.engine) as connection:
        query = select(entries.c.detail, entries.c.stamp).where(entries.c.kind == Kind.LISTED)
        rows = connection.execute(query.order_by(entries.c.position.desc())).all()  # the newest first
    for detail, stamp in rows:
        if detail:
            with writing(post.engine) as connection:
                journal.append(connection, [Fact(Kind.LISTED, 1, None, detail)], iter([stamp]))
    post.catch_up()


def shown(node: Node) -> dict[str, dict[str, str]]:
    content = b"".join(for_tablets(node.engine, get(node, 1, "cases"))).decode()
    return {row["name"]: row for row in csv.DictReader(io.StringIO(content))}


def told(node: Node) -> list[dict[str, Any]]:
    with reading(node.engine) as connection:
        query = select(entries.c.detail).where(entries.c.kind == Kind.LISTED).order_by(entries.c.position)
        return [orjson.loads(detail) for detail in connection.execute(query).scalars() if detail]


def test_a_post_passes_on_to_those_below_it_what_it_was_told_and_what_it_made_of_it(centre, post):
    low = Post("low", "post-2", b"", "", None, frozenset({"milak"}), "")
    carry(centre, post)
    assert list_for(post, low) == 1
    assert list_for(post, low) == 0
    update_case(post, "c", MILAK, 1, crossing="milak", status="closed")
    assert list_for(post, low) == 1
    passed_on = [one for one in told(post) if one["post"] == "post-2"]
    assert [(one["uuid"], one["data"]["status"], one["version"]) for one in passed_on][-1] == (
        MILAK,
        "closed",
        2,
    )
    assert set(passed_on[-1]["seen"]) > {"post-1"}


def test_a_post_is_told_the_cases_of_its_crossing_without_what_is_flagged(centre, post):
    assert list_for(centre, POST) == 1
    (one,) = told(centre)
    assert (one["uuid"], one["data"]) == (MILAK, {"crossing": "milak", "status": "open"})
    carry(centre, post)
    assert {uuid: (row["status"], row["__version"]) for uuid, row in shown(post).items()} == {
        MILAK: ("open", "1")
    }


def test_a_post_is_told_again_only_what_changed_and_what_left_its_list(centre, post):
    list_for(centre, POST)
    assert list_for(centre, POST) == 0
    carry(centre, post)
    before = get(post, 1, "cases").md5
    update_case(centre, "c", MILAK, 1, status="closed")
    carry(centre, post)
    assert (shown(post)[MILAK]["status"], get(post, 1, "cases").md5 != before) == ("closed", True)
    update_case(centre, "d", MILAK, 2, crossing="zaranj", status="closed")
    carry(centre, post)
    assert shown(post) == {}


def test_what_was_told_before_is_kept_nowhere(centre):
    list_for(centre, POST)
    update_case(centre, "d", MILAK, 1, crossing="zaranj", status="moved")
    list_for(centre, POST)
    sweep(centre.engine, centre.blobs)
    assert [(one["is_listed"], one["data"]) for one in told(centre)] == [(False, {})]


def test_what_a_post_writes_stands_on_top_until_the_centre_has_it(centre, post):
    carry(centre, post)
    update_case(post, "p", MILAK, 1, status="met")
    assert (shown(post)[MILAK]["status"], shown(post)[MILAK]["__version"]) == ("met", "2")
    update_case(centre, "c", MILAK, 1, status="closed")
    carry(centre, post)
    assert shown(post)[MILAK]["status"] == "met"


def test_a_post_is_not_told_what_it_holds_itself(post):
    create(post, "own", MILAK, "milak", "open")
    assert (list_for(post, POST), list(shown(post))) == (0, [MILAK])

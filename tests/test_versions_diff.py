"""The difference of two versions: what it counts, over the API and by the commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import commands
import orjson
import pytest
from editions import put, refused, send, sheet
from fastapi.testclient import TestClient

from forms.compile import compile_form
from server import setup
from server.app import Application
from server.auth import hash_password
from server.evolution import compare_versions, read_stored
from server.node import Node, open_node
from server.permissions import Role
from server.problems import Problem
from server.settings import Settings
from server.store import accounts
from server.store.engine import reading, writing


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


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

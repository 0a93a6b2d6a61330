"""`chapar conflicts` beside the store that a server filled."""

from __future__ import annotations

import orjson
import pytest
from conftest import Live
from test_api_conflicts import two_edits
from typer.testing import CliRunner

from server.cli import app


@pytest.fixture
def chapar(live: Live, monkeypatch):
    monkeypatch.setenv("CHAPAR_DATA", str(live.node.settings.data))
    monkeypatch.setenv("CHAPAR_DATABASE_URL", live.node.settings.database_url)

    def run(*arguments: str, answer: str = "") -> str:
        done = CliRunner().invoke(app, ["conflicts", *arguments], input=answer)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_a_conflict_is_listed_shown_resolved_and_undone(live, chapar):
    two_edits(live)
    assert "/size  7 | 6" in chapar("list")
    assert "household /size" in chapar("list", "--counts")
    (one,) = orjson.loads(chapar("list", "--json"))["conflicts"]
    shown = chapar("show", one["id"])
    assert "[0] 7" in shown
    assert "tablet" in shown
    assert "decided:" in chapar("resolve", one["id"], "--choose", "1", "--seen", one["seen"])
    assert chapar("list") == "No conflicts.\n"
    assert "resolved" in chapar("list", "--state", "resolved")
    chapar("undo", one["id"])
    assert "/size  7 | 6" in chapar("list")


def test_many_are_resolved_after_a_preview_and_undone_as_a_whole(live, chapar):
    for number in range(3):
        two_edits(live, f"uuid:{number}")
    assert "7 → 6" in chapar("resolve", "--form", "household", "--policy", "first", "--preview")
    assert "3 to resolve" in chapar("resolve", "--policy", "first", answer="n\n")
    assert len(chapar("list").splitlines()) == 3
    done = orjson.loads(chapar("resolve", "--policy", "first", "--yes", "--json"))
    assert (len(done["resolved"]), done["left"]) == (3, [])
    assert chapar("list") == "No conflicts.\n"
    assert chapar("undo", "--batch", done["batch"]) == "undone: 3\n"
    assert len(chapar("list").splitlines()) == 3

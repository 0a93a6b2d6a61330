"""An export may not take the room that is kept for records."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from exporting import TEXTS, publish_sheet, store, xml
from faulty import empty, fill, small_disk
from hostile import MEGABYTE

from server.disk import NoRoomError, measure, reserve_bytes
from server.exports import jobs
from server.exports.making import make
from server.exports.options import Format, Options
from server.exports.prepared import Job
from server.node import Node, open_node
from server.settings import Settings
from server.setup import ensure_project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with 10 MB of answers on a disk of 128 MB."""
    data = tmp_path_factory.mktemp("crowded") / "data"
    with small_disk(data, megabytes=128):
        node = open_node(Settings(data=data))
        ensure_project(node)
        publish_sheet(node, TEXTS)
        store(node, *(xml("texts", number, f"<words>{'آب ' * 5_000}</words>") for number in range(400)))
        yield node
        node.close()


@pytest.mark.parametrize("wanted", [Format.CSV, Format.SQLITE, Format.PARQUET, "as of now"])
def test_an_export_ends_before_it_takes_the_room_kept_for_records(
    crowded: Node, wanted: Format | str
) -> None:
    data = crowded.settings.data
    is_past = not isinstance(wanted, Format)
    options = Options(as_of=datetime.now(UTC).isoformat()) if is_past else Options(format=Format(wanted))
    (room,) = measure(data)
    kept = reserve_bytes(room.total_bytes)
    fill(data, left_bytes=kept + 3 * MEGABYTE)
    try:
        with pytest.raises(NoRoomError):
            make(crowded, 1, "texts", options, data / "tmp" / "whole")
        (room,) = measure(data)
        assert room.free_bytes > kept
        store(crowded, xml("texts", uuid4().int, "<words>late</words>"))
    finally:
        empty(data)
    assert [path for path in (data / "tmp").iterdir() if path.name != "whole"] == []
    make(crowded, 1, "texts", options, data / "tmp" / "whole")


def test_older_exports_make_way_when_there_is_no_room_for_a_new_one(crowded: Node) -> None:
    def ask() -> Job:
        return jobs.wait(crowded, jobs.start(crowded, 1, "texts", Options(), media=False), 60)

    first = ask()
    assert first.state == "finished"
    store(crowded, xml("texts", uuid4().int, "<words>new</words>"))
    data = crowded.settings.data
    (room,) = measure(data)
    fill(data, left_bytes=reserve_bytes(room.total_bytes) + MEGABYTE)
    refused = ask()
    assert (refused.state, refused.detail) == ("failed", jobs.ROOM_MADE)
    assert jobs.prepared(crowded).find(first.id) is None
    assert (ask().state, ask().detail) == ("failed", jobs.NO_ROOM)
    empty(data)
    assert ask().state == "finished"

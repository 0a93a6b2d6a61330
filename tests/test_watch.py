"""Disks that fill up and clocks that are set are told in the log, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import wait_for

from server import watch
from server.disk import MEGABYTE, Room, measure, reserve_bytes
from server.watch import Clock, Disks

GIGABYTE = 1000 * MEGABYTE


def disk(used_percent: float) -> Room:
    total = 100 * GIGABYTE
    return Room("data", Path("/data"), int(total * (1 - used_percent / 100)), total)


def told(levels: list[float], caplog: pytest.LogCaptureFixture) -> list[str]:
    disks = Disks()
    for percent in levels:
        disks.look(disk(percent))
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_each_mark_is_told_once_on_the_way_up(caplog):
    lines = told([10, 69.9, 70, 71, 84, 86, 90, 96, 97, 99.5, 99.6], caplog)
    assert [line.split("data is ")[1].split(" %")[0] for line in lines] == ["70", "86", "96", "100"]
    assert [line.split()[0] for line in lines] == ["WARNING"] * 3 + ["ERROR"]
    assert "texts still come in" in lines[-1]


def test_a_mark_is_told_again_only_after_there_was_clearly_more_room(caplog):
    assert len(told([70.1, 69.9, 70.1, 69, 70.1], caplog)) == 1
    assert len(told([70.1, 67, 70.1], caplog)) == 3


@pytest.mark.parametrize(
    ("total", "reserve"),
    [
        (200 * MEGABYTE, 20 * MEGABYTE),
        (2 * GIGABYTE, 64 * MEGABYTE),
        (32 * GIGABYTE, 640 * MEGABYTE),
        (4000 * GIGABYTE, GIGABYTE),
    ],
)
def test_what_is_kept_for_texts_suits_the_disk(total, reserve):
    assert reserve_bytes(total) == reserve
    full = Room("data", Path("/"), reserve, total)
    assert (full.takes_media, full.takes_texts) == (False, True)
    assert Room("data", Path("/"), reserve + 1, total).takes_media
    assert not Room("data", Path("/"), 0, total).takes_texts


def test_a_folder_on_the_same_disk_is_one_room(tmp_path):
    (tmp_path / "blobs").mkdir()
    (room,) = measure(tmp_path, tmp_path / "blobs")
    assert 0 < room.free_bytes < room.total_bytes


def test_a_blobs_folder_on_another_disk_is_a_room_of_its_own(tmp_path):
    elsewhere = Path("/dev/shm")  # noqa: S108
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    assert [room.name for room in measure(tmp_path, elsewhere)] == ["data", "blobs"]


def test_a_folder_that_cannot_be_looked_at_is_told_once_a_minute(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(watch, "EVERY_S", 0.01)
    looks = []
    measure_as_ever = watch.disk.measure
    monkeypatch.setattr(
        watch.disk, "measure", lambda *folders: (looks.append(1), measure_as_ever(*folders))[1]
    )
    watching = watch.Watch(tmp_path, tmp_path / "missing", lambda: None)
    wait_for(lambda: len(looks) > 5)
    watching.close()
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("ERROR", None)
    assert "cannot be looked at: FileNotFoundError" in record.getMessage()


def test_a_clock_that_is_set_is_noticed_once(monkeypatch):
    clock, real = Clock(), watch.time.time
    assert clock.look() == 0.0
    monkeypatch.setattr(watch.time, "time", lambda: real() - 86_400)
    assert clock.look() == pytest.approx(-86_400, abs=1)
    assert clock.look() == 0.0

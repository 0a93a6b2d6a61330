"""Where a backup may be written, what is told where it cannot be, and a disk that can only be read any more."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import orjson
import pytest
from child import chapar, prepare, started
from conftest import household, send
from faulty import empty, fill, run, small_disk
from hostile import MEGABYTE, ON_SQLITE, live_child
from test_backup import rewritten

from server.backup import MANIFEST, BackupError, back_up, verify_backup
from server.disk import measure, reserve_bytes
from server.node import Node, open_node
from server.progress import unseen
from server.settings import Settings

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
PHOTOS = 4


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Node]:
    """A node with some megabytes of files on a disk of 128 MB."""
    settings = Settings(data=tmp_path / "disk" / "data")
    with small_disk(tmp_path / "disk", megabytes=128):
        node = open_node(settings)
        for number in range(PHOTOS):
            node.blobs.put(bytes([number]) * 2 * MEGABYTE)
        yield node
        node.close()


@ON_SQLITE
def test_a_folder_that_is_not_there_is_no_name_of_a_file(node, tmp_path):
    stick = tmp_path / "media" / "usb"
    for to in (stick, stick / "b.zip", tmp_path / "usb"):
        with pytest.raises(FileNotFoundError, match="There is no folder"):
            back_up(node, to, unseen)
    assert not stick.parent.exists()
    assert not (tmp_path / "usb").exists()


@ON_SQLITE
def test_a_backup_is_never_put_where_it_would_be_lost_with_the_data(node):
    data = node.settings.data
    before = sorted(data.rglob("*"))
    for to in (data, data / "b.zip", data / "tmp"):
        with pytest.raises(OSError, match="lost together with it"):
            back_up(node, to, unseen)
    assert sorted(data.rglob("*")) == before


@ON_SQLITE
@linux_only
def test_a_full_disk_is_told_in_a_sentence_and_left_as_it_was(node, tmp_path):
    with small_disk(tmp_path / "usb", megabytes=1):
        with pytest.raises(OSError, match=r"no room for the backup in .*usb. Use another disk"):
            back_up(node, tmp_path / "usb", unseen)
        assert list((tmp_path / "usb").iterdir()) == []


@linux_only
def test_a_backup_ends_before_it_takes_the_room_kept_for_records(crowded, monkeypatch):
    data = crowded.settings.data
    named = sorted(hashlib.sha256(bytes([number]) * 2 * MEGABYTE).hexdigest() for number in range(PHOTOS))
    monkeypatch.setattr("server.backup.named_files", lambda _: named)
    (room,) = measure(data)
    kept = reserve_bytes(room.total_bytes)
    fill(data.parent, left_bytes=kept + 4 * MEGABYTE)
    with pytest.raises(OSError, match="is kept for records"):
        back_up(crowded, data.parent, unseen)
    assert measure(data)[0].free_bytes > kept
    assert not list(data.parent.glob("*chapar-*"))
    empty(data.parent)
    _, manifest = back_up(crowded, data.parent, unseen)
    assert manifest.files == PHOTOS


@linux_only
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_disk_that_can_only_be_read_any_more_is_backed_up(tmp_path, is_killed):
    settings = Settings(data=tmp_path / "disk" / "data")
    with small_disk(tmp_path / "disk", megabytes=64):
        token = prepare(settings)
        with started(settings) as child, live_child(child, token) as live:
            assert send(live, household(), {"a.jpg": b"photo"}).status_code == 201
            child.kill() if is_killed else child.stop()
        assert is_killed == (settings.data / "chapar.sqlite-wal").exists()
        run("mount", "-o", "remount,ro", tmp_path / "disk")
        done = chapar(settings, "backup", str(tmp_path / "b.zip"))
        assert (done.returncode, done.stderr) == (0, "")
    manifest = verify_backup(tmp_path / "b.zip", unseen)
    with ZipFile(tmp_path / "b.zip") as archive:
        assert b"photo" in map(archive.read, archive.namelist())
    assert manifest.missing == []


@ON_SQLITE
def test_a_backup_of_newer_software_is_called_so_whatever_its_manifest_tells(node, tmp_path):
    backup, _ = back_up(node, tmp_path, unseen)
    with ZipFile(backup) as archive:
        sealed = orjson.loads(archive.read(MANIFEST))
    newer = {"manifest": sealed["manifest"] | {"schema": "9999", "software": "9.0", "word": "new"}}
    with pytest.raises(BackupError, match=r"newer version, 9\.0\. Install that one"):
        verify_backup(rewritten(backup, MANIFEST, orjson.dumps(newer)), unseen)

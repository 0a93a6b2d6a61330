"""The disk fills up, fails or cannot be written: refused and said so, never acknowledged, and taken when it works again."""

from __future__ import annotations

import hashlib
import resource
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx2
import pytest
from child import Child, prepare, started
from conftest import wait_for
from faulty import FSYNC, SOMETIMES, empty, failing, fill, small_disk, unwritable
from hostile import MEGABYTE, ON_SQLITE
from load import TEXT, Load, check_all_there, is_projected, photo_of

from server.settings import Settings

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="/proc, prlimit, tmpfs and chattr are Linux's"
)

LARGE = "uuid:large1"


@ON_SQLITE
def test_a_full_disk_refuses_files_first_then_texts_and_takes_both_when_there_is_room(settings):
    with small_disk(settings.data, megabytes=64):
        load = Load(prepare(settings))
        with started(settings) as child:
            fill(settings.data, left_bytes=4 * MEGABYTE)
            assert load.send_alone(child, "uuid:photo") == 507
            assert load.send_alone(child, f"{TEXT}-1") == 201
            fill(settings.data, left_bytes=0)
            assert 507 in (load.send_alone(child, f"{TEXT}-full-{n}") for n in range(200))
            assert "full" in child.log.read_text()
            check_answers(child)
            empty(settings.data)
            assert load.send_alone(child, "uuid:photo") == 201
            assert load.send_alone(child, f"{TEXT}-2") == 201
            wait_for(lambda: is_projected(settings))
            child.kill()
        check_all_there(settings, load.acknowledged)


@ON_SQLITE
def test_where_fsync_fails_nothing_is_acknowledged_nor_believed_later(settings):
    load = Load(prepare(settings), insists=True)
    with started(settings) as child:
        with load.running(child):
            wait_for(lambda: len(load.acknowledged) > 20)
        with failing(child, FSYNC, "EIO"):
            known = list(load.acknowledged)
            assert load.send_alone(child, f"{TEXT}-1") == 507
            assert load.send_alone(child, LARGE) == 507
            assert not blob_of(settings, LARGE).exists()
            with load.running(child):
                wait_for(lambda: load.refused[507] > 20)
            assert load.acknowledged == known
            check_answers(child)
        assert "I/O error" in child.log.read_text()
        for name in (f"{TEXT}-1", LARGE):
            assert load.send_alone(child, name) == 201
        with failing(child, FSYNC, "EIO", SOMETIMES), load.running(child):
            wait_for(lambda: len(load.acknowledged) > len(known) + 20)
        wait_for(lambda: is_projected(settings))
        child.kill()
    assert set(load.refused) == {507}
    check_all_there(settings, load.acknowledged)


@ON_SQLITE
def test_files_that_cannot_be_written_are_written_when_they_can_be_again(settings):
    load = Load(prepare(settings))
    with started(settings) as child:
        with unwritable(settings.data):
            for name in (f"{TEXT}-1", f"{TEXT}-2", "uuid:photo"):
                assert load.send_alone(child, name) == 507
            check_answers(child)
        wait_for(lambda: load.send_alone(child, f"{TEXT}-1") == 201)
        wait_for(lambda: load.send_alone(child, "uuid:photo") == 201)
        wait_for(lambda: is_projected(settings))
        child.kill()
    check_all_there(settings, load.acknowledged)


@ON_SQLITE
def test_without_a_free_file_descriptor_a_server_refuses_and_lives_on(settings):
    load = Load(prepare(settings))
    with started(settings) as child:
        with closing(HTTPConnection("127.0.0.1", child.port, timeout=60)) as connection:
            assert load.send(connection, f"{TEXT}-1") == 201
            limits = resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE)
            used = len(list(Path(f"/proc/{child.process.pid}/fd").iterdir()))
            resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE, (used, limits[1]))
            with suppress(OSError, HTTPException):  # idle for too long, and no new one can be had
                assert load.send(connection, LARGE) == 507
            resource.prlimit(child.process.pid, resource.RLIMIT_NOFILE, limits)
        assert load.send_alone(child, LARGE) == 201
        child.kill()
    check_all_there(settings, load.acknowledged)


def check_answers(child: Child) -> None:
    assert httpx2.get(f"{child.url}/healthz", timeout=60).status_code == 200


def blob_of(settings: Settings, name: str) -> Path:
    digest = hashlib.sha256(photo_of(name)).hexdigest()
    return settings.data / "blobs" / digest[:2] / digest[2:]

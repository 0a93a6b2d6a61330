"""Files on a courier's stick: several at once, of several posts, empty or lost ones among them, names that are taken."""

from __future__ import annotations

import secrets
import sys

import commands
import orjson
import pytest
from conftest import serving
from faulty import small_disk
from relaying import collect, enrolled, has_record, new_node
from test_relay_bundles import acquainted, carry
from test_relay_sessions import centre, post

from server import erasing
from server.node import open_node
from server.permissions import OPERATOR
from server.relay import client
from server.relay.bundle_files import HEADER_BYTES, BundleError, read_header
from server.relay.bundles import answer_all, find_receiver, read_bundle, read_bundles, write_bundle
from server.relay.client import relay
from server.relay.session import RelayError, Session
from server.relay.status import describe
from server.settings import Settings
from server.setup import PROJECT_ID
from server.store import submissions
from server.store.engine import reading
from sync.erasure import Reason

__all__ = ["centre", "new_node", "post"]


def waiting_at(centre):
    with reading(centre.engine) as connection:
        return describe(connection)["posts"][0]["recordsWaiting"]


def test_a_file_that_is_refused_keeps_no_other_one_out(centre, post, new_node, tmp_path):
    acquainted(centre, post)
    collect(post, "uuid:1")
    write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle")
    acquainted(centre, new_node("south"), "south")
    write_bundle(centre, find_receiver(centre, "south"), tmp_path / "down.bundle")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    names = ("empty", "folder", "lost", "down.bundle", "up.bundle")
    taken = {one.path.name: one for one in read_bundles(centre, [tmp_path / name for name in names])}
    assert has_record(centre, "uuid:1")
    assert not taken["up.bundle"].problem
    assert "is no bundle" in taken["empty"].problem
    assert "Is a directory" in taken["folder"].problem
    assert "No such file" in taken["lost"].problem
    assert "for another server" in taken["down.bundle"].problem


def test_the_command_tells_of_the_refused_and_writes_the_receipt_for_the_rest(tmp_path):
    folder = Settings(data=tmp_path / "centre"), Settings(data=tmp_path / "post")
    here, there = map(open_node, folder)
    enrolled(here, there, "")
    collect(there, "uuid:1")
    write_bundle(there, find_receiver(there, ""), tmp_path / "up.bundle")
    here.close()
    there.close()
    (tmp_path / "empty").touch()
    files = [str(tmp_path / name) for name in ("empty", "up.bundle")]
    receipt = str(tmp_path / "receipt")
    done = commands.run(
        "bundle", "read", *files, "--receipt", receipt, "--data", str(tmp_path / "centre"), "--json"
    )
    assert done.returncode == 1
    said = orjson.loads(done.stdout)
    assert [bool(one["problem"]) for one in said["files"]] == [True, False]
    assert said["receipts"] == [{"path": receipt, "for": "north"}]


def test_each_of_several_senders_gets_a_receipt(centre, post, new_node, tmp_path):
    south = new_node("south")
    nodes = {"north": post, "south": south}
    for name, node in nodes.items():
        acquainted(centre, node, name)
        collect(node, f"uuid:{name}")
        write_bundle(node, find_receiver(node, ""), tmp_path / f"{name}.bundle")
    taken = list(read_bundles(centre, [tmp_path / f"{name}.bundle" for name in nodes]))
    receipts = answer_all(centre, taken, tmp_path / "receipt.bundle")
    assert sorted(name for _, name in receipts) == ["north", "south"]
    for path, name in receipts:
        read_bundle(nodes[name], path)
        assert read_header(carry(nodes[name], centre, tmp_path / f"{name}-again")).entries == 0


def test_what_a_courier_brought_after_a_cut_waits_no_more(centre, post, tmp_path, monkeypatch):
    def cut(session: Session) -> None:
        if waiting_at(centre):
            raise RelayError("cut off")

    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        for number in range(60):
            collect(post, f"uuid:{number}", size=secrets.token_hex(300))
        monkeypatch.setattr(client, "ROOM_BYTES", 2000)
        monkeypatch.setattr(client, "ROOM_BYTES_MAX", 2000)
        with pytest.raises(RelayError, match="cut off"):
            relay(post, cut)
    written = write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle")
    assert waiting_at(centre)
    list(read_bundles(centre, [path for path, _ in written]))
    assert has_record(centre, "uuid:59")
    assert not waiting_at(centre)


def test_parts_take_the_place_of_no_file(centre, post, tmp_path):
    acquainted(centre, post)
    for number in range(3):
        collect(post, f"uuid:{number}", secrets.token_bytes(90_000))
    monday = write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle", size_max=100_000)
    before = {path: path.read_bytes() for path, _ in monday}
    with pytest.raises(FileExistsError, match="up-001"):
        write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle", size_max=100_000)
    assert {path: path.read_bytes() for path in tmp_path.glob("*up*")} == before


def test_what_a_power_cut_left_stands_in_no_way(centre, post, tmp_path):
    acquainted(centre, post)
    (tmp_path / ".up.bundle.1").write_bytes(b"half")
    carry(post, centre, tmp_path / "up.bundle")
    assert [path.name for path in tmp_path.glob("*up.bundle*")] == ["up.bundle"]


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
@pytest.mark.parametrize("size", [20_000, 300_000, 2_500_000])
def test_a_stick_without_room_is_left_as_it_was(centre, post, tmp_path, size):
    acquainted(centre, post)
    collect(post, "uuid:1", secrets.token_bytes(size))
    stick = tmp_path / "stick"
    with small_disk(stick, 1):
        (stick / "letter").write_bytes(bytes(1_040_000 - min(size, 1_000_000) // 2))
        with pytest.raises(OSError, match="No space left"):
            write_bundle(post, find_receiver(post, ""), stick / "up.bundle")
        assert [path.name for path in stick.iterdir()] == ["letter"]


@pytest.mark.parametrize("wrong", [{"part": "1"}, {"messages": None}, {"sender": 7}])
def test_a_first_line_of_other_kinds_is_no_bundle(tmp_path, wrong):
    said = {"chapar": "bundle", "version": 1, "sender": "", "receiver": "", "written_at": ""} | wrong
    (tmp_path / "up.bundle").write_bytes(orjson.dumps(said).ljust(HEADER_BYTES))
    with pytest.raises(BundleError, match="no bundle"):
        read_header(tmp_path / "up.bundle")


@pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
@pytest.mark.parametrize("by", ["network", "bundle"])
def test_what_is_erased_is_gone_also_where_no_server_runs(centre, post, tmp_path, by):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1", b"a photo")
        relay(post)
        centre.catch_up()
        with reading(centre.engine) as connection:
            found = submissions.find_submission(connection, PROJECT_ID, "household", "uuid:1")
        erasing.erase(centre, OPERATOR, found, next(iter(Reason)))
        write_bundle(centre, find_receiver(centre, "north"), tmp_path / "down.bundle")
        words = ("relay", "now") if by == "network" else ("bundle", "read", str(tmp_path / "down.bundle"))
        done = commands.run(*words, "--data", str(post.settings.data))
    assert done.returncode == 0, done.stderr
    assert b"a photo" not in [post.blobs.get(digest) for digest in post.blobs.sizes()]

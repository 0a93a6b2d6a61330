"""Bundles: a relay by courier. Any order, again, in parts, damaged, too old, for somebody else."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

import commands
import orjson
import pytest
from conftest import serving
from relaying import new_node, origin_of, records_at
from test_relay_sessions import centre, collect, enrolled, has_record, post

from server import erasing
from server.node import Node, open_node
from server.permissions import OPERATOR
from server.relay import enrolling
from server.relay.bundle_files import HEADER_BYTES, BundleError, read_header
from server.relay.bundles import answer, find_receiver, read_bundle, read_bundles, write_bundle
from server.relay.client import relay
from server.relay.status import describe
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from server.store import forms, submissions
from server.store.engine import reading
from sync.erasure import Reason

__all__ = ["centre", "new_node", "post"]


def acquainted(centre: Node, post: Node, name: str = "north") -> None:
    """Enrol a post by files, and bring it the forms by a bundle."""
    enrolled(centre, post, "", name)
    down = carry(centre, post, post.settings.data.parent / f"{name}-first.bundle", name)
    down.unlink()


def carry(sender: Node, receiver: Node, path: Path, name: str = "", **more: bool) -> Path:
    """Write a bundle and read it on the other side."""
    write_bundle(sender, find_receiver(sender, name), path, **more)
    taken = read_bundle(receiver, path)
    assert not taken.problem
    return path


def test_forms_go_down_and_records_with_photos_up_by_courier_alone(centre, post, tmp_path):
    acquainted(centre, post)
    with reading(post.engine) as connection:
        assert forms.find_current(connection, PROJECT_ID, "household")
    photo = secrets.token_bytes(2_500_000)
    collect(post, "uuid:1", photo)
    for number in range(2, 30):
        collect(post, f"uuid:{number}")
    carry(post, centre, tmp_path / "up.bundle")
    assert has_record(centre, "uuid:1")
    assert has_record(centre, "uuid:29")
    with reading(centre.engine) as connection:
        assert describe(connection)["posts"][0]["lastContact"]
    assert photo in [centre.blobs.get(digest) for digest in centre.blobs.sizes()]


def test_after_the_receipt_only_what_is_new_is_written(centre, post, tmp_path):
    acquainted(centre, post)
    collect(post, "uuid:1")
    up = carry(post, centre, tmp_path / "up.bundle")
    assert read_header(up).entries > 0
    answer(centre, origin_of(post), tmp_path / "receipt")
    assert read_header(tmp_path / "receipt").entries == 0
    read_bundle(post, tmp_path / "receipt")
    collect(post, "uuid:2")
    assert read_header(carry(post, centre, tmp_path / "second.bundle")).entries == 1
    assert read_header(carry(post, centre, tmp_path / "all.bundle", everything=True)).entries > 1


def test_parts_may_come_in_any_order_twice_or_not_at_all(centre, post, tmp_path):
    acquainted(centre, post)
    chance = random.Random(4)
    photos = [chance.randbytes(90_000) for _ in range(6)]
    for number, photo in enumerate(photos):
        collect(post, f"uuid:{number}", photo)
    written = write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle", size_max=150_000)
    parts = [path for path, _ in written]
    assert [header.parts for _, header in written] == [len(parts)] * len(parts)
    assert len(parts) > 3
    assert all(path.stat().st_size <= 150_000 for path in parts)
    lost = chance.choice(parts[1:])
    shuffled = [part for part in parts * 2 if part != lost]
    chance.shuffle(shuffled)
    for part in shuffled:
        read_bundle(centre, part)
    assert all(has_record(centre, f"uuid:{number}") for number in range(6))
    answer(centre, origin_of(post), tmp_path / "receipt")
    read_bundle(post, tmp_path / "receipt")
    again = carry(post, centre, tmp_path / "again.bundle")
    assert (read_header(again).entries, read_header(again).files) == (0, 1)
    here = [centre.blobs.get(digest) for digest in centre.blobs.sizes()]
    assert all(photo in here for photo in photos)


def test_a_file_cut_in_two_is_whole_again_whichever_part_is_named_first(centre, post, tmp_path):
    acquainted(centre, post)
    photo = secrets.token_bytes(3_000_000)
    collect(post, "uuid:1", photo)
    written = write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle", size_max=1_100_000)
    list(read_bundles(centre, [path for path, _ in reversed(written)]))
    assert photo in [centre.blobs.get(digest) for digest in centre.blobs.sizes()]


def test_a_courier_reads_counts_and_a_date_and_nothing_else(centre, post, tmp_path):
    acquainted(centre, post)
    collect(post, "uuid:secret-name")
    up = carry(post, centre, tmp_path / "up.bundle").read_bytes()
    said = orjson.loads(up[:HEADER_BYTES])
    assert said.keys() == {
        "chapar", "version", "sender", "receiver", "written_at", "part", "parts", "messages", "entries", "files",
    }  # fmt: skip
    assert len(said["written_at"]) == len("2026-11-22")
    assert b"household" not in up
    assert b"secret-name" not in up
    assert (tmp_path / "up.bundle").stat().st_mode & 0o077 == 0


def test_only_who_it_is_for_takes_it_and_only_from_whom_it_knows(centre, post, new_node, tmp_path):
    other = new_node("other")
    acquainted(centre, post)
    collect(post, "uuid:1")
    write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle")
    with pytest.raises(BundleError, match="for another server"):
        read_bundle(other, tmp_path / "up.bundle")
    enrolling.revoke(centre, "north")
    with pytest.raises(BundleError, match="does not relay with"):
        read_bundle(centre, tmp_path / "up.bundle")
    (tmp_path / "letter").write_text("Dear sir")
    with pytest.raises(BundleError, match="is no bundle"):
        read_bundle(centre, tmp_path / "letter")


def test_what_was_altered_on_the_way_is_refused_and_the_rest_taken_in(centre, post, tmp_path):
    acquainted(centre, post)
    collect(post, "uuid:1", secrets.token_bytes(50_000))
    write_bundle(post, find_receiver(post, ""), tmp_path / "up.bundle")
    whole = (tmp_path / "up.bundle").read_bytes()
    damaged = tmp_path / "damaged.bundle"
    chance = random.Random(7)
    for _ in range(6):
        place = chance.randrange(HEADER_BYTES, len(whole))
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_bundle(centre, damaged).problem
        damaged.write_bytes(whole[:place])
        assert read_bundle(centre, damaged).problem
    assert not read_bundle(centre, tmp_path / "up.bundle").problem
    assert has_record(centre, "uuid:1")


def test_a_bundle_that_is_older_than_an_erasure_brings_nothing_back(centre, post, tmp_path):
    acquainted(centre, post)
    photo = secrets.token_bytes(20_000)
    collect(post, "uuid:1", photo)
    write_bundle(post, find_receiver(post, ""), tmp_path / "old.bundle")
    read_bundle(centre, tmp_path / "old.bundle")
    with reading(centre.engine) as connection:
        found = submissions.find_submission(connection, PROJECT_ID, "household", "uuid:1")
    erasing.erase(centre, OPERATOR, found, next(iter(Reason)))
    assert not read_bundle(centre, tmp_path / "old.bundle").problem
    assert not has_record(centre, "uuid:1")
    assert photo not in [centre.blobs.get(digest) for digest in centre.blobs.sizes()]
    carry(centre, post, tmp_path / "down.bundle", "north")
    assert not has_record(post, "uuid:1")


def test_two_posts_and_a_centre_end_alike_by_couriers_who_meet_by_chance(centre, post, new_node, tmp_path):
    south = new_node("south")
    acquainted(centre, post)
    acquainted(centre, south, "south")
    chance = random.Random(11)
    ways = [(post, centre, ""), (south, centre, ""), (centre, post, "north"), (centre, south, "south")]
    written: list[tuple[Node, Path]] = []
    for number in range(8):
        collect(chance.choice([post, south]), f"uuid:{number}")
        sender, receiver, name = chance.choice(ways)
        path = tmp_path / f"{number}.bundle"
        write_bundle(sender, find_receiver(sender, name), path)
        written.append((receiver, path))
        read_bundle(*chance.choice(written))
    for number, (sender, receiver, name) in enumerate(ways[:2]):
        carry(sender, receiver, tmp_path / f"last-{number}.bundle", name)
    assert records_at(centre) == {f"uuid:{number}" for number in range(8)}


def test_courier_and_network_may_take_turns(centre, post, tmp_path):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        post.catch_up()
        collect(post, "uuid:1", secrets.token_bytes(100_000))
        carry(post, centre, tmp_path / "up.bundle")
        assert relay(post).sent_bytes < 2000
        collect(post, "uuid:2")
        relay(post)
        up = carry(post, centre, tmp_path / "late.bundle")
    assert read_header(up).entries == 0
    assert records_at(centre) == {"uuid:1", "uuid:2"}


def test_bundles_are_written_and_read_by_commands(tmp_path):
    def chapar(*words: str, data: str, code: int = 0) -> dict:
        done = commands.run(*words, "--json", "--data", str(tmp_path / data))
        assert done.returncode == code, done.stderr
        return orjson.loads(done.stdout)

    def file(name: str) -> str:
        return str(tmp_path / name)

    above, below = (open_node(Settings(data=tmp_path / name)) for name in ("centre", "post"))
    ensure_project(above)
    enrolled(above, below, "", "iq")
    for node in (above, below):
        node.close()
    (down,) = chapar("bundle", "write", "--for", "iq", "--to", file("down"), data="centre")["files"]
    assert down["entries"] > 0
    (taken,) = chapar("bundle", "read", file("down"), "--receipt", file("receipt"), data="post")["files"]
    assert (taken["entries"], taken["problem"]) == (down["entries"], "")
    chapar("bundle", "read", file("receipt"), data="centre")
    (nothing,) = chapar("bundle", "write", "--for", "iq", "--to", file("again"), data="centre")["files"]
    assert nothing["entries"] == 0
    (tmp_path / "down").write_bytes((tmp_path / "down").read_bytes()[:-1])
    chapar("bundle", "read", file("down"), data="post", code=1)

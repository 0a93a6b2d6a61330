"""A post drops what its centre has had for long enough, form by form, and nothing else ever."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

import commands
import orjson
import pytest
from badlink import BadLink
from child import CHAPAR, chapar
from conftest import household, serving, state_of
from relaying import collect, enrolled, has_record, new_node, origin_of, records_at
from sqlalchemy import select
from test_relay_audit import audit_of, flip_a_byte, submissions_at
from test_relay_bundles import acquainted, carry
from test_relay_faults import check_all_there, is_in, port_of, restored
from test_relay_logs import verified
from test_relay_sessions import centre, post

from server import intake, projection, receiving
from server.doctor.facts import check_state
from server.doctor.findings import Level
from server.receiving import Sender
from server.relay.auditing import read_through
from server.relay.bundles import answer, read_bundle
from server.relay.client import relay
from server.relay.purging import DAY_MS, Purged, purge
from server.relay.status import describe
from server.setup import PROJECT_ID
from server.store import purges
from server.store.engine import reading, writing
from server.store.tables import journal as entries
from sync.journal import Kind

__all__ = ["centre", "new_node", "post"]

ON_SQLITE = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)
FORM = (PROJECT_ID, "household")
PHOTO = b"a photo of a shelter"


def later_ms(days):
    return time.time_ns() // 1_000_000 + days * DAY_MS


def let_go(post, after_days=7):
    with writing(post.engine) as connection:
        purges.set_policy(connection, FORM, after_days)


def take_in(node, xml):
    sender = Sender(None, "", "", "test")
    intake.record(node.engine, [receiving.examine(PROJECT_ID, xml, [], sender, lambda *_: True)])
    node.catch_up()


def trip(centre, post, path):
    """Have a courier go up with a bundle and come back with a receipt."""
    carry(post, centre, path.with_suffix(".bundle"))
    answer(centre, origin_of(post), path.with_suffix(".receipt"))
    assert not read_bundle(post, path.with_suffix(".receipt")).problem
    post.catch_up()


def at_the_centre(centre, post, tmp_path, photos):
    """Have a post collect a record with each of these photos, and hear that the centre has all of it."""
    acquainted(centre, post)
    for number, photo in enumerate(photos):
        collect(post, f"uuid:{number}", photo)
    let_go(post, 0)
    for name in ("first", "second"):
        trip(centre, post, tmp_path / name)


def purge_and_die(post, call, after):
    """Purge in a process that is killed where it makes this call, but for so many of them."""
    code = f"""
import os, signal
from pathlib import Path
from server.node import open_node
from server.relay.purging import purge
from server.settings import Settings
from server.store import purges
from server.store.blobs import Blobs

def dying(*given, left=[None] * {after}, real={call}):
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left.pop()
    return real(*given)

{call} = dying
purge(open_node(Settings(data=Path({str(post.settings.data)!r}))), {later_ms(8)})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


def bodies_at(node):
    query = select(entries.c.body, entries.c.detail).where(
        entries.c.kind.in_([Kind.SUBMISSION, Kind.ATTACHMENT])
    )
    with reading(node.engine) as connection:
        return [(row.body, row.detail) for row in connection.execute(query)]


def is_sound(node):
    verified(node)
    with reading(node.engine) as connection:
        return [one.level for one in check_state(connection, serves=False)] == [Level.FINE]


def test_a_record_goes_once_the_centre_has_had_it_and_its_files_for_so_many_days(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1", PHOTO)
        collect(post, "uuid:2")
        post.catch_up()
        assert purge(post, later_ms(100)) == Purged()
        let_go(post)
        assert purge(post, later_ms(100)) == Purged()
        relay(post)
        collect(post, "uuid:3")
        post.catch_up()
        assert purge(post, later_ms(6)) == Purged()
        assert purge(post, later_ms(8), dry_run=True) == Purged(records=1, waiting=1)
        centre.blobs.delete(hashlib.sha256(PHOTO).hexdigest())
        let_go(post, 0)
        relay(post)
        assert purge(post, later_ms(8), dry_run=True) == Purged(records=2, waiting=1)
        assert is_in(centre, PHOTO)
        relay(post)
        let_go(post)
        assert purge(post, later_ms(8)) == Purged(records=3, files=1)
    assert bodies_at(post) == [(None, None)] * 4
    assert not is_in(post, PHOTO)
    assert is_in(centre, PHOTO)
    assert all(has_record(centre, f"uuid:{number}") for number in (1, 2, 3))
    assert not has_record(post, "uuid:1")
    assert is_sound(post)
    before = state_of(post)
    projection.rebuild(post.engine, post.schemas)
    assert state_of(post) == before
    with reading(post.engine) as connection:
        assert describe(connection)["recordsPurged"] == 3


@ON_SQLITE
def test_what_a_tablet_sends_again_or_edits_after_its_record_went_is_taken_like_any_other(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1")
        relay(post)
        let_go(post)
        post.catch_up()
        assert purge(post, later_ms(8)).records == 1
        take_in(post, household("uuid:1"))
        assert not has_record(post, "uuid:1")
        take_in(post, household("uuid:2", "6", deprecated_id="uuid:1"))
        assert has_record(post, "uuid:2")
        relay(post)
        check_all_there(centre, {"uuid:1"})
    before = state_of(post)
    projection.rebuild(post.engine, post.schemas)
    assert state_of(post) == before


@ON_SQLITE
def test_a_record_about_which_something_is_open_stays(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:open")
        take_in(post, household("uuid:left", "6", deprecated_id="uuid:open"))
        take_in(post, household("uuid:right", "7", deprecated_id="uuid:open"))
        take_in(post, household("uuid:lacks-a-file", extra="<shelter>0.jpg</shelter>"))
        relay(post)
        let_go(post)
        assert purge(post, later_ms(8)) == Purged()
    assert all(body for body, _ in bodies_at(post))


@ON_SQLITE
def test_a_payload_that_is_damaged_here_is_not_taken_for_one_that_the_centre_has(centre, post):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1")
        with writing(post.engine) as connection:
            one = entries.c.kind == Kind.SUBMISSION
            connection.execute(entries.update().where(one).values(body=b"damaged"))
        relay(post)
        let_go(post)
        post.catch_up()
        assert purge(post, later_ms(8)) == Purged()


@ON_SQLITE
def test_killed_in_the_middle_nothing_or_all_of_a_record_is_gone(centre, post, tmp_path):
    photos = [bytes([number]) * 100 for number in range(3)]
    at_the_centre(centre, post, tmp_path, photos)
    before = state_of(post), bodies_at(post)
    purge_and_die(post, "purges.add", after=0)
    assert (state_of(post), bodies_at(post)) == before
    purge_and_die(post, "Blobs.delete", after=1)
    assert set(bodies_at(post)) == {(None, None)}
    assert sum(is_in(post, photo) for photo in photos) == 2
    assert is_sound(post)
    assert purge(post, later_ms(8)) == Purged()


@ON_SQLITE
@pytest.mark.soak
@pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it")
def test_killed_at_any_instant_a_purge_goes_on_where_it_was(centre, post, tmp_path):
    photos = [number.to_bytes(2) * 500 for number in range(300)]
    at_the_centre(centre, post, tmp_path, photos)
    chance = random.Random(5)
    for _ in range(40):
        command = [str(CHAPAR), "relay", "purge", "--data", str(post.settings.data)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(0, 3))
            process.kill()
        assert is_sound(post)
        left = {number for number in range(300) if has_record(post, f"uuid:{number}")}
        assert all(is_in(post, photos[number]) for number in left)
    purge(post, later_ms(8))
    check_all_there(post, set())
    check_all_there(centre, {f"uuid:{number}" for number in range(300)})
    assert all(is_in(centre, photo) for photo in photos)


@ON_SQLITE
def test_a_centre_set_back_gets_headers_of_what_is_gone_and_both_raise_an_alarm(centre, post, tmp_path):
    backup = str(tmp_path / "last-week.backup")
    with BadLink(0) as link:
        with serving(centre) as url:
            link.port = port_of(url)
            enrolled(centre, post, link.url)
            relay(post)
            assert chapar(centre.settings, "backup", backup).returncode == 0
            collect(post, "uuid:gone")
            relay(post)
            let_go(post)
            post.catch_up()
            assert purge(post, later_ms(8)).records == 1
            collect(post, "uuid:kept")
        again = restored(centre.settings, backup, "again")
        with serving(again) as url:
            link.port = port_of(url)
            relay(post)
            assert purge(post, later_ms(6)) == Purged()
            relay(post)
        check_all_there(again, {"uuid:kept"})
        with reading(again.engine) as connection:
            assert describe(connection)["audit"]["lost"] == 1
        again.close()
    with reading(post.engine) as connection:
        assert describe(connection)["centre"]["unsendable"] == 1


def test_where_only_couriers_go_the_same_goes_and_what_the_centre_lost_is_sent_again(centre, post, tmp_path):
    acquainted(centre, post)
    let_go(post, 0)
    collect(post, "uuid:sound", PHOTO)
    collect(post, "uuid:damaged", b"another photo")
    trip(centre, post, tmp_path / "first")
    assert purge(post, later_ms(8), dry_run=True) == Purged(waiting=2)
    centre.blobs.delete(hashlib.sha256(b"another photo").hexdigest())
    flip_a_byte(centre, submissions_at(centre)[1])
    assert read_through(centre.engine) == 1
    trip(centre, post, tmp_path / "second")
    assert purge(post, later_ms(8)) == Purged(records=1, files=1)
    assert audit_of(centre)["lost"] == 1
    trip(centre, post, tmp_path / "third")
    assert (audit_of(centre)["lost"], audit_of(centre)["mended"]) == (0, 1)
    assert is_in(centre, b"another photo")
    trip(centre, post, tmp_path / "fourth")
    assert purge(post, later_ms(8)) == Purged(records=1, files=1)
    check_all_there(centre, {"uuid:sound", "uuid:damaged"})
    assert not any(is_in(post, photo) for photo in (PHOTO, b"another photo"))


@ON_SQLITE
def test_the_command_sets_a_policy_and_tells_what_would_go(centre, post):
    def run(*words):
        done = commands.run("relay", *words, "--data", str(post.settings.data), "--json")
        assert done.returncode == 0, done.stderr
        return orjson.loads(done.stdout)

    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1")
        relay(post)
    told = run("purge", "--form", "household", "--after", "7")
    assert told["policies"] == [{"project": 1, "form": "household", "afterDays": 7}]
    assert (told["records"], told["dropped"]) == (0, False)
    post.catch_up()
    assert purge(post, later_ms(8)).records == 1
    assert run("where", "household", "uuid:1")["purged"] is True
    assert run("purge", "--form", "household", "--never")["policies"] == []
    assert "uuid:1" not in records_at(post)

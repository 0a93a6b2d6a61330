"""The relay with real servers over a bad link: whatever is cut, lost, killed, restored or cloned, all is there once."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import secrets
import shutil

import pytest
from badlink import FINE, BadLink, Fault
from child import chapar, started
from conftest import HOUSEHOLD, serving, wait_for
from relaying import collect, enrolled, new_node, origin_of
from sqlalchemy import func, select

from server.doctor.facts import check_state
from server.doctor.findings import Level
from server.node import Node, open_node
from server.publishing import publish
from server.relay.client import relay
from server.relay.session import RelayError
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from server.store import submissions
from server.store.chain import verify_journal
from server.store.engine import reading, sqlite_file
from server.store.tables import fork
from server.store.tables import journal as entries
from sync.journal import Kind

__all__ = ["new_node"]

pytestmark = pytest.mark.parametrize("new_node", ["sqlite"], indirect=True)


@pytest.fixture
def centre(new_node):
    node = new_node("centre")
    ensure_project(node)
    publish(node, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})
    return node


@pytest.fixture
def post(new_node):
    return new_node("post")


def relay_anyhow(post: Node, tries_max: int = 200) -> int:
    """Meet the centre again and again until they are in step; return how often it took."""
    for tries in range(1, tries_max):
        try:
            relay(post)
        except RelayError:
            continue
        return tries
    raise AssertionError("they do not come in step")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def check_all_there(node: Node, names: set[str]) -> None:
    """All of these are records, none else is, and every chain holds."""
    node.catch_up()
    with reading(node.engine) as connection:
        found = [one.instance_id for one in submissions.iter_submissions(connection, PROJECT_ID, "household")]
        verify_journal(connection, lambda *_: lambda _: None)
    assert sorted(found) == sorted(names)


def forks_at(node: Node) -> int:
    with reading(node.engine) as connection:
        return int(connection.execute(select(func.count()).select_from(fork)).scalar_one())


@pytest.mark.parametrize("seed", range(50 if os.environ.get("CHAPAR_SOAK") else 1))
def test_a_link_that_is_cut_at_any_byte_and_loses_answers_only_costs_time(centre, post, seed):
    chance = random.Random(seed)
    photos = [chance.randbytes(40_000) for _ in range(2)]

    def draw() -> Fault:
        size = chance.choice([0, chance.randint(1, 900), chance.randint(1, 30_000)])
        return chance.choice([Fault(up=size), Fault(up=size), Fault(down=size), Fault(down=0), FINE])

    with serving(centre) as url, BadLink(port_of(url)) as link:
        enrolled(centre, post, link.url)
        relay(post)
        link.draw = draw
        for number in range(30):
            collect(post, f"uuid:{number}", *(photos[number : number + 1]))
            if number % 5 == 4:
                relay_anyhow(post)
        assert link.cuts > 0
    check_all_there(centre, {f"uuid:{number}" for number in range(30)})
    assert all(is_in(centre, photo) for photo in photos)
    check_all_there(post, {f"uuid:{number}" for number in range(30)})


def test_a_post_relays_by_itself_once_there_is_a_link_and_goes_on_after_both_are_killed(centre, post):
    photo, impatient = secrets.token_bytes(150_000), {"CHAPAR_RELAY_EVERY_S": "1"}
    with BadLink(0) as link:
        enrolled(centre, post, link.url)
        collect(post, "uuid:0", photo)
        for number in range(1, 20):
            collect(post, f"uuid:{number}")
        link.rate_bytes_s = 100_000
        with started(post.settings, **impatient) as relaying:
            wait_for(lambda: "stands still" in relaying.log.read_text(), timeout_s=60)
            with started(centre.settings) as child:
                link.port = child.port
                wait_for(lambda: link.up_bytes > 70_000, timeout_s=60)
                child.kill()
                relaying.kill()
        link.rate_bytes_s = 0
        with started(centre.settings) as child, started(post.settings, **impatient):
            link.port = child.port
            wait_for(lambda: is_in(centre, photo), timeout_s=120)
        assert link.up_bytes < 1.7 * len(photo)
    check_all_there(centre, {f"uuid:{number}" for number in range(20)})


def is_in(node: Node, photo: bytes) -> bool:
    return node.blobs.has(hashlib.sha256(photo).hexdigest())


def restored(settings: Settings, backup: str, name: str) -> Node:
    """A store made of a backup, opened."""
    again = Settings(data=settings.data.parent / name)
    told = chapar(again, "restore", backup)
    assert told.returncode == 0, told.stderr
    return open_node(again)


def test_a_post_restored_from_yesterdays_backup_gets_its_records_back(centre, post, tmp_path):
    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:before")
        relay(post)
        backup = str(tmp_path / "yesterday.backup")
        assert chapar(post.settings, "backup", backup).returncode == 0
        collect(post, "uuid:lost", b"photo")
        relay(post)
        again = restored(post.settings, backup, "again")
        collect(again, "uuid:after")
        relay(again)
        check_all_there(again, {"uuid:before", "uuid:lost", "uuid:after"})
        assert is_in(again, b"photo")
        again.close()
    check_all_there(centre, {"uuid:before", "uuid:lost", "uuid:after"})
    assert forks_at(centre) == 0


def test_a_centre_restored_from_last_weeks_backup_gets_all_back_from_its_posts(
    centre, post, new_node, tmp_path
):
    other = new_node("other")
    posts = {"north": post, "south": other}
    backup = str(tmp_path / "last-week.backup")
    with BadLink(0) as link:
        with serving(centre) as url:
            link.port = port_of(url)
            for name, one in posts.items():
                enrolled(centre, one, link.url, name)
                relay(one)
                collect(one, f"uuid:{name}-1")
                relay(one)
            assert chapar(centre.settings, "backup", backup).returncode == 0
            for name, one in posts.items():
                collect(one, f"uuid:{name}-2", f"photo {name}".encode())
                relay(one)
        again = restored(centre.settings, backup, "again")
        with serving(again) as url:
            link.port = port_of(url)
            for one in posts.values():
                relay(one)
        check_all_there(again, {f"uuid:{name}-{number}" for name in posts for number in (1, 2)})
        assert is_in(again, b"photo north")
        again.close()


@pytest.mark.parametrize("is_set_back", [False, True])
def test_a_post_that_goes_on_twice_loses_nothing_whether_it_is_noticed_or_not(
    centre, post, tmp_path, is_set_back
):
    """is_set_back: the old file is written over the new one, so that the store cannot tell that it is a copy."""
    with serving(centre) as url:
        enrolled(centre, post, url)
        collect(post, "uuid:common")
        relay(post)
        twin_data = tmp_path / "twin"
        post.engine.dispose()
        shutil.copytree(post.settings.data, twin_data)
        collect(post, "uuid:here")
        relay(post)
        if is_set_back:
            post.engine.dispose()
            for stray in post.settings.data.glob("chapar.sqlite-*"):
                stray.unlink()
            sqlite_file(post.settings.data).write_bytes(sqlite_file(twin_data).read_bytes())
        twin = open_node(post.settings if is_set_back else Settings(data=twin_data))
        collect(twin, "uuid:there")
        relay(twin)
        collect(twin, "uuid:later")
        relay(twin)
        relay(twin if is_set_back else post)
        whole = {"uuid:common", "uuid:here", "uuid:there", "uuid:later"}
        check_all_there(twin, whole)
        check_all_there(centre, whole)
        assert forks_at(centre) == (1 if is_set_back else 0)
        assert origin_of(twin) == origin_of(post)
        twin.close()


def test_one_record_received_at_two_posts_and_at_the_centre_is_one_record(centre, post, new_node):
    other = new_node("other")
    with serving(centre) as url:
        for name, one in {"north": post, "south": other}.items():
            enrolled(centre, one, url, name)
            collect(one, "uuid:same")
        collect(centre, "uuid:same")
        for one in (post, other, post):
            relay(one)
    for one in (centre, post, other):
        check_all_there(one, {"uuid:same"})
        with reading(one.engine) as connection:
            assert [found.level for found in check_state(connection, serves=False)] == [Level.FINE]
    with reading(centre.engine) as connection:
        receipts = select(func.count(entries.c.origin.distinct())).where(entries.c.kind == Kind.SUBMISSION)
        assert connection.execute(receipts).scalar_one() == 3


def test_a_post_years_ahead_drags_no_other_clock(centre, post, monkeypatch):
    ahead = itertools.count(3_000_000_000_000_000_000, 1_000_000)
    with serving(centre) as url:
        enrolled(centre, post, url)
        with monkeypatch.context() as patch:
            patch.setattr("server.store.journal.time.time_ns", lambda: next(ahead))
            collect(post, "uuid:future")
            relay(post)
        collect(centre, "uuid:now")
    check_all_there(centre, {"uuid:future", "uuid:now"})
    with reading(centre.engine) as connection:
        own = select(func.max(entries.c.stamp)).where(entries.c.origin == origin_of(centre))
        others = select(func.max(entries.c.stamp)).where(entries.c.origin == origin_of(post))
        assert connection.execute(own).scalar_one() < connection.execute(others).scalar_one()

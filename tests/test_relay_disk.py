"""The disk of either end fills up while they relay: nothing that was durable is lost, and it goes on when there is room."""

from __future__ import annotations

import os
import secrets
import sys

import pytest
from badlink import BadLink
from child import prepare, started
from conftest import HOUSEHOLD, serving, wait_for
from faulty import empty, fill, small_disk
from relaying import collect, enrolled
from sqlalchemy.exc import DBAPIError
from test_relay_faults import check_all_there, is_in

from server.node import open_node
from server.publishing import publish
from server.relay.client import relay
from server.settings import Settings
from server.setup import PROJECT_ID
from server.store import forms
from server.store.engine import reading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")

MEGABYTES = 48
FROM_LIST = "| select_one_from_file a.csv |"
IMPATIENT = {"CHAPAR_RELAY_EVERY_S": "1"}


@pytest.mark.parametrize("full", ["centre", "post"] if os.environ.get("CHAPAR_SOAK") else ["centre"])
def test_the_relay_stands_still_while_a_disk_is_full_and_goes_on_by_itself(tmp_path, full):
    settings = {name: Settings(data=tmp_path / name / "data") for name in ("centre", "post")}
    for one in settings.values():
        one.data.parent.mkdir()
    photo = secrets.token_bytes(400_000)
    with small_disk(settings[full].data, MEGABYTES), BadLink(0) as link:
        prepare(settings["centre"])
        centre, post = open_node(settings["centre"]), open_node(settings["post"])
        enrolled(centre, post, link.url)
        with started(centre.settings) as child:
            link.port = child.port
            relay(post)
            collect(post, "uuid:before", photo[:1000])
            with started(post.settings, **IMPATIENT) as relaying:
                wait_for(lambda: is_in(centre, photo[:1000]), timeout_s=60)
                fill(settings[full].data, left_bytes=0)
                if full == "centre":
                    for number in range(20):
                        collect(post, f"uuid:{number}", photo)
                else:
                    newer = HOUSEHOLD.replace("household|", "another  |").encode()
                    publish(centre, PROJECT_ID, newer, "another.md", {})
                said = "stands still" if full == "centre" else "full"
                wait_for(lambda: said in relaying.log.read_text(), timeout_s=60)
                empty(settings[full].data)
                wait_for(lambda: is_in(centre, photo) if full == "centre" else has_form(post), timeout_s=120)
                relaying.kill()
            child.kill()
        names = {f"uuid:{number}" for number in range(20)} if full == "centre" else set()
        for node in (centre, post):
            check_all_there(node, names | {"uuid:before"})
            node.close()


def test_a_post_without_room_takes_nothing_by_halves_and_goes_on_where_it_was(tmp_path):
    settings = {name: Settings(data=tmp_path / name / "data") for name in ("centre", "post")}
    for one in settings.values():
        one.data.parent.mkdir()
    with small_disk(settings["post"].data, MEGABYTES):
        prepare(settings["centre"])
        centre, post = open_node(settings["centre"]), open_node(settings["post"])
        names = "name,label\n" + "".join(f"{secrets.token_hex(8)},a\n" for _ in range(20_000))
        with serving(centre) as url:
            enrolled(centre, post, url)
            collect(post, "uuid:before")
            relay(post)
            with_list = HOUSEHOLD.replace("household|", "another  |").replace(
                "| image                |", FROM_LIST
            )
            publish(centre, PROJECT_ID, with_list.encode(), "another.md", {"a.csv": names.encode()})
            fill(settings["post"].data, left_bytes=0)
            with pytest.raises((OSError, DBAPIError), match=r"space|full"):
                relay(post)
            assert not is_in(post, names.encode())
            empty(settings["post"].data)
            relay(post)
        post.catch_up()
        assert has_form(post)
        assert is_in(post, names.encode())
        for node in (centre, post):
            check_all_there(node, {"uuid:before"})
            node.close()


def has_form(post):
    with reading(post.engine) as connection:
        return forms.find_current(connection, PROJECT_ID, "another") is not None

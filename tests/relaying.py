"""Several nodes in one process, and what passes between two of them, without a network."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import conftest
import orjson
import pytest
from conftest import household
from sqlalchemy import select

from server import intake, receiving
from server.node import Node, open_node
from server.receiving import Sender, StoredFile
from server.relay import enrolling
from server.relay.choosing import choose, list_doubted, read_due
from server.relay.messages import Head
from server.relay.other import Other, look_at_own, note_told
from server.relay.scope import Scope
from server.relay.taking import take
from server.relay.trust import sift
from server.settings import Settings
from server.setup import PROJECT_ID
from server.store import journal, logs, mentions, posts, submissions
from server.store.engine import reading, sqlite_file, writing
from server.store.tables import journal as entries
from sync.frames import PLAIN, Sent, Skip, pack, unpack
from sync.journal import Fact, Kind

NewNode = Callable[[str], Node]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewNode]:
    """Make empty nodes, each with a store of its own, once for each database."""
    with ExitStack() as stack:

        def make(name: str) -> Node:
            node = open_node(stack.enter_context(_settings(request, tmp_path / name)))
            stack.callback(node.close)
            return node

        yield make


@contextmanager
def _settings(request: pytest.FixtureRequest, data: Path) -> Iterator[Settings]:
    if request.param == "sqlite":
        data.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("sqlite_template"), sqlite_file(data))
        yield Settings(data=data)
        return
    server, like = request.getfixturevalue("postgres_url"), request.getfixturevalue("template")
    with conftest._database(server, like) as url:
        yield Settings(data=data, database_url=url)


def origin_of(node: Node) -> str:
    with reading(node.engine) as connection:
        return journal.origin(connection)


def add(node: Node, name: str, kind: Kind = Kind.SUBMISSION, **more: object) -> None:
    """Have a node write a fact about the record `name`."""
    detail = {"form_id": "household", "instance_id": name, **more}
    body = b"<data/>" * 40 if kind is Kind.SUBMISSION else b""
    key = None if kind is Kind.APP_USER else hashlib.sha256(orjson.dumps([kind, name, more])).digest()
    with writing(node.engine) as connection:
        journal.append(connection, [Fact(kind, 1, key, orjson.dumps(detail), body)])


def up(post: Node) -> Callable[[Node], Scope]:
    return lambda centre: Scope(origin_of(centre), frozenset({origin_of(post)}), is_up=True)


def down(*family: Node) -> Callable[[Node], Scope]:
    origins = frozenset(map(origin_of, family))
    return lambda receiver: Scope(origin_of(receiver), origins, is_up=False)


def lacking(sender: Node, receiver: Node, scope: Scope) -> list[Sent | Skip]:
    """What the sender would send, as it comes out of a frame."""
    mentions.catch_up(sender.engine)
    with reading(receiver.engine) as connection:
        have = logs.read_have(connection)
    with writing(sender.engine) as connection:
        look_at_own(connection, have)
    if not scope.is_up:
        tell_epoch(sender, receiver)
    with reading(receiver.engine) as here, reading(sender.engine) as there:
        doubted = list_doubted(here, logs.read_have(there))
        doubted |= list_doubted(there, logs.read_have(here))
        said = logs.read_have(there, doubted)
        items = list(choose(there, scope, logs.read_have(here, doubted, said)))
    return unpack(pack(items, PLAIN), PLAIN)


def tell_epoch(sender: Node, receiver: Node) -> None:
    """What a node says of itself whenever two meet."""
    with reading(receiver.engine) as connection:
        own, _ = logs.own_log(connection)
    head = Head("", 0, "", 0, is_whole=True, epoch=own[1])
    with writing(sender.engine) as connection:
        note_told(connection, Other(own[0], b"", is_up=False), head)


def give(sender: Node, receiver: Node, scope: Scope, chance: random.Random | None = None) -> int:
    """Send what the receiver lacks; with `chance` only some of it, in any order, some of it twice."""
    items = lacking(sender, receiver, scope)
    with reading(sender.engine) as connection:
        due = read_due(connection, scope)
    items += due.values()
    if chance:
        items = chance.sample(items, chance.randint(0, len(items)))
        items += chance.sample(items, chance.randint(0, len(items)))
    mentions.catch_up(receiver.engine)
    with writing(receiver.engine) as connection:
        if scope.is_up:
            items = list(sift(connection, origin_of(sender), items).items)
        taken = len(items)
        take(connection, items)
    if not chance:
        with writing(sender.engine) as connection:
            mentions.settle_due(connection, scope.family, due)
    return taken


def relay(post: Node, centre: Node, chance: random.Random | None = None) -> int:
    """One meeting, both ways; return how much was sent."""
    return give(post, centre, up(post)(centre), chance) + give(centre, post, down(post)(post), chance)


def bring_in_step(*pairs: tuple[Node, Node]) -> None:
    """Have posts and their centre meet until nobody has anything for the other."""
    for _ in range(20):
        if sum(relay(*pair) for pair in pairs) == 0:
            return
    raise AssertionError("they never end")


def names_of(node: Node) -> set[tuple[str, int, str]]:
    """Origin, seq and instanceID of what is at a node."""
    with reading(node.engine) as connection:
        rows = connection.execute(select(entries.c.origin, entries.c.seq, entries.c.detail)).all()
    return {(row.origin, row.seq, orjson.loads(row.detail or b"{}").get("instance_id", "")) for row in rows}


def records_at(node: Node) -> set[str]:
    return {name for _, _, name in names_of(node) if name}


def collect(node: Node, name: str, *photos: bytes, size: str = "5") -> None:
    """Have a node take in a record, as from a tablet."""
    files = [
        StoredFile(f"{number}.jpg", node.blobs.put(content), len(content), "image/jpeg")
        for number, content in enumerate(photos)
    ]
    sender = Sender(None, "", "", "test")
    xml = household(name, size, extra="<shelter>0.jpg</shelter>" if photos else "")
    intake.record(node.engine, [receiving.examine(PROJECT_ID, xml, files, sender, lambda *_: True)])


def enrolled(centre: Node, post: Node, url: str, name: str = "north") -> None:
    with reading(post.engine) as connection:
        is_post = posts.find_centre(connection)
    answer = enrolling.become_post(post, enrolling.enrol(centre, name, url), keep=bool(is_post))
    enrolling.admit(centre, answer)
    with writing(post.engine) as connection:
        posts.confirm_centre(connection)


def has_record(node: Node, name: str) -> bool:
    node.catch_up()
    with reading(node.engine) as connection:
        return submissions.find_submission(connection, PROJECT_ID, "household", name) is not None

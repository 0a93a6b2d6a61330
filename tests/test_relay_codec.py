"""What makes frames small at a store: records that both sides hold, and nothing that either has lost."""

from __future__ import annotations

import pytest
from relaying import new_node, origin_of
from test_relay_sessions import centre, collect, enrolled, post

from server import erasing
from server.node import Node
from server.permissions import OPERATOR
from server.relay import codec
from server.relay.bundles import find_receiver, read_bundle, write_bundle
from server.relay.codec import StoreCodec
from server.setup import PROJECT_ID
from server.store import logs, submissions
from server.store.engine import reading
from sync.erasure import Reason
from sync.outline import Primer

__all__ = ["centre", "new_node", "post"]


@pytest.fixture
def in_step(centre, post, tmp_path, monkeypatch):
    """A post whose centre has all of its records; one block is four entries."""
    monkeypatch.setattr(codec, "BLOCK", 4)
    enrolled(centre, post, "")
    for sender, receiver, name in ((centre, post, "north"), (post, centre, "")):
        path = tmp_path / f"{name}.bundle"
        write_bundle(sender, find_receiver(sender, name), path)
        read_bundle(receiver, path)
        if not name:
            break
        for number in range(9):
            collect(post, f"uuid:{number}")
    return post, centre


def primer_of(post: Node, centre: Node) -> Primer:
    with reading(post.engine) as here, reading(centre.engine) as there:
        primer = StoreCodec(here, logs.read_have(there)).primer(PROJECT_ID, "household")
    assert primer is not None
    return primer


def found_at(centre: Node, name: bytes) -> Primer | None:
    with reading(centre.engine) as connection:
        return StoreCodec(connection).find_primer(name)


def test_both_sides_take_the_same_records(in_step):
    post, centre = in_step
    primer = primer_of(post, centre)
    assert sum(b"uuid:" in document for document in primer.documents) >= 8
    found = found_at(centre, primer.name)
    assert found is not None
    assert list(found.documents) == list(primer.documents)


def test_what_is_erased_makes_nothing_small(in_step):
    post, centre = in_step
    primer = primer_of(post, centre)
    assert found_at(centre, primer.name) is not None
    with reading(centre.engine) as connection:
        about = submissions.find_submission(connection, PROJECT_ID, "household", "uuid:3")
    erasing.erase(centre, OPERATOR, about, next(iter(Reason)))
    assert found_at(centre, primer.name) is None
    assert not any(b"uuid:3<" in document for document in _kept_documents(centre))


def test_without_what_the_receiver_said_only_made_up_records_count(in_step):
    post, centre = in_step
    with reading(post.engine) as connection:
        primer = StoreCodec(connection).primer(PROJECT_ID, "household")
    assert primer is not None
    assert len(primer.name) == 8
    assert found_at(centre, primer.name) is not None
    assert found_at(centre, b"another") is None


def _kept_documents(centre: Node) -> list[bytes]:
    origin = origin_of(centre)
    return [
        document
        for key, primer in codec._kept._primers.items()
        if origin in key
        for document in primer.documents
    ]

"""The relay's formats as docs/relay.md says them: what stands in tests/vectors/relay is read as it must be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.relay.bundle_files import iter_messages, read_header
from server.relay.enrolling import proof_of_answer, proof_of_confirmation
from server.relay.keys import Keys
from server.relay.messages import Head, open_message, read
from sync.frames import FrameError, Payload, Sent, Skip, pack, unpack
from sync.logs import unlist_have
from sync.outline import Primer

FOLDER = Path(__file__).parent / "vectors" / "relay"
FRAMES = json.loads((FOLDER / "frames.json").read_text())
BUNDLE = json.loads((FOLDER / "bundle.json").read_text())
ENROLMENT = json.loads((FOLDER / "enrolment.json").read_text())


@dataclass(frozen=True)
class Shared:
    """The documents that both sides of a vector have."""

    primers: dict[bytes, list[bytes]]

    def primer(self, *_: object) -> Primer | None:
        return next((Primer(name, documents) for name, documents in self.primers.items()), None)

    def find_primer(self, name: bytes) -> Primer | None:
        return Primer(name, self.primers[name]) if name in self.primers else None


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["why"])
def test_a_frame_holds_what_its_vector_says(vector: dict[str, Any]) -> None:
    primers = {
        bytes.fromhex(name): [text.encode() for text in texts] for name, texts in vector["primers"].items()
    }
    codec = Shared(primers)
    frame = bytes.fromhex(vector["frame"])
    if not vector["items"]:
        with pytest.raises(FrameError):
            unpack(frame, codec)
        return
    items = unpack(frame, codec)
    assert list(map(described, items)) == vector["items"]
    assert unpack(pack(items, codec), codec) == items


def test_keys_and_proofs_are_made_as_their_vector_says() -> None:
    post, centre = (Keys(ENROLMENT[side]["node_secret"].encode()) for side in ("post", "centre"))
    assert post.public.hex() == ENROLMENT["post"]["key"]
    assert centre.public.hex() == ENROLMENT["centre"]["key"]
    assert centre.open(bytes.fromhex(ENROLMENT["sealed_to_centre"])) == ENROLMENT["sealed_text"].encode()
    assert post.sign(ENROLMENT["sealed_text"].encode()).hex() == ENROLMENT["signed_by_post"]
    secret, name = ENROLMENT["secret"], ENROLMENT["name"]
    said = (ENROLMENT["post"]["origin"], ENROLMENT["post"]["key"])
    assert proof_of_answer(secret, *said) == ENROLMENT["answer_proof"]
    back = (said[1], name, ENROLMENT["centre"]["origin"], ENROLMENT["centre"]["key"])
    assert proof_of_confirmation(secret, *back) == ENROLMENT["confirmation_proof"]


def test_a_bundle_holds_what_its_vector_says(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    path.write_bytes(bytes.fromhex(BUNDLE["bundle"]))
    post, centre = (Keys(ENROLMENT[side]["node_secret"].encode()) for side in ("post", "centre"))
    header = read_header(path)
    assert (header.sender, header.receiver) == (ENROLMENT["post"]["origin"], ENROLMENT["centre"]["origin"])
    assert (header.messages, header.entries, header.files) == (3, BUNDLE["entries"], 1)
    heads, frames, contents = [], [], []
    for sealed in iter_messages(path):
        sender, signature, content = open_message(sealed, centre)
        assert sender == header.sender
        message = read(content, signature, post.public, centre)
        heads.append(message.head)
        frames += message.frames
        contents += [part.content for part in message.parts]
    assert heads[0].have == unlist_have(BUNDLE["have"])
    assert [frame.hex() for frame in frames] == [BUNDLE["frame"]]
    assert contents == [BUNDLE["file"].encode()]


def test_every_name_in_a_message_is_told() -> None:
    told = (Path(__file__).parents[1] / "docs" / "relay.md").read_text().split("### Messages")[1]
    assert [name for name in Head.__slots__ if f"`{name}`" not in told] == []


def described(item: Sent | Skip) -> dict[str, Any]:
    """An item as vectors have it."""
    if isinstance(item, Skip):
        return {
            "skip": [item.origin, item.epoch, item.branch, item.first, item.last, item.hash.hex()],
        }
    entry, fact = item.entry, item.entry.fact
    return {
        "origin": entry.origin,
        "epoch": entry.epoch,
        "seq": entry.seq,
        "previous": entry.previous.hex(),
        "hash": entry.hash.hex(),
        "stamp": entry.stamp,
        "kind": fact.kind.value,
        "project_id": fact.project_id,
        "key": fact.key.hex() if fact.key else None,
        "payload": Payload(item.payload).name,
        "payload_hash": entry.payload_hash.hex(),
        "detail": fact.detail.decode(),
        "body": fact.body.decode(),
    }

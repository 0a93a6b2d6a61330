"""The posts at the crossings, which relay to the centre: one over the network, one by a courier with files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from server.demo.coordinator import Coordinator
from server.demo.program import Server, chapar, serving

NAMES = ("Islam Qala", "Milak")
CUT_OFF = "Milak"


@dataclass(frozen=True)
class Held:
    """What a post says. keys: (form ID, instanceID, SHA-256) of the revisions. waiting: records the centre lacks.

    rows: of one form, as an export shows them, by KEY.
    """

    name: str
    keys: frozenset[tuple[str, str, str]]
    waiting: int
    rows: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Post:
    """A post that is up. desk: where its tablets are enrolled."""

    name: str
    data: Path
    server: Server
    desk: Coordinator

    def send_up(self, centre: Path) -> None:
        """Bring to the centre what it lacks."""
        if self.name == CUT_OFF:
            _carry(self.data, centre)
        else:
            self.desk.wait_until_relayed()

    def fetch(self, centre: Path) -> None:
        """Get from the centre what is decided there, and what it has received."""
        if self.name == CUT_OFF:
            _carry(centre, self.data, "--for", self.name)
        else:
            chapar(self.data, "relay", "now")

    def look(self, form_ids: Iterable[str], shown: str) -> Held:
        """Return what the post holds of the forms, and what it shows of the one `shown`."""
        stored = {form_id: self.desk.read_stored(form_id) for form_id in form_ids}
        keys = {(form_id, *key) for form_id, one in stored.items() for key in one.revision_keys}
        return Held(self.name, frozenset(keys), self.desk.count_waiting(), self.desk.read_rows(shown))


@contextmanager
def posts_of(centre: Path, desk: Coordinator) -> Iterator[tuple[Post, ...]]:
    """Start a server at each crossing, with the forms of the centre; all are stopped when the block ends.

    centre: its data directory. desk: at the centre.
    """
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        folders = list(pool.map(lambda name: _enrol(centre, desk, name), NAMES))
        servers = [stack.enter_context(serving(folder)) for folder in folders]
        posts = []
        for name, folder, server in zip(NAMES, folders, servers, strict=True):
            server.wait_until_listening()
            own = stack.enter_context(closing(Coordinator(server.url, server.password)))
            posts.append(Post(name, folder, server, own))
        forms = desk.list_forms()
        for post in posts:
            post.desk.wait_for_forms(forms)
        yield tuple(posts)


def _enrol(centre: Path, desk: Coordinator, name: str) -> Path:
    """Make a post; return its data directory. The one without a network gets the forms by courier."""
    home = centre.with_name(name)
    home.mkdir()
    data, enrolment, answer = home / "data", home / "enrolment", home / "answer"
    told = desk.enrol_post(name)
    if name != CUT_OFF:
        enrolment.write_bytes(orjson.dumps(told))
        chapar(data, "post", "init", "--from", enrolment)
        return data
    enrolment.write_bytes(orjson.dumps(told | {"url": ""}))
    chapar(data, "post", "init", "--from", enrolment, "--answer", answer)
    desk.admit(answer.read_bytes())
    _carry(centre, data, "--for", name)
    return data


def _carry(sender: Path, receiver: Path, *to: str) -> None:
    """Write a bundle, and read it at the other end of the road."""
    written = chapar(sender, "bundle", "write", "--to", sender.with_name("bundle"), *to)
    for file in written["files"]:
        chapar(receiver, "bundle", "read", file["path"])
        Path(file["path"]).unlink()

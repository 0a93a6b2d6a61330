"""A node: one running Chapar with its store, and the threads that serve it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from migrations import HEAD
from server import projection
from server.auth import Authenticator
from server.intake import Deliver, Outcome, Writer
from server.projector import Projector
from server.relay.keys import Keys
from server.settings import Settings
from server.store import identity
from server.store.blobs import Blobs
from server.store.engine import (
    migrate,
    open_engine,
    open_to_look,
    reading,
    schema_revision,
    sqlite_file,
    writing,
)
from server.store.forms import KnownForms, Media, Schemas
from server.sweeping import sweep

LOCK_FILE = "server.lock"
NO_BLOB = "0" * 64


class DataDirectoryInUseError(Exception):
    """Another server already writes to this data directory."""


@dataclass
class Node:
    """The store and what is kept in memory about it. Opened by the server and by every command."""

    settings: Settings
    engine: Engine
    blobs: Blobs

    def __post_init__(self) -> None:
        self.schemas = Schemas(self.blobs)
        self.authenticator = Authenticator(self.engine)
        self.known_forms = KnownForms(self.engine)
        self._files_here: set[str] = set()

    def test_blobs(self, draft_id: str = "") -> Blobs:
        """Return where the files of a draft's tests are; without an id, the place that holds one for each draft."""
        return Blobs(self.settings.data, self.settings.blobs, f"tests/{draft_id}".rstrip("/"))

    @cached_property
    def secret(self) -> bytes:
        """What every process of this node signs with."""
        with reading(self.engine) as connection:
            return identity.secret(connection)

    @cached_property
    def keys(self) -> Keys:
        """What this node signs with, and opens what was sealed to it."""
        return Keys(self.secret)

    def has_files(self, media: Iterable[Media]) -> bool:
        """Return whether the bytes of these files are here: by relay they come after what names them."""
        wanted = {one.sha256 for one in media if one.sha256} - self._files_here
        self._files_here.update(filter(self.blobs.has, wanted))
        return wanted <= self._files_here

    def catch_up(self, until: int | None = None) -> None:
        """Bring the state up to the newest entry, so that who just wrote sees it."""
        projection.catch_up(self.engine, self.schemas, until)

    def close(self) -> None:
        """Give the store's connections back."""
        self.engine.dispose()


@dataclass
class Serving:
    """The threads of a node that takes submissions. projector: None where another process has one."""

    node: Node
    writer: Writer
    projector: Projector | None

    def close(self) -> None:
        """Commit what waits, then stop. What is not yet projected waits in the journal."""
        self.writer.close()
        if self.projector:
            self.projector.close()


def open_node(settings: Settings) -> Node:
    """Open the store in the data directory (made if missing) and bring its schema up to date.

    Raises OSError when the directory cannot be used, StoreMovedError when the records have moved elsewhere.
    """
    _make_directory(settings.data)
    engine = open_engine(settings.data, settings.database_url, settings.workers)
    try:
        migrate(engine)
        with writing(engine) as connection:
            identity.create_node(connection)
            identity.settle(connection)
    except BaseException:
        engine.dispose()
        raise
    return Node(settings, engine, Blobs(settings.data, settings.blobs))


@contextmanager
def opened_to_read(settings: Settings) -> Iterator[Node]:
    """Open the store that is there: as `open_node` does or, where its disk cannot be written, as it is.

    Then nothing can be written through it. Raises as `open_node`.
    """
    try:
        node = open_node(settings)
    except DBAPIError:
        if settings.database_url or os.access(settings.data, os.W_OK):
            raise
        node = Node(settings, open_to_look(settings.data), Blobs(settings.data, settings.blobs))
        with reading(node.engine) as connection:
            if schema_revision(connection) != HEAD:
                raise
    try:
        yield node
    finally:
        node.close()


def require_store(settings: Settings) -> None:
    """Raise FileNotFoundError where `open_node` would begin a new store."""
    if not settings.database_url and not sqlite_file(settings.data).exists():
        raise FileNotFoundError(f"There is no store in {settings.data}. Name its directory with --data.")


def start_serving(node: Node, deliver: Deliver, *, leads: bool) -> Serving:
    """Start the writer, whose outcomes go to `deliver` (in the writer's thread), and where it leads the projector."""
    with suppress(OSError):
        # Starts obstore's threads: the first use without a free file descriptor breaks it for good.
        node.blobs.has(NO_BLOB)
    projector = None
    if leads:
        dropping = partial(sweep, node.engine, node.blobs)
        projector = Projector(node.engine, node.schemas, node.settings, dropping)

    def committed(outcomes: Sequence[tuple[object, Outcome | Exception]]) -> None:
        deliver(outcomes)
        if projector:
            projector.wake()

    return Serving(node, Writer(node.engine, node.blobs, node.settings.queue_max, committed), projector)


@contextmanager
def lock_data(data: Path) -> Iterator[None]:
    """Hold the data directory for one server. Raises DataDirectoryInUseError at once when another holds it.

    The system frees the lock when the process ends, however it ends.
    """
    _make_directory(data)
    with (data / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataDirectoryInUseError(
                f"Another server is already serving {data}{_address(data)}. "
                "Stop it first, or choose another directory with --data."
            ) from None
        file.truncate(0)
        yield


def announce(data: Path, url: str) -> None:
    """Write down where the server that holds the lock can be reached, for commands beside it."""
    (data / LOCK_FILE).write_text(f"{url}\n")


def find_serving_url(data: Path) -> str | None:
    """Return the URL of the server that holds this data directory now, None when none does."""
    path = data / LOCK_FILE
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read().strip() or None
    return None


def _make_directory(data: Path) -> None:
    """Make the data directory for this account alone; one that is there keeps its permissions."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)


def _address(data: Path) -> str:
    url = find_serving_url(data)
    return f" at {url}" if url else ""

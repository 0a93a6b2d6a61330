"""A backup: one zip with the facts of a node and every file that they name, made while it serves.

`chapar.sqlite` holds what is not derived, whichever database the node has; `blobs/` the files; `manifest.json`, written
last, says what must be there. Unpacked, it is a data directory.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812

import orjson
from sqlalchemy import Connection, Engine

from migrations import HEAD
from server.backup_place import Look, choose_target, looking, room_kept, room_told
from server.node import Node
from server.progress import Advance, Report
from server.store import journal
from server.store.chain import node_head, verify_journal
from server.store.copying import KEPT, copy_rows
from server.store.engine import migrate, open_engine, reading, writing
from server.store.files import named_files
from server.sweeping import sweep
from sync.journal import BrokenChainError

FACTS = "chapar.sqlite"
MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20
FACTS_LEVEL = 1
"""Bodies are compressed already; the rest shrinks to a third, and quickly. Files are stored as they are."""


class BackupError(Exception):
    """A backup that cannot be used: it is no backup, altered, or of a newer version."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    schema: of the tables. made_at: all that was acknowledged before is in it; ISO 8601, UTC. origin, epoch, seq, hash:
    where the log ended. facts_sha256: of `chapar.sqlite`. files: how many, and file_bytes together. missing: SHA-256 of
    the files that the node had lost, or that were altered there. fault: what was wrong with the journal, "" for nothing.
    """

    software: str
    schema: str
    made_at: str
    origin: str
    epoch: str
    seq: int
    hash: str
    entries: int
    facts_sha256: str
    files: int
    file_bytes: int
    missing: Sequence[str]
    fault: str


def back_up(node: Node, to: Path, report: Report) -> tuple[Path, Manifest]:
    """Write a backup to the file `to`, or under a name with the time into the folder `to`; return where, and what.

    It is on the disk when this returns, and has its name only once it is whole. What the node itself has lost is told
    in the manifest: a backup of the rest is worth the more. On a disk that the node stores on, what is kept there for
    texts stays free. Raises FileExistsError, FileNotFoundError, OSError.
    """
    made_at = datetime.now(UTC)
    target = choose_target(to, made_at, node.settings.data)
    sweep(node.engine, node.blobs)  # what is erased is not carried away
    look = room_kept(node, target.parent)
    with (
        room_told(target.parent),
        TemporaryDirectory(prefix=".chapar-backup-", dir=target.parent) as name,
    ):
        folder = Path(name)
        engine = open_engine(folder)
        try:
            _copy_facts(node.engine, engine, looking(report, look))
            with reading(engine) as connection:
                head, entries = node_head(connection), journal.head_position(connection)
                fault = _find_fault(connection, report)
                named = sorted(named_files(connection))
        finally:
            engine.dispose()
        unfinished = folder / target.name
        unfinished.touch(mode=0o600)
        with unfinished.open("wb") as file:
            with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=FACTS_LEVEL) as archive:
                sha256 = _add_facts(archive, folder / FACTS, look)
                advance = report("copying files", len(named))
                file_bytes, missing = _add_files(archive, node, named, advance, look)
                manifest = Manifest(
                    software=version("chapar-server"),
                    schema=HEAD,
                    made_at=made_at.isoformat(timespec="seconds"),
                    origin=head.origin,
                    epoch=head.epoch,
                    seq=head.seq,
                    hash=head.hash.hex(),
                    entries=entries,
                    facts_sha256=sha256,
                    files=len(named) - len(missing),
                    file_bytes=file_bytes,
                    missing=missing,
                    fault=fault,
                )
                archive.writestr(ZipInfo(MANIFEST), _sealed(manifest))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
        _fsync_folder(target.parent)
    return target, manifest


class Backup:
    """A backup that is read: its manifest, its facts as a store, its files. All raise BackupError where it is damaged."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        try:
            with _reading():
                sealed = archive.read(MANIFEST)
            told = orjson.loads(sealed)["manifest"]
            if str(told["schema"]) > HEAD:  # first: it may tell more than this version knows of
                raise BackupError(f"It was made by a newer version, {told['software']}. Install that one.")
            self.manifest = Manifest(**told)
        except (KeyError, TypeError, orjson.JSONDecodeError):
            raise BackupError("It is no backup of Chapar, or not all of it is there.") from None
        if sealed != _sealed(self.manifest):
            raise BackupError("Its manifest was altered.")

    def open_facts(self, folder: Path, report: Report) -> Engine:
        """Unpack the facts into `folder`, check them and bring them up to date; the caller disposes of the engine."""
        if _unpack(self._archive, FACTS, folder / FACTS) != self.manifest.facts_sha256:
            raise BackupError(f"{FACTS} in it was altered.")
        engine = open_engine(folder)
        migrate(engine)
        with reading(engine) as connection:
            if fault := _find_fault(connection, report):
                raise BackupError(f"Its journal is not whole: {fault}.")
        return engine

    def iter_files(self, connection: Connection, report: Report) -> Iterator[Iterator[bytes]]:
        """Yield the chunks of each file that the facts name; who takes them all has seen them checked."""
        named = sorted(named_files(connection) - set(self.manifest.missing))
        advance = report("files", len(named))
        for sha256 in named:
            yield self._chunks(sha256)
            advance(1)

    def _chunks(self, sha256: str) -> Iterator[bytes]:
        found = hashlib.sha256()
        try:
            with _reading():
                file = self._archive.open(_name(sha256))
        except KeyError:
            raise BackupError(f"The file {sha256} is missing in it.") from None
        with file:
            while chunk := _read(file):
                found.update(chunk)
                yield chunk
        if found.hexdigest() != sha256:
            raise BackupError(f"The file {sha256} in it was altered.")


@contextmanager
def opened_backup(path: Path) -> Iterator[Backup]:
    """Open a backup. Raises BackupError, also for what is found out later, and OSError."""
    try:
        with _reading():
            archive = ZipFile(path)
        with archive:
            yield Backup(archive)
    except BackupError as error:
        raise BackupError(f"{path} cannot be used. {error}") from None


def verify_backup(path: Path, report: Report) -> Manifest:
    """Read all of a backup. Raises BackupError when anything is not as it was written, OSError."""
    with opened_backup(path) as backup, TemporaryDirectory() as folder:
        engine = backup.open_facts(Path(folder), report)
        try:
            with reading(engine) as connection:
                for chunks in backup.iter_files(connection, report):
                    for _ in chunks:
                        pass
        finally:
            engine.dispose()
        return backup.manifest


def _copy_facts(source: Engine, target: Engine, report: Report) -> None:
    migrate(target)
    with reading(source) as facts, writing(target) as copy:
        copy_rows(facts, copy, KEPT, report)


def _find_fault(connection: Connection, report: Report) -> str:
    try:
        verify_journal(connection, report)
    except BrokenChainError as error:
        return str(error)
    return ""


def _add_facts(archive: ZipFile, path: Path, look: Look) -> str:
    """Add the store, which is closed; return its SHA-256."""
    sha256 = hashlib.sha256()
    with path.open("rb") as source, archive.open(FACTS, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK_BYTES):
            look()
            sha256.update(chunk)
            target.write(chunk)
    return sha256.hexdigest()


def _add_files(
    archive: ZipFile, node: Node, named: Sequence[str], advance: Advance, look: Look
) -> tuple[int, list[str]]:
    """Add the blobs; return their size in bytes, and those that are missing or not what their name says."""
    size, missing = 0, []
    for digest in named:
        sha256 = hashlib.sha256()
        try:
            chunks = node.blobs.stream(digest)
        except FileNotFoundError:
            missing.append(digest)
            continue
        with archive.open(ZipInfo(_name(digest)), "w", force_zip64=True) as target:
            for chunk in chunks:
                look()
                sha256.update(chunk)
                size += target.write(chunk)
        if sha256.hexdigest() != digest:
            missing.append(digest)
        advance(1)
    return size, missing


def _name(digest: str) -> str:
    return f"blobs/{digest[:2]}/{digest[2:]}"


def _sealed(manifest: Manifest) -> bytes:
    """The manifest and its own digest."""
    plain = asdict(manifest)
    sha256 = hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return orjson.dumps({"manifest": plain, "sha256": sha256}, option=orjson.OPT_INDENT_2)


def _unpack(archive: ZipFile, name: str, path: Path) -> str:
    sha256 = hashlib.sha256()
    path.touch(mode=0o600)
    with _reading():
        source = archive.open(name)
    with source, path.open("wb") as target:
        while chunk := _read(source):
            sha256.update(chunk)
            target.write(chunk)
    return sha256.hexdigest()


def _read(file: IO[bytes]) -> bytes:
    with _reading():
        return file.read(CHUNK_BYTES)


@contextmanager
def _reading() -> Iterator[None]:
    """Tell in one way all that zipfile says of bytes that are no longer what was written."""
    try:
        yield
    except (BadZipFile, ZlibError, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise BackupError(f"It is damaged or cut off: {error}.") from None


def _fsync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

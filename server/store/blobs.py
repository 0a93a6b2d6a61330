"""Attachments and sheets by content: one blob for one SHA-256, in a folder or in S3, never changed.

A blob is durable (file and directory fsynced, or acknowledged by S3) before any row names it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from server.store.uploads import Upload

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore, RetryConfig

CHUNK_BYTES = 1 << 20
KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}")
PROBE = "probe"
ADVICE = (
    "Attachments cannot be kept there. Look at CHAPAR_BLOBS (s3://BUCKET/PREFIX), AWS_ENDPOINT, AWS_REGION, "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
)
UNFINISHED = ".unfinished-"
UNFINISHED_S_MAX = 3600
PARTS_MAX = 3
"""Parts of 5 MB of one large file that are on their way, and in memory, at once."""
RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=15)}
"""A tablet waits for the answer, and knows itself to come again."""


class BlobStoreError(OSError):
    """S3 did not do what was asked of it."""


class Blobs:
    """Content-addressed bytes. Keys are `ab/cdef…`, the first two hex digits a folder.

    scratch: the folder for what is not kept. part: a place of their own, as `tests/1f…`, so that they can be dropped
    together. Every method may raise BlobStoreError.
    """

    def __init__(self, data: Path, url: str = "", part: str = "") -> None:
        self.scratch = data / "tmp"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._folder = None if url else data / (part or "blobs")
        if self._folder and not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _fsync(self._folder.parent)
        self._address = f"{url.rstrip('/')}/{part}" if part else url

    @cached_property
    def _store(self) -> ObjectStore:
        # Here, as most commands need no blob: it takes 4 MB, and threads.
        from obstore.store import LocalStore, from_url

        return LocalStore(self._folder) if self._folder else from_url(self._address, retry_config=RETRY)

    def check(self) -> None:
        """Make sure that S3 lets this server write and delete; a folder was made and fsynced already."""
        if self._folder is None:
            try:
                with _told(found=False):
                    self._store.put(PROBE, b"")
                    self._store.delete(PROBE)
            except BlobStoreError as error:
                raise BlobStoreError(errno.EIO, f"{error.strerror}. {ADVICE}") from None

    @property
    def folder(self) -> Path | None:
        """Where they are; None in S3."""
        return self._folder

    def open_upload(self) -> Upload:
        """Return a place to stream an upload into; small ones stay in memory."""
        return Upload(self.scratch)

    def open_media(self) -> Upload:
        """Return the same for a file that is refused when the rest of the disk is kept for texts."""
        return Upload(self.scratch, [self.scratch, *([self._folder] if self._folder else [])])

    def put(self, content: bytes) -> str:
        """Store the bytes durably; return their SHA-256 as hex."""
        with self.open_upload() as upload:
            upload.write(content)
            return self.keep(upload)

    def keep(self, upload: Upload) -> str:
        """Store a finished upload durably; return its SHA-256 as hex. Storing it twice is storing it once."""
        digest = upload.sha256
        key = _key(digest)
        is_here = self._size(key) == upload.size
        if self._folder:
            path = self._folder / key
            if not is_here:
                self._write(path, upload)
            for folder in (path.parent, self._folder):
                _fsync(folder)
        elif not is_here:
            with _told(found=False):
                self._store.put(key, upload.rewound(), max_concurrency=PARTS_MAX)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the whole blob. Raises FileNotFoundError."""
        with _told():
            return bytes(self._store.get(_key(digest)).bytes())

    def stream(self, digest: str) -> Generator[bytes]:
        """Yield the blob in chunks of about a megabyte. Raises FileNotFoundError at once."""
        with _told():
            return _chunks(self._store.get(_key(digest)))

    def read_range(self, digest: str, start: int, length: int) -> bytes:
        """Return bytes of a blob from `start` on. Raises FileNotFoundError."""
        with _told():
            return bytes(self._store.get_range(_key(digest), start=start, length=length)) if length else b""

    def size(self, digest: str) -> int | None:
        """Return the blob's size in bytes, None when it is not here."""
        return self._size(_key(digest))

    def has(self, digest: str) -> bool:
        """Return whether the blob is here."""
        return self.size(digest) is not None

    def delete(self, digest: str) -> None:
        """Delete a blob for ever; one that is not here is no error."""
        with suppress(FileNotFoundError), _told():
            self._store.delete(_key(digest))
        if self._folder:
            with suppress(FileNotFoundError):
                _fsync((self._folder / _key(digest)).parent)

    def clear_unfinished(self) -> None:
        """Delete what a kill left of files that were being written; young ones may be somebody's at work."""
        for path in self._folder.glob(f"{UNFINISHED}*") if self._folder else ():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > UNFINISHED_S_MAX:
                    path.unlink()

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of every blob, by SHA-256."""
        with _told():
            return {
                one["path"].replace("/", ""): one["size"]
                for page in self._store.list()
                for one in page
                if KEY.fullmatch(one["path"])
            }

    def list_parts(self) -> list[str]:
        """Return the names of the parts below this one."""
        if self._folder:
            return [path.name for path in self._folder.iterdir()]
        with _told():
            return list(self._store.list_with_delimiter()["common_prefixes"])

    def drop(self) -> None:
        """Delete all of them."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        with _told():
            for page in self._store.list():
                self._store.delete([one["path"] for one in page])

    def _write(self, path: Path, upload: Upload) -> None:
        """Give a file its name only once its bytes are on the disk, so that who finds it may believe it.

        After an fsync that failed the system may have dropped the bytes, and say yes to the next one.
        """
        assert self._folder
        path.parent.mkdir(exist_ok=True)
        unfinished = self._folder / f"{UNFINISHED}{secrets.token_hex(8)}"
        try:
            with unfinished.open("xb") as file:
                shutil.copyfileobj(upload.rewound(), file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _size(self, key: str) -> int | None:
        with suppress(FileNotFoundError), _told():
            return self._store.head(key)["size"]
        return None


def _chunks(result: GetResult) -> Generator[bytes]:
    with _told():
        for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)


@contextmanager
def _told(*, found: bool = True) -> Iterator[None]:
    """Tell what S3 answered in one line. found: that something is not there is an answer, not a failure."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, ValueError) as error:  # the last for an address that is none
        if found and isinstance(error, FileNotFoundError):
            raise
        raise BlobStoreError(errno.EIO, str(error).partition("\n")[0]) from None


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest[2:]}"


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

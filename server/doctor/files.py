"""The blobs: each that a fact or a draft names is there, with the content that its name says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from sqlalchemy import Engine

from server.doctor.findings import Check, Finding
from server.progress import Report
from server.settings import MEGABYTE
from server.store import dropping
from server.store.blobs import Blobs, BlobStoreError
from server.store.engine import reading
from server.store.files import named_files

SHOWN_MAX = 3


def check_blobs(engine: Engine, blobs: Blobs, report: Report, *, quick: bool) -> Iterator[Finding]:
    """Look for every named blob and, unless `quick`, read it; count those that nothing names."""
    check = Check("blobs")
    try:
        # Listed before it is asked what is named: what comes in meanwhile is nobody's orphan.
        here = {} if quick else blobs.sizes()
        with reading(engine) as connection:
            named = sorted(named_files(connection))
        advance = report("checking the blobs", len(named))
        lost: list[str] = []
        altered: list[str] = []
        for digest in named:
            if (whole := _is_whole(blobs, digest, quick=quick)) is not True:
                (lost if whole is None else altered).append(digest)
            advance(1)
    except BlobStoreError as error:
        yield check.broken(
            f"S3 does not answer: {error.strerror}", "Look at CHAPAR_BLOBS and at the S3 server."
        )
        return
    with reading(engine) as connection:
        erased = dropping.list_dropped_blobs(connection, lost)  # while we looked
    lost = [digest for digest in lost if digest not in erased]
    if lost:
        yield _broken(check, f"{len(lost)} of {len(named)} are missing", lost)
    if altered:
        yield _broken(check, f"{len(altered)} of {len(named)} have another content than came in", altered)
    if not lost and not altered:
        yield check.fine(f"{len(named):,} are there" + ("" if quick else ", each with its SHA-256"))
    yield from _orphans(check, [here[digest] for digest in here.keys() - set(named)])


def _is_whole(blobs: Blobs, digest: str, *, quick: bool) -> bool | None:
    """Whether the blob is what its name says; None when it is not there."""
    if quick:
        return blobs.has(digest) or None
    found = hashlib.sha256()
    try:
        for chunk in blobs.stream(digest):
            found.update(chunk)
    except FileNotFoundError:
        return None
    return found.hexdigest() == digest


def _broken(check: Check, what: str, digests: Sequence[str]) -> Finding:
    shown = ", ".join(digests[:SHOWN_MAX]) + (" …" if len(digests) > SHOWN_MAX else "")
    return check.broken(
        f"{what}: {shown}",
        "Take them from a backup (`chapar backup`), or ask the tablets to send those records again.",
    )


def _orphans(check: Check, sizes: Sequence[int]) -> Iterator[Finding]:
    if sizes:
        size = sum(sizes) / MEGABYTE
        yield check.fine(
            f"{len(sizes)} more, {size:,.1f} MB, are named by nothing: sendings cut off. They do no harm"
        )

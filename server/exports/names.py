"""File names that every system takes and that lead nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

BYTES_MAX = 180
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\?<>:*|"\u202a-\u202e\u2066-\u2069]')
"""What Windows refuses, and the signs that turn the direction of what follows (`photo\u202egpj.exe`)."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_name(name: str) -> str:
    """Return the name without what a file system refuses or takes for a folder; two names may become one."""
    plain = FORBIDDEN.sub("", name).rstrip(". ")
    if not plain or RESERVED.fullmatch(plain):
        plain = f"_{plain}"
    suffix = PurePosixPath(plain).suffix if len(PurePosixPath(plain).suffix) <= 8 else ""
    stem = plain.removesuffix(suffix).encode()[: BYTES_MAX - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def own_name(name: str) -> str:
    """Return a safe name that is this name's alone: one that had to change carries a piece of its SHA-256."""
    plain = safe_name(name)
    return plain if plain == name else _marked(plain, name)


def folder_name(instance_id: str) -> str:
    """Return the folder of a submission's files: its UUID, or a marked name for an ID that is not `uuid:…`."""
    uuid = instance_id.removeprefix("uuid:")
    return own_name(uuid) if uuid != instance_id else _marked(safe_name(instance_id), instance_id)


def own_names(names: Iterable[str]) -> dict[str, str]:
    """Return own names that differ by more than capitals, which Windows and macOS do not tell apart."""
    given: dict[str, str] = {}
    for name in sorted(names):
        plain = own_name(name)
        taken = {other.casefold() for other in given.values()}
        given[name] = _marked(plain, name) if plain.casefold() in taken else plain
    return given


def _marked(plain: str, name: str) -> str:
    path = PurePosixPath(plain)
    return f"{path.stem}-{hashlib.sha256(name.encode()).hexdigest()[:8]}{path.suffix}"


def unlike(names: Iterable[str], length_max: int | None = None, sign: str = "~") -> list[str]:
    """Return the names, cut to a length, those that differ from an earlier one in capitals only with `~2`, `~3`, …"""
    given: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain, times = name[:length_max], 1
        while plain.casefold() in taken:
            times += 1
            mark = f"{sign}{times}"
            plain = name[: None if length_max is None else length_max - len(mark)] + mark
        taken.add(plain.casefold())
        given.append(plain)
    return given

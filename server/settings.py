"""Settings: from flags, then from the environment (`CHAPAR_…`). What makes no sense is refused before it is used."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le

MEGABYTE = 1_000_000
DAY_S = 86_400
PREFIX = "CHAPAR_"
OF_TESTS = frozenset({"CHAPAR_SOAK", "CHAPAR_TEST_DATABASE_URL"})
DRIVERS = frozenset({"postgresql", "postgresql+psycopg"})
Number = Annotated[int, Ge(1)]
Seconds = Annotated[float, Gt(0), Le(DAY_S)]


class SettingsError(ValueError):
    """A setting that cannot be read. Its text names settings, never values: one may be a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may set. Sizes in bytes.

    data: the data directory: database, blobs, lock. database_url: PostgreSQL instead of SQLite there.
    blobs: `s3://bucket/prefix` instead of the data directory. public_url: when a proxy hides the Host tablets use.
    submission_bytes_max: what tablets are told to put into one request. request_bytes_max: refused above.
    xml_bytes_max: an instance above is kept in quarantine. queue_max: arrivals that may wait for the writer.
    patience_s: how long a client may send nothing, or next to nothing.
    log_format: `text`, or `json` for whoever collects logs. metrics_token: what `/metrics` asks for, see `server.health`.
    workers: processes that serve, see `server.workers`. relay_every_s: how often a post asks its centre when it has
    nothing to tell.
    """

    data: Path = Path("chapar-data")
    host: str = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65_535)] = 8383
    database_url: str = ""
    blobs: str = ""
    public_url: str = ""
    log_level: str = "warning"
    log_format: Literal["text", "json"] = "text"
    metrics_token: str = ""
    workers: Number = 1
    submission_bytes_max: Number = 100 * MEGABYTE
    request_bytes_max: Number = 1000 * MEGABYTE
    xml_bytes_max: Number = 8 * MEGABYTE
    queue_max: Number = 2000
    patience_s: Seconds = 60
    relay_every_s: Seconds = 60


def read_settings(environment: Mapping[str, str], given: Mapping[str, object]) -> Settings:
    """Return the settings: as given, else from the environment, else the defaults. Raises SettingsError.

    A variable that is there and empty, as compose files make them, is not set.
    """
    # inside: who is told its settings needs no pydantic, 8 MB
    from pydantic import TypeAdapter, ValidationError

    names = Settings.__dataclass_fields__
    named = {name.upper(): text for name, text in environment.items()}
    said = {name: text for name in names if (text := named.get(PREFIX + name.upper()))}
    try:
        settings = TypeAdapter(Settings).validate_python({**said, **given})
    except ValidationError as error:
        wrong = [f"{PREFIX}{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()]
        raise SettingsError("; ".join(wrong)) from None
    if faults := [f"{what}. {do}" for what, do in iter_faults(settings)]:
        raise SettingsError(" ".join(faults))
    return settings


def iter_faults(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what makes no sense though its type is right, and what to do. Names settings, never values."""
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        yield f"{PREFIX}LOG_LEVEL is no level", "Use debug, info, warning, error or critical."
    for name in ("submission_bytes_max", "xml_bytes_max"):
        if getattr(settings, name) > settings.request_bytes_max:
            yield (
                f"{PREFIX}{name.upper()} is above {PREFIX}REQUEST_BYTES_MAX",
                "Tablets would send what is refused. Raise the latter, or lower the former.",
            )
    if settings.blobs and not settings.blobs.startswith("s3://"):
        yield f"{PREFIX}BLOBS is no s3:// address", "Use s3://BUCKET/PREFIX, or leave it out."
    if settings.database_url and not is_of_postgresql(settings.database_url):
        yield (
            f"{PREFIX}DATABASE_URL is no postgresql:// address",
            "Use postgresql://USER@HOST/NAME, or leave it out: SQLite needs none.",
        )
    if settings.public_url and not _is_of_web(settings.public_url):
        yield (
            f"{PREFIX}PUBLIC_URL is no address of a web server",
            "Use what tablets reach this server by, as https://post-3.example.org",
        )


def iter_unknown(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each variable that looks like a setting and is none, and what to do."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
    for name in sorted(environment.keys() - OF_TESTS):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            meant = "".join(difflib.get_close_matches(name.upper(), known, 1))
            yield f"{name} is no setting", f"Did you mean {meant}?" if meant else "Remove it."


def is_of_postgresql(url: str) -> bool:
    """Return whether it is an address of a PostgreSQL database that can be read."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).drivername in DRIVERS
    except (ArgumentError, ValueError):
        return False


def _is_of_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.query

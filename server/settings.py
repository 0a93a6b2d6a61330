"""Settings: from flags, then from the environment (`CHAPAR_…`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

MEGABYTE = 1_000_000
PREFIX = "CHAPAR_"


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
    workers: Annotated[int, Ge(1)] = 1
    submission_bytes_max: int = 100 * MEGABYTE
    request_bytes_max: int = 1000 * MEGABYTE
    xml_bytes_max: int = 8 * MEGABYTE
    queue_max: int = 2000
    patience_s: float = 60
    relay_every_s: float = 60


def read_settings(environment: Mapping[str, str], given: Mapping[str, object]) -> Settings:
    """Return the settings: as given, else from the environment, else the defaults. Raises SettingsError."""
    # inside: who is told its settings needs no pydantic, 8 MB
    from pydantic import TypeAdapter, ValidationError

    names = Settings.__dataclass_fields__
    named = {name.upper(): text for name, text in environment.items()}
    said = {name: named[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in named}
    try:
        return TypeAdapter(Settings).validate_python({**said, **given})
    except ValidationError as error:
        wrong = (f"{PREFIX}{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors())
        raise SettingsError("; ".join(wrong)) from None

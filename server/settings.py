"""Settings: from the environment (`CHAPAR_…`) and, before that, from flags."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MEGABYTE = 1_000_000


class Settings(BaseSettings):
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

    model_config = SettingsConfigDict(env_prefix="CHAPAR_")

    data: Path = Path("chapar-data")
    host: str = "127.0.0.1"
    port: int = Field(8383, ge=0, le=65_535)
    database_url: str = ""
    blobs: str = ""
    public_url: str = ""
    log_level: str = "warning"
    log_format: Literal["text", "json"] = "text"
    metrics_token: str = ""
    workers: int = Field(1, ge=1)
    submission_bytes_max: int = 100 * MEGABYTE
    request_bytes_max: int = 1000 * MEGABYTE
    xml_bytes_max: int = 8 * MEGABYTE
    queue_max: int = 2000
    patience_s: float = 60
    relay_every_s: float = 60

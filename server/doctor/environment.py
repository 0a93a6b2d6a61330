"""Settings that make no sense, alone or together."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from server.doctor.findings import Check, Finding
from server.settings import PREFIX, Settings

OURS = frozenset({"CHAPAR_SOAK", "CHAPAR_TEST_DATABASE_URL"})
"""Of the tests."""


def check_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the settings and at the environment that they come from."""
    check = Check("settings")
    yield from list(_settings(check, settings, environment)) or [check.fine("they make sense")]


def _settings(check: Check, settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
    for name in sorted(environment.keys() - known - OURS):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            meant = "".join(difflib.get_close_matches(name.upper(), known, 1))
            yield check.warning(f"{name} is no setting", f"Did you mean {meant}?" if meant else "Remove it.")
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        yield check.broken(
            f"{PREFIX}LOG_LEVEL is {settings.log_level}", "Use debug, info, warning, error or critical."
        )
    if settings.queue_max < 1:
        yield check.broken(f"{PREFIX}QUEUE_MAX is {settings.queue_max}", "Let at least 1 arrival wait.")
    for name in ("submission_bytes_max", "xml_bytes_max"):
        if getattr(settings, name) > settings.request_bytes_max:
            yield check.broken(
                f"{PREFIX}{name.upper()} is above {PREFIX}REQUEST_BYTES_MAX",
                "Tablets would send what is refused. Raise the latter, or lower the former.",
            )
    if settings.blobs and not settings.blobs.startswith("s3://"):
        yield check.broken(f"{PREFIX}BLOBS is no s3:// address", "Use s3://BUCKET/PREFIX, or leave it out.")
    if settings.database_url and not settings.database_url.startswith("postgresql"):
        yield check.broken(
            f"{PREFIX}DATABASE_URL is no postgresql:// address",
            "Use postgresql://USER@HOST/NAME, or leave it out: SQLite needs none.",
        )
    url = urlsplit(settings.public_url)
    if settings.public_url and (url.scheme not in {"http", "https"} or not url.hostname or url.query):
        yield check.broken(
            f"{PREFIX}PUBLIC_URL is {settings.public_url}",
            "Use what tablets reach this server by, as https://post-3.example.org",
        )

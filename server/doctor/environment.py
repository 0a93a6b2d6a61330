"""Settings that make no sense, or do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from server.doctor.findings import Check, Finding
from server.settings import Settings, iter_faults, iter_unknown


def check_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the settings and at the environment that they come from."""
    check = Check("settings")
    found = [check.broken(what, do) for what, do in iter_faults(settings)]
    found += [check.warning(what, do) for what, do in iter_unknown(environment)]
    yield from found or [check.fine("they make sense")]

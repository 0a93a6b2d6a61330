"""What a check finds: what, how bad, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is: also the exit code, as monitoring plugins use them."""

    FINE = 0
    WARNING = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at. do: what to do, "" when it is fine. None of it is personal data."""

    check: str
    level: Level
    what: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Makes the findings of one check. name: as `disk`."""

    name: str

    def fine(self, what: str) -> Finding:
        """All is well."""
        return Finding(self.name, Level.FINE, what)

    def warning(self, what: str, do: str) -> Finding:
        """It works, but somebody has to look."""
        return Finding(self.name, Level.WARNING, what, do)

    def broken(self, what: str, do: str) -> Finding:
        """Something does not work, or is lost."""
        return Finding(self.name, Level.BROKEN, what, do)

"""Log lines: what failed and where, never the text of an error that may hold an answer."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from sqlalchemy.exc import OperationalError

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Formatter(logging.Formatter):
    """Writes the frames and the kind of an error; its text only when the machine or the database speaks."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatException(self, ei: Raised) -> str:  # noqa: N802  (logging's name)
        """Return the traceback without the values that an error's text may quote."""
        kind, error, trace = ei
        if kind is None:
            return ""
        text = ""
        if isinstance(error, OSError):
            text = f": {error.strerror}"
        elif isinstance(error, OperationalError):
            text = f": {error.orig}"
        return "".join(traceback.format_tb(trace)) + kind.__name__ + text


def to_standard_error(level: str) -> None:
    """Send records of at least this level to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])

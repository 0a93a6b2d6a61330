"""Log lines: what failed and where, never the text of an error that may hold an answer.

As text, or as one JSON object a line for whoever collects logs. A line that is written for a request names the
request's ID, in whatever thread it is written.
"""

from __future__ import annotations

import logging
import re
import secrets
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any

import orjson

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SANE_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request at hand; "" outside one. Threads that an endpoint runs in inherit it."""


_PROCESS = secrets.token_hex(4)
_numbers = count(1)


def choose_request_id(given: bytes | None) -> str:
    """Return the ID that a client or proxy gave, when it can stand in a log, else a new one."""
    if given is not None and SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{_PROCESS}{next(_numbers):08x}"


class Formatter(logging.Formatter):
    """Writes the frames and the kind of an error; its text only when the machine or the database speaks."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; its first line ends with the request's ID."""
        line, newline, rest = super().format(record).partition("\n")
        name = request_id.get()
        return f"{line} [{name}]{newline}{rest}" if name else line + newline + rest

    def formatException(self, ei: Raised) -> str:  # noqa: N802  (logging's name)
        """Return the traceback without the values that an error's text may quote."""
        kind, error, trace = ei
        if kind is None:
            return ""
        from sqlalchemy.exc import OperationalError  # here: whoever can be refused imports this module

        text = ""
        if isinstance(error, OSError):
            text = f": {error.strerror}"
        elif isinstance(error, OperationalError):
            text = f": {error.orig}"
        return "".join(traceback.format_tb(trace)) + kind.__name__ + text


class JsonFormatter(Formatter):
    """Writes a record as one JSON object: time (ISO, UTC), level, logger, message; request_id and error when there
    are; and what the record was given as `extra={"fields": …}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of JSON."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": when.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if name := request_id.get():
            line["request_id"] = name
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line | getattr(record, "fields", {}), default=str).decode()


def to_standard_error(level: str, form: str = "text") -> None:
    """Send records of at least this level to standard error. form: `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])

"""Log lines: what failed and where, never the text of an error that may hold an answer.

As text, or as one JSON object a line for whoever collects logs. A line that is written for a request names the
request's ID, in whatever thread it is written.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import threading
import traceback
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any, TextIO

import orjson

Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
log = logging.getLogger("chapar.logs")
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

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the first line."""
        record.message = _message(record)
        return super().formatMessage(record)

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
            "message": _message(record),
        }
        if name := request_id.get():
            line["request_id"] = name
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        line |= getattr(record, "fields", {})
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # half a surrogate pair, as names of files may have; a number above 64 bits
            return json.dumps(line, default=str)


def to_standard_error(level: str, form: str = "text") -> None:
    """Send records of at least this level to standard error, and what nobody caught too. form: `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else Formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    sys.excepthook = lambda kind, error, trace: _uncaught("the process", kind, error, trace)
    sys.unraisablehook = lambda it: _uncaught("an object's end", it.exc_type, it.exc_value, it.exc_traceback)
    threading.excepthook = lambda it: _uncaught(
        f"the thread {it.thread.name if it.thread else ''}", it.exc_type, it.exc_value, it.exc_traceback
    )
    warnings.showwarning = _show_warning


def _message(record: logging.LogRecord) -> str:
    """What a record says; asyncio would quote what a task was given, and the text of its error."""
    text = record.getMessage()
    return text.partition("\n")[0].partition("(")[0] if record.name == "asyncio" else text


def _uncaught(
    where: str, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if not issubclass(kind, SystemExit):
        log.critical("%s failed", where, exc_info=(kind, error or kind(), trace))


def _show_warning(
    message: Warning | str,  # noqa: ARG001  (it may quote a value)
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    log.warning("%s at %s, line %d", category.__name__, filename, lineno)

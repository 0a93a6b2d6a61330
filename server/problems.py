"""Refusals that a person meets, rendered once at the edge.

The number's whole part is the HTTP status; where ODK Central has the same problem, the number is Central's.
JSON callers get problem details (RFC 9457) with Central's `message` and `code` beside them; Collect gets an
OpenRosaResponse with a message to show.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from server.logs import request_id

Headers = tuple[tuple[str, str], ...]
"""Names may repeat: Collect wants each challenge in a WWW-Authenticate of its own."""

OPENROSA_HEADERS: Headers = (("X-OpenRosa-Version", "1.0"),)

TITLES = {
    400.1: "The request cannot be read",
    400.2: "The request is cut off",
    400.8: "The form has faults",
    400.11: "The answer does not suit the question",
    400.16: "The form has warnings",
    400.18: "The filter cannot be read",
    400.19: "The edit does not say what it edits",
    400.28: "The entity has faults",
    400.31: "The decision does not suit the records",
    400.32: "There is no conflict",
    400.33: "The cleaning log has faults",
    401.2: "Not signed in",
    403.1: "Not allowed",
    403.2: "The password must be changed first",
    404.1: "Not found",
    404.4: "No such draft to test",
    404.5: "The submission to edit is not found",
    405.1: "Method not allowed",
    409.3: "Already there",
    409.6: "This version is already published with other content",
    409.15: "Not the newest version",
    409.19: "Belongs to a deleted entity",
    409.31: "This version would break what is collected",
    409.32: "Somebody else published meanwhile",
    409.33: "Somebody else changed it meanwhile",
    409.34: "There is nothing to undo",
    409.35: "Forms come from the centre",
    413.1: "Too large",
    415.1: "The body is compressed",
    429.1: "Too many attempts",
    500.1: "Something went wrong here",
    501.4: "The filter asks for what is not known here",
    501.5: "The filter names what is not known here",
    503.1: "Too busy",
    503.2: "The store fails",
    503.3: "Not ready",
    507.1: "Could not be stored",
}


class Problem(Exception):
    """A refusal. detail: what happened and what to do next, in a sentence without personal data."""

    def __init__(
        self,
        code: float,
        detail: str,
        *,
        headers: Headers = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        assert code in TITLES, f"problem {code} has no title"
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers
        self.extra = dict(extra or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.code)

    def as_json(self) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": "about:blank",
            "title": TITLES[self.code],
            "status": self.status,
            "detail": self.detail,
            "message": self.detail,
            "code": self.code,
            **({"requestId": request_id.get()} if request_id.get() else {}),
            **({"details": self.extra} if self.extra else {}),
        }


def openrosa_response(message: str, nature: str = "submit_success") -> bytes:
    """Return the body that Collect looks for: well-formed, with the word OpenRosaResponse and a message.

    Source: OpenRosa 1.0 form submission API; Collect shows `message` to the enumerator.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<OpenRosaResponse xmlns="http://openrosa.org/http/response"><message nature="{nature}">'
        f"{escape(message, quote=False)}</message></OpenRosaResponse>"
    ).encode()

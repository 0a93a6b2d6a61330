"""What a client already has."""

from __future__ import annotations

from starlette.requests import Request


def known_etags(request: Request) -> set[str]:
    """Return the ETags of what the caller has. A proxy that compresses makes them weak: that counts as the same."""
    header = request.headers.get("if-none-match", "")
    return {etag.strip().removeprefix("W/") for etag in header.split(",")}

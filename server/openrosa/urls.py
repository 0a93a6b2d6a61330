"""Absolute URLs as the tablet must use them: built from the Host it used, a post has many names."""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import Scope


def absolute_url(scope: Scope, public_url: str, path: str | None = None) -> str:
    """Return the URL of `path` (default: the request's own) under the host the client used.

    public_url: what to put before the path instead, for servers behind a proxy that hides the Host.
    """
    path = quote(scope["path"] if path is None else path, safe="/:@!$&'()*+,;=~-._")
    if public_url:
        return public_url.rstrip("/") + path
    headers: dict[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    if not host:
        name, port = scope["server"]
        host = f"{name}:{port}"
    return f"{scope['scheme']}://{host}{path}"

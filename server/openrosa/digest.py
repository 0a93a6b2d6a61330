"""HTTP Digest for app users: what Collect can answer on plain http besides a token in the path.

Collect hashes MD5 with `qop=auth` and keeps a nonce for many requests, so nonces live for a day and need no memory:
each carries its time and the node's signature, the same in every process. Requests are idempotent, so a replay changes nothing.
Source: RFC 7616; okhttp-digest's DigestAuthenticator.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.request import parse_http_list, parse_keqv_list

REALM = "Chapar"
NONCE_S = 24 * 3600


def ha1(username: str, password: str) -> str:
    """Return what the store keeps of a Digest password."""
    return _md5(f"{username}:{REALM}:{password}")


def challenge(secret: bytes, *, is_stale: bool = False) -> str:
    """Return the value of a WWW-Authenticate header. secret: the node's.

    is_stale: only the nonce was too old; ask nobody for a password.
    """
    stale = ", stale=true" if is_stale else ""
    return f'Digest realm="{REALM}", qop="auth", algorithm=MD5, nonce="{_new_nonce(secret)}"{stale}'


def parse(credentials: str) -> dict[str, str]:
    """Return the parameters of a Digest Authorization header; {} when it cannot be read."""
    try:
        return parse_keqv_list(parse_http_list(credentials))
    except (ValueError, IndexError):
        return {}


def is_fresh(secret: bytes, nonce: str) -> bool:
    """Return whether this node gave the nonce within the last day."""
    stamped, _, signature = nonce.partition("-")
    if not stamped.isdecimal() or not hmac.compare_digest(
        signature.encode(), _sign(secret, stamped).encode()
    ):
        return False
    return 0 <= time.time() - int(stamped) < NONCE_S


def answers(parameters: dict[str, str], method: str, uri: str, known_ha1: str) -> bool:
    """Return whether the response was made with the password behind `known_ha1`, for this request and no other."""
    if parameters.get("uri") != uri or parameters.get("qop") != "auth":
        return False
    parts = [parameters.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")]
    expected = _md5(":".join([known_ha1, *parts, _md5(f"{method}:{uri}")]))
    return hmac.compare_digest(expected.encode(), parameters.get("response", "").encode())


def _new_nonce(secret: bytes) -> str:
    stamped = str(int(time.time()))
    return f"{stamped}-{_sign(secret, stamped)}"


def _sign(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:32]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

"""Enrolling a tablet: its account, its server URL and the QR code that sets Collect up.

Source: Collect's settings schema and CompressionUtils: base64(zlib(JSON)), at most 2,953 bytes in a QR code.
"""

from __future__ import annotations

import base64
import io
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import orjson
import segno

from server.auth import new_token, sha256_hex
from server.node import Node
from server.openrosa import digest
from server.problems import Problem
from server.store import journal, posts
from server.store.accounts import app_user_id
from server.store.drafts import FormDraft
from server.store.engine import reading, writing
from sync.journal import Fact, Kind

PASSWORD_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105  (no characters that look alike)
PASSWORD_CHARS = 16
PROJECT = {"name": "Chapar", "icon": "چ", "color": "#0b6e4f"}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a tablet needs, shown once: the secrets are not kept. username, password: for Digest by hand."""

    id: int
    name: str
    token: str
    username: str
    password: str


def create_app_user(node: Node, project_id: int, name: str, post: str = "") -> Enrolment:
    """Add an app user to the project. post: the name of a post that is to know it too. Raises Problem 404.1."""
    username = f"tablet-{secrets.token_hex(4)}"
    password = "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_CHARS))
    token = new_token()
    detail = {
        "name": name,
        "username": username,
        "token_sha256": sha256_hex(token),
        "ha1": digest.ha1(username, password),
    }
    if post:
        with reading(node.engine) as connection:
            found = posts.find_post_by_name(connection, post)
        if found is None or found.origin is None or found.revoked_at is not None:
            raise Problem(404.1, f"There is no post {post} that has answered its enrolment.")
        detail["post"] = found.origin
    _append(node, project_id, detail)
    return Enrolment(app_user_id(username), name, token, username, password)


def revoke_app_user(node: Node, project_id: int, app_user_id: int) -> None:
    """Withdraw an app user's access; what it sent stays."""
    _append(node, project_id, {"revoked_id": app_user_id})
    node.authenticator.forget()


def server_url(base_url: str, project_id: int, token: str) -> str:
    """Return the URL to put into Collect. base_url: `http://host:port`, as the tablet reaches it."""
    return f"{base_url.rstrip('/')}/v1/key/{token}/projects/{project_id}"


def test_url(base_url: str, draft: FormDraft) -> str:
    """Return the URL to put into Collect to test a draft."""
    path = f"/v1/test/{draft.token}/projects/{draft.project_id}/forms/{quote(draft.form_id, safe='')}/draft"
    return base_url.rstrip("/") + path


def test_project(draft: FormDraft) -> dict[str, str]:
    """Return how Collect is to show the project of a draft: by no chance like the real one."""
    return {"name": f"[Draft] {draft.name}", "icon": "📝", "color": "#8a5a00"}


def collect_settings(url: str, name: str, project: Mapping[str, str] = PROJECT) -> bytes:
    """Return the content of the QR code that configures Collect for this server. name: of the tablet."""
    settings = {
        "general": {
            "server_url": url,
            "form_update_mode": "match_exactly",
            "periodic_form_updates_check": "every_fifteen_minutes",
            "autosend": "wifi_and_cellular",
            "metadata_username": name,
        },
        "admin": {},
        "project": project,
    }
    return base64.b64encode(zlib.compress(orjson.dumps(settings), 9))


def qr_code(content: bytes) -> segno.QRCode:
    """Return the QR code of these settings."""
    return segno.make(content, error="m", micro=False)


def qr_png(content: bytes) -> bytes:
    """Return the QR code as a PNG."""
    buffer = io.BytesIO()
    qr_code(content).save(buffer, kind="png", scale=6)
    return buffer.getvalue()


def _append(node: Node, project_id: int, detail: Mapping[str, str | int]) -> None:
    fact = Fact(Kind.APP_USER, project_id, None, orjson.dumps(detail))
    with writing(node.engine) as connection:
        (position,) = journal.append(connection, [fact])
    assert position is not None, "a fact without key is never a repeat"
    node.catch_up(position)

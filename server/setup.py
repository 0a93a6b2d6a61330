"""The first start: a project, the bundled forms, an administrator."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from server.auth import hash_password
from server.node import Node
from server.permissions import Role
from server.store import accounts, forms, journal, posts
from server.store.engine import reading, writing
from sync.journal import Fact, Kind

if TYPE_CHECKING:
    from server.publishing import Publication

PROJECT_ID = 1
PROJECT_NAME = "Chapar"
ADMINISTRATOR = "admin@chapar.local"


@dataclass(frozen=True, slots=True)
class FirstAdministrator:
    """The account made at the first start. password: shown once, must be changed at the first sign-in."""

    email: str
    password: str


def ensure_project(node: Node) -> None:
    """Make project 1 unless it is there; at a post it comes from the centre."""
    node.catch_up()
    with reading(node.engine) as connection:
        if forms.project_exists(connection, PROJECT_ID) or posts.find_centre(connection):
            return
    detail = orjson.dumps({"name": PROJECT_NAME})
    key = b"project".ljust(32, bytes([PROJECT_ID]))
    with writing(node.engine) as connection:
        journal.append(connection, [Fact(Kind.PROJECT, PROJECT_ID, key, detail)])
    node.catch_up()


def publish_bundled(node: Node) -> list[Publication]:
    """Publish the bundled questionnaires if the project has no form yet; a post gets its forms from the centre."""
    with reading(node.engine) as connection:
        if forms.list_current(connection, PROJECT_ID) or posts.find_centre(connection):
            return []
    from server.publishing import BUNDLED, publish_file  # much to import, for a first start only

    return [publish_file(node, PROJECT_ID, path) for path in sorted(BUNDLED.glob("*.xlsx"))]


def ensure_administrator(node: Node) -> FirstAdministrator | None:
    """Add the first administrator; None when there are users already."""
    with reading(node.engine) as connection:
        if accounts.list_users(connection):
            return None
    password = secrets.token_urlsafe(12)
    hashed = hash_password(password)
    with writing(node.engine) as connection:
        accounts.add_user(connection, ADMINISTRATOR, hashed, Role.ADMINISTRATOR, one_time=True)
    return FirstAdministrator(ADMINISTRATOR, password)

"""Signed-in people for tests over HTTP: `people.patch("submissions/uuid:1", reviewState="approved")`."""

from __future__ import annotations

from copy import copy

import httpx2
from conftest import Live

from server.auth import hash_password
from server.permissions import Role
from server.store import accounts
from server.store.engine import writing

PASSWORD = "correct horse battery"


class People:
    """A coordinator, and an administrator for what only that one may. Paths are below a form of project 1.

    headers: by role.
    """

    def __init__(self, live: Live, form_id: str = "household") -> None:
        self._live = live
        self._base = f"{live.url}/v1/projects/1/forms/{form_id}"
        self.headers = {role: self._sign_in(role) for role in Role}
        live.node.catch_up()

    def at(self, form_id: str) -> People:
        """The same people at another form."""
        other = copy(self)
        other._base = f"{self._live.url}/v1/projects/1/forms/{form_id}"
        return other

    def get(self, path: str, role: Role = Role.COORDINATOR) -> httpx2.Response:
        return self._ask("GET", path, None, role)

    def post(self, path: str, role: Role = Role.COORDINATOR, **body: object) -> httpx2.Response:
        return self._ask("POST", path, body, role)

    def patch(self, path: str, role: Role = Role.COORDINATOR, **body: object) -> httpx2.Response:
        return self._ask("PATCH", path, body, role)

    def delete(self, path: str, role: Role = Role.COORDINATOR) -> httpx2.Response:
        return self._ask("DELETE", path, None, role)

    def _ask(self, method: str, path: str, body: object, role: Role) -> httpx2.Response:
        self._live.node.catch_up()
        return self._live.client.request(
            method, f"{self._base}/{path}", json=body, headers=self.headers[role]
        )

    def _sign_in(self, role: Role) -> dict[str, str]:
        email = f"{role}@example.org"
        with writing(self._live.node.engine) as connection:
            accounts.add_user(connection, email, hash_password(PASSWORD), role, one_time=False)
        answer = self._live.client.post(
            f"{self._live.url}/v1/sessions", json={"email": email, "password": PASSWORD}
        )
        return {"Authorization": f"Bearer {answer.json()['token']}"}

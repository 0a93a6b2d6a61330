"""A designer at the draft of the form `household`."""

from __future__ import annotations

import hashlib

import httpx2
import pytest
from conftest import HOUSEHOLD, PASSWORD, Live
from lxml import etree

from server.auth import hash_password
from server.store import accounts, journal
from server.store.engine import reading, writing

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
SHEET = {"Content-Type": "text/markdown"}
LISTED = HOUSEHOLD.replace(
    "| begin_repeat         | member ",
    "| select_one_from_file a.csv | kind | Kind | | | |\n| | begin_repeat | member ",
)


def version(number: object, sheet: str = HOUSEHOLD) -> str:
    return sheet.replace("| household| 1 ", f"| household| {number} ")


class Designer:
    """An administrator at the draft of `household`."""

    def __init__(self, live: Live, role: str = "administrator") -> None:
        with writing(live.node.engine) as connection:
            accounts.add_user(
                connection, f"{role}@example.org", hash_password(PASSWORD), role, one_time=False
            )
        self._auth = (f"{role}@example.org", PASSWORD)
        self.client = live.client
        self.forms = f"{live.url}/v1/projects/1/forms"
        self.form = f"{self.forms}/household"

    def ask(self, method: str, url: str, **more) -> httpx2.Response:
        return self.client.request(method, url, auth=self._auth, **more)

    def get(self, path: str) -> httpx2.Response:
        return self.ask("GET", self.form + path)

    def draft(self, sheet: str) -> httpx2.Response:
        url = f"{self.form}/draft?ignoreWarnings=true"
        return self.ask("POST", url, content=sheet.encode(), headers=SHEET)

    def publish(self, query: str = "") -> httpx2.Response:
        return self.ask("POST", f"{self.form}/draft/publish{query}")

    def tester(self) -> str:
        """The server URL for Collect."""
        return self.get("/draft").json()["serverUrl"]


def code(answer: httpx2.Response) -> float:
    return answer.json()["code"]


def positions(live: Live) -> int:
    with reading(live.node.engine) as connection:
        return journal.head_position(connection)


def listed(live: Live, url: str) -> dict[str, dict[str, str]]:
    root = etree.fromstring(live.client.get(f"{url}/formList").content)
    entries = [{etree.QName(child).localname: child.text or "" for child in one} for one in root]
    return {one["formID"]: one for one in entries}


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"

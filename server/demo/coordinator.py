"""The coordinator's desk: everything that a person does on the server, over REST."""

from __future__ import annotations

import csv
import io
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2

from server.demo.program import DemoError
from server.setup import ADMINISTRATOR, PROJECT_ID

STILL_S = 1.0
SETTLE_S = 30
RELAY_S = 120
PAGE = 250


@dataclass(frozen=True)
class Stored:
    """What the server says of one form. revision_keys: (instanceID, SHA-256). attachments: (record, name, SHA-256).

    revisions: as it counts them, with the decisions of people. decisions: of those listed. open_conflicts: as it
    counts them. contested: as it lists them.
    """

    submissions: int
    revisions: int
    decisions: int
    edits: int
    open_conflicts: int
    contested: Counter[Contest]
    records: frozenset[str]
    revision_keys: frozenset[tuple[str, str]]
    attachments: Counter[tuple[str, str, str]]

    @property
    def received(self) -> int:
        """How many revisions came from tablets."""
        return self.revisions - self.decisions


class Contest(NamedTuple):
    """A question to which tablets give several answers. record: the instanceID that all edits go back to."""

    record: str
    path: str
    answers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One that the server lists. id, seen: to decide it by. sides: the answers, the one shown first."""

    id: str
    seen: str
    about: Contest
    sides: tuple[str, ...]


class Coordinator:
    """A signed-in administrator."""

    def __init__(self, url: str, one_time_password: str) -> None:
        self._client = httpx2.Client(base_url=f"{url}/v1", timeout=60, trust_env=False)
        password = secrets.token_urlsafe(16)
        self._sign_in(one_time_password)
        self._ask("PUT", "/users/current/password", json={"old": one_time_password, "new": password})
        self._sign_in(password)

    def close(self) -> None:
        """Leave the desk."""
        self._client.close()

    def publish(self, sheet: bytes, name: str) -> None:
        """Publish a form from a Markdown sheet."""
        headers = {"Content-Type": "text/markdown", "X-XlsForm-FormId-Fallback": name}
        self._ask("POST", f"{PROJECT}/forms?publish=true", content=sheet, headers=headers)

    def enrol(self, name: str) -> str:
        """Enrol a tablet; return its server URL."""
        answer = self._ask("POST", f"{PROJECT}/app-users", json={"displayName": name})
        return str(answer.json()["serverUrl"])

    def wait_until_still(self, form_ids: list[str]) -> None:
        """Wait until the server's figures have not changed for a second."""
        ends_at = time.monotonic() + SETTLE_S
        before, since = [self._tell(form_id) for form_id in form_ids], time.monotonic()
        while time.monotonic() < min(ends_at, since + STILL_S):
            time.sleep(0.1)
            now = [self._tell(form_id) for form_id in form_ids]
            if now != before:
                before, since = now, time.monotonic()

    def read_stored(self, form_id: str) -> Stored:
        """Return all that the server says of a form's submissions, record by record."""
        told = self._tell(form_id)
        records = list(self._iter_records(form_id))
        versions = [
            one
            for record in records
            for one in self._ask("GET", f"{_place(form_id, record)}/versions").json()
        ]
        edits = [(one["instanceId"], one["sha256"]) for one in versions if one["kind"] == "edit"]
        attachments = Counter(
            (record, file["name"], file["hash"])
            for record in records
            for file in self._ask("GET", f"{_place(form_id, record)}/attachments").json()
        )
        return Stored(
            submissions=told["submissions"],
            revisions=told["revisions"],
            decisions=len(versions) - len(edits),
            edits=told["edits"],
            open_conflicts=told["openConflicts"],
            contested=Counter(one.about for one in self.list_conflicts(form_id)),
            records=frozenset(records),
            revision_keys=frozenset(edits),
            attachments=attachments,
        )

    def list_conflicts(self, form_id: str) -> list[Conflict]:
        """Return the open conflicts of a form."""
        return [
            _conflict(one) for one in self._pages(f"{_form(form_id)}/conflicts", {"state": "open"}, after="")
        ]

    def resolve(self, conflict: Conflict, side: str) -> None:
        """Decide for one of the sides."""
        decision = {"seen": conflict.seen, "candidate": conflict.sides.index(side)}
        self._ask("POST", f"{PROJECT}/conflicts/{conflict.id}/resolve", json=decision)

    def undo(self, conflict: Conflict) -> None:
        """Withdraw the decision."""
        self._ask("POST", f"{PROJECT}/conflicts/{conflict.id}/undo")

    def read_rows(self, form_id: str) -> dict[str, dict[str, str]]:
        """Return what an export of the form's own table shows now, by KEY."""
        text = self._ask("GET", f"{_form(form_id)}/submissions.csv").text
        return {row["KEY"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}

    def count_quarantined(self) -> int:
        """Return how many arrivals the server could not read."""
        return len(self._ask("GET", f"{PROJECT}/quarantine").json())

    def enrol_post(self, name: str) -> dict[str, Any]:
        """Enrol a post; return what it has to know."""
        told: dict[str, Any] = self._ask("POST", "/posts", json={"name": name}).json()
        return told

    def admit(self, answer: bytes) -> None:
        """Take in the answer of a post that cannot reach this server."""
        self._ask("POST", "/posts/answer", content=answer, headers={"Content-Type": "application/json"})

    def list_forms(self) -> set[str]:
        """Return the IDs of the published forms."""
        return {one["xmlFormId"] for one in self._ask("GET", f"{PROJECT}/forms").json()}

    def wait_for_forms(self, form_ids: set[str]) -> None:
        """Wait until they have come here, with their files. Raises DemoError."""
        _wait_until(lambda: self._has_project() and self.list_forms() >= form_ids)
        _wait_until(lambda: self._ask("GET", "/relay").json()["filesWanted"] == 0)

    def wait_until_relayed(self) -> None:
        """Wait until the centre has all that this post has. Raises DemoError."""
        _wait_until(lambda: self.count_waiting() == 0)

    def count_waiting(self) -> int:
        """Return how many records of this post its centre does not have yet, as far as the post knows."""
        waiting: int = self._ask("GET", "/relay").json()["centre"]["recordsWaiting"]
        return waiting

    def read_xml(self, form_id: str, instance_id: str, digest: str) -> bytes:
        """Return the bytes that the server keeps of a revision; none when it does not know it."""
        answer = self._client.get(f"{_place(form_id, instance_id)}/versions/{digest}.xml")
        return answer.content if answer.is_success else b""

    def _has_project(self) -> bool:
        return bool(self._ask("GET", "/projects").json())

    def _iter_records(self, form_id: str) -> Iterator[str]:
        return (one["instanceId"] for one in self._pages(f"{_form(form_id)}/submissions", {}, after=0))

    def _pages(self, path: str, wanted: Mapping[str, str], after: str | int) -> Iterator[dict[str, Any]]:
        while page := self._ask("GET", path, params={**wanted, "after": after, "limit": PAGE}).json():
            yield from page
            after = page[-1]["position"]

    def _sign_in(self, password: str) -> None:
        answer = self._ask("POST", "/sessions", json={"email": ADMINISTRATOR, "password": password})
        self._client.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def _tell(self, form_id: str) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._ask("GET", _form(form_id)).json()
        return told

    def _ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        try:
            answer = self._client.request(method, path, **given)
        except httpx2.TransportError as error:
            raise DemoError(f"{method} {path} had no answer: {type(error).__name__}.") from error
        if not answer.is_success:
            raise DemoError(f"{method} {path} was answered {answer.status_code}.")
        return answer


def _wait_until(is_so: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + RELAY_S
    while not is_so():
        if time.monotonic() > ends_at:
            raise DemoError(f"The relay took more than {RELAY_S} s.")
        time.sleep(0.2)


PROJECT = f"/projects/{PROJECT_ID}"


def _conflict(told: Mapping[str, Any]) -> Conflict:
    sides = tuple(" ".join(filter(None, side["answers"].values())) for side in told["candidates"])
    about = Contest(told["instanceId"], told["path"], frozenset(sides))
    return Conflict(told["id"], told["seen"], about, sides)


def _form(form_id: str) -> str:
    return f"{PROJECT}/forms/{quote(form_id, safe='')}"


def _place(form_id: str, instance_id: str) -> str:
    return f"{_form(form_id)}/submissions/{quote(instance_id, safe='')}"

"""A node with the entity list `people`, what tablets send it and what a coordinator does; for the tests of entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server import intake, receiving
from server.api import entities as api
from server.api.entities import Wanted
from server.intake import Outcome
from server.node import Node
from server.permissions import Actor, Role
from server.publishing import publish
from server.receiving import Sender
from server.store import entities
from server.store.engine import reading

JOHNNY, MEGAN = "12345678-1234-4123-8234-123456789abc", "12345678-1234-4123-8234-123456789ddd"
BRANCH, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
ADMINISTRATOR = Actor(1, "admin", Role.ADMINISTRATOR)
TABLET = Sender(7, "Tablet 7", "collect:x", "test")
PEOPLE = """
| survey   |                      |        |        |            |
|          | type                 | name   | label  | save_to    |
|          | select_one_from_file people.csv | person | Person | |
|          | text                 | name   | Name   | first_name |
|          | integer              | age    | Age    | age        |
|          | text                 | status | Status | status     |
| entities |                      |        |        |            |
|          | list_name            | label  | entity_id | create_if | update_if |
|          | people               | ${name} | coalesce(${person}, uuid()) | ${person} = '' | ${person} != '' |
| settings |                      |        |        |            |
|          | form_title           | form_id | version |          |
|          | People               | people | 1      |            |
"""


def record(
    instance: str,
    uuid: str = JOHNNY,
    *,
    verb: str = "update",
    base: int | str = 1,
    trunk: int | str = "",
    branch: str = "",
    label: str | None = None,
    edits: str = "",
    **answers: str,
) -> bytes:
    """An instance of the form `people` as Collect sends it; answers that are not given were not relevant."""
    given = "".join(f"<{name}>{text}</{name}>" for name, text in answers.items())
    deprecated = f"<deprecatedID>{edits}</deprecatedID>" if edits else ""
    entity = ""
    if verb:
        titled = "" if label is None else f"<label>{label}</label>"
        entity = (
            f'<entity dataset="people" id="{uuid}" {verb}="1" baseVersion="{base}" trunkVersion="{trunk}" '
            f'branchId="{branch}">{titled}</entity>'
        )
    meta = f"<meta><instanceID>{instance}</instanceID>{deprecated}{entity}</meta>"
    return f'<data id="people" version="1">{given}{meta}</data>'.encode()


def create(instance: str = "two", uuid: str = MEGAN, **answers: str) -> bytes:
    """The record that creates Megan, offline: no branch, no version."""
    given = answers or {"name": "Megan", "status": "new", "age": "20"}
    return record(instance, uuid, verb="create", base="", label="Megan (20)", **given)


@dataclass
class World:
    """A node and what happens to it."""

    node: Node

    def __post_init__(self) -> None:
        publish(self.node, 1, PEOPLE.encode(), "people.md", {})

    def send(self, *records: bytes) -> None:
        """Take in what a tablet sends, in this order."""
        arrivals = [receiving.examine(1, xml, (), TABLET, lambda *_: True) for xml in records]
        assert Outcome.QUARANTINED not in intake.record(self.node.engine, arrivals)
        self.node.catch_up()

    def johnny(self) -> None:
        """Create Johnny over the API."""
        wanted = Wanted(uuid=JOHNNY, label="Johnny Doe", data={"first_name": "Johnny", "age": "22"})
        api.create_entities(self.node, ADMINISTRATOR, 1, "people", wanted)

    def patch(
        self, base: int, uuid: str = JOHNNY, *, resolve: bool = False, label: str | None = None, **data: str
    ) -> dict[str, Any]:
        """Update over the API."""
        wanted = Wanted(label=label, data=data or None) if label or data else None
        return api.change_entity(
            self.node, ADMINISTRATOR, 1, "people", uuid, wanted, base_version=base, resolve=resolve
        )

    def delete(self, uuid: str = JOHNNY) -> None:
        """Delete over the API."""
        api.delete_entity(self.node, ADMINISTRATOR, 1, "people", uuid)

    def entity(self, uuid: str = JOHNNY) -> dict[str, Any]:
        """Return the entity as the API gives it."""
        return api.get_entity(self.node, ADMINISTRATOR, 1, "people", uuid)

    def shown(self, uuid: str = JOHNNY) -> Mapping[str, str]:
        """Return the values that are shown."""
        return dict(self.entity(uuid)["currentVersion"]["data"])

    def version(self, uuid: str = JOHNNY) -> int:
        """Return the newest version's number."""
        return int(self.entity(uuid)["currentVersion"]["version"])

    def versions(self, uuid: str = JOHNNY) -> list[dict[str, Any]]:
        """Return the versions as the API gives them."""
        return api.list_versions(self.node, ADMINISTRATOR, 1, "people", uuid)

    def conflicts(self, uuid: str = JOHNNY) -> list[str | None]:
        """Return each version's mark."""
        return [one["conflict"] for one in self.versions(uuid)]

    def listed(self) -> list[str]:
        """Return the UUIDs that tablets get."""
        return [one["uuid"] for one in api.list_entities(self.node, ADMINISTRATOR, 1, "people")]

    def pending(self) -> list[str]:
        """Return the UUIDs that wait for what creates them."""
        return [one["uuid"] for one in api.list_entities(self.node, ADMINISTRATOR, 1, "people", pending=True)]

    def faults(self) -> list[str]:
        """Return what records asked for and could not have."""
        with reading(self.node.engine) as connection:
            return [one.fault for one in entities.list_faults(connection, 1)]

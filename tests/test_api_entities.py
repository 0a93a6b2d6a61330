"""Datasets and entities over REST and on the command line, in ODK Central's shape."""

from __future__ import annotations

import pytest
from conftest import Live, send
from entity_world import BRANCH, JOHNNY, MEGAN, PEOPLE, World, create, record
from test_api import problem

from server.publishing import publish


@pytest.fixture
def people(live: Live) -> str:
    """The dataset's URL."""
    World(live.node)
    return f"{live.url}/v1/projects/1/datasets/people"


@pytest.fixture
def coordinator(sign_in) -> dict[str, str]:
    return sign_in("coordinator")


JOHNNY_DOE = {"uuid": JOHNNY, "label": "Johnny Doe", "data": {"first_name": "Johnny", "age": "22"}}


def test_datasets_tell_their_properties_and_forms(live, people, coordinator):
    (listed,) = live.client.get(people.removesuffix("/people"), headers=coordinator).json()
    assert (listed["name"], listed["entities"], listed["conflicts"]) == ("people", 0, 0)
    told = live.client.get(people, headers=coordinator).json()
    assert [one["name"] for one in told["properties"]] == ["first_name", "age", "status"]
    assert told["properties"][0]["forms"] == [{"xmlFormId": "people", "name": "People"}]
    assert told["linkedForms"] == told["sourceForms"] == [{"xmlFormId": "people", "name": "People"}]
    assert problem(live.client.get(f"{people}x", headers=coordinator)) == (404, 404.1)


def test_an_entity_is_created_changed_deleted_and_restored(live, people, coordinator):
    def ask(method: str, path: str, **given: object):
        return live.client.request(method, f"{people}/entities{path}", headers=coordinator, **given)

    made = ask("POST", "", json=JOHNNY_DOE).json()
    assert (made["uuid"], made["conflict"], made["deletedAt"]) == (JOHNNY, None, None)
    assert made["currentVersion"]["data"] == {"first_name": "Johnny", "age": "22"}
    assert problem(ask("POST", "", json=JOHNNY_DOE)) == (409, 409.3)
    stale = ask("PATCH", f"/{JOHNNY}?baseVersion=7", json={"label": "J"})
    assert problem(stale) == (409, 409.15)
    assert problem(ask("PATCH", f"/{JOHNNY}", json={"label": "J"})) == (409, 409.15)
    assert problem(ask("PATCH", f"/{JOHNNY}?baseVersion=1&resolve=true")) == (400, 400.32)
    changed = ask("PATCH", f"/{JOHNNY}?baseVersion=1", json={"data": {"age": "23"}}).json()
    assert (changed["currentVersion"]["version"], changed["currentVersion"]["data"]["age"]) == (2, "23")
    forced = ask("PATCH", f"/{JOHNNY}?force=true", json={"label": "John"}).json()
    assert (forced["currentVersion"]["label"], forced["conflict"]) == ("John", None)
    (first, second) = ask("GET", f"/{JOHNNY}/diffs").json()
    assert first == [{"old": "22", "new": "23", "propertyName": "age"}]
    assert second == [{"old": "Johnny Doe", "new": "John", "propertyName": "label"}]
    assert [one["version"] for one in ask("GET", f"/{JOHNNY}/versions").json()] == [1, 2, 3]
    assert ask("DELETE", f"/{JOHNNY}").json() == {"success": True}
    assert (ask("GET", "").json(), len(ask("GET", "?deleted=true").json())) == ([], 1)
    assert problem(ask("POST", "", json=JOHNNY_DOE)) == (409, 409.19)
    assert ask("POST", f"/{JOHNNY}/restore").json() == {"success": True}
    (listed,) = ask("GET", "").json()
    assert (listed["uuid"], listed["currentVersion"]["label"]) == (JOHNNY, "John")
    assert "data" not in listed["currentVersion"]


def test_many_entities_are_created_all_or_none(live, people, coordinator):
    def post(entities: list[dict[str, object]]):
        body = {"entities": entities, "source": {"name": "people.csv", "size": 1}}
        return live.client.post(f"{people}/entities", headers=coordinator, json=body)

    assert post([JOHNNY_DOE, {"label": "Anna"}]).json() == {"success": True}
    assert problem(post([{"label": "Bob"}, JOHNNY_DOE])) == (409, 409.3)
    assert len(live.client.get(f"{people}/entities", headers=coordinator).json()) == 2
    ids = {"ids": [JOHNNY, MEGAN]}
    assert live.client.post(f"{people}/entities/bulk-delete", headers=coordinator, json=ids).json() == {
        "count": 1
    }
    assert live.client.post(f"{people}/entities/bulk-restore", headers=coordinator, json=ids).json() == {
        "count": 1
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": {"age": "1"}},
        {"label": " "},
        {"label": "A", "uuid": "x"},
        {"label": "A", "data": {"unknown": "1"}},
        {"label": "A", "data": {"age": 1}},
        {"label": "A\x00"},
        {"label": "A", "more": 1},
        {"entities": [], "source": {"name": "a"}},
    ],
)
def test_what_makes_no_entity_is_refused_and_told(live, people, coordinator, wrong):
    answer = live.client.post(f"{people}/entities", headers=coordinator, json=wrong)
    assert answer.status_code == 400
    assert live.client.get(f"{people}/entities", headers=coordinator).json() == []


def test_a_conflict_is_told_settled_and_gone(live, people, coordinator):
    live.client.post(f"{people}/entities", headers=coordinator, json=JOHNNY_DOE)
    send(live, record("a", base=1, age="30"))
    send(live, record("b", base=1, trunk=1, branch=BRANCH, age="31"))
    live.node.catch_up()
    url = f"{people}/entities/{JOHNNY}"
    told = live.client.get(url, headers=coordinator).json()
    assert (told["conflict"], told["currentVersion"]["conflictingProperties"]) == ("hard", ["age"])
    assert [one["value"] for one in told["currentVersion"]["conflicts"]["age"]] == ["31", "30"]
    relevant = live.client.get(f"{url}/versions?relevantToConflict=true", headers=coordinator).json()
    assert [(one["version"], one["lastGoodVersion"]) for one in relevant] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    settled = live.client.patch(
        f"{url}?baseVersion=3&resolve=true", headers=coordinator, json={"data": {"age": "30"}}
    )
    assert (settled.json()["conflict"], settled.json()["currentVersion"]["data"]["age"]) == (None, "30")
    assert live.client.get(people, headers=coordinator).json()["conflicts"] == 0


def test_the_csv_has_centrals_columns_and_an_etag(live, people, coordinator):
    live.client.post(f"{people}/entities", headers=coordinator, json=JOHNNY_DOE)
    answer = live.client.get(f"{people}/entities.csv", headers=coordinator)
    head, row = answer.text.splitlines()
    assert head == (
        "__id,label,first_name,age,status,__createdAt,__creatorId,__creatorName,__updates,__updatedAt,__version"
    )
    assert row.startswith(f"{JOHNNY},Johnny Doe,Johnny,22,,")
    known = coordinator | {"If-None-Match": answer.headers["etag"]}
    assert live.client.get(f"{people}/entities.csv", headers=known).status_code == 304


def test_only_an_administrator_reads_restricted_properties_and_a_coordinator_writes_none(
    live, people, coordinator, sign_in
):
    form = PEOPLE.replace("| save_to    |", "| save_to    | chapar::flags |")
    form = form.replace("| Age    | age        |", "| Age    | age        | P |").replace(
        "| 1      |", "| 2      |"
    )
    publish(live.node, 1, form.encode(), "people.md", {})
    send(live, create())
    url = f"{people}/entities/{MEGAN}"
    assert "age" not in live.client.get(url, headers=coordinator).json()["currentVersion"]["data"]
    assert problem(live.client.get(f"{url}?personal=true", headers=coordinator)) == (403, 403.1)
    assert problem(live.client.get(f"{people}/entities.csv?personal=true", headers=coordinator)) == (
        403,
        403.1,
    )
    write = live.client.patch(f"{url}?force=true", headers=coordinator, json={"data": {"age": "1"}})
    assert problem(write) == (403, 403.1)
    administrator = sign_in("administrator")
    told = live.client.get(f"{url}?personal=true", headers=administrator).json()
    assert told["currentVersion"]["data"]["age"] == "20"
    assert "age" in live.client.get(f"{people}/entities.csv?personal=true", headers=administrator).text


def test_a_tablet_reads_lists_and_nothing_else_of_entities(live, people):
    for path in ("", "/entities", f"/entities/{JOHNNY}", "/entities.csv"):
        assert live.client.get(f"{people}{path}").status_code == 401
    key = live.tablet_url
    assert live.client.get(f"{key}/datasets/people/entities").status_code == 404
    assert live.client.get(f"{key}/datasets/people/integrity?id={JOHNNY}").status_code == 200
    assert live.client.get(f"{key}/datasets/other/integrity?id={JOHNNY}").status_code == 404
    wrong = f"{live.url}/v1/key/{'x' * 64}/projects/1/datasets/people/integrity"
    assert live.client.get(wrong).status_code == 401


def test_what_records_could_not_have_is_listed(live, people, coordinator):
    send(live, record("x", "no-uuid", base=1, age="1"))
    live.node.catch_up()
    (fault,) = live.client.get(f"{live.url}/v1/projects/1/entity-faults", headers=coordinator).json()
    assert (fault["instanceId"], fault["dataset"], fault["uuid"]) == ("x", "people", None)
    assert fault["fault"] == "The entity's ID is no UUID."

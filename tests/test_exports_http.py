"""CSV over HTTP: who may have it, what it is called, and what a client has already."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from exporting import (
    FAMILY,
    FAMILY_ONE,
    entries,
    publish_sheet,
    store,
    xml,
    zipped,
)
from fastapi.testclient import TestClient

from server.app import Application
from server.auth import hash_password
from server.exports.archive import download_table
from server.node import Node
from server.permissions import Role
from server.store import accounts
from server.store.engine import writing

PASSWORD = "only-for-this-test"


@pytest.fixture
def client(node: Node) -> Iterator[TestClient]:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, FAMILY_ONE), files={"card.jpg": b"c" * 300_000, "face.jpg": b"f"})
    with writing(node.engine) as connection:
        for role in Role:
            accounts.add_user(connection, role, hash_password(PASSWORD), role, one_time=False)
    with TestClient(Application(node)) as client:
        client.auth = (Role.COORDINATOR, PASSWORD)
        yield client


URL = "/v1/projects/1/forms/family/submissions"


def test_the_zip_comes_as_a_download_with_or_without_files(client: TestClient) -> None:
    answer = client.get(f"{URL}.csv.zip")
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"family.zip\"; filename*=UTF-8''family.zip"
    )
    assert entries(answer.content)["media/1/card.jpg"] == b"c" * 300_000
    bare = client.get(f"{URL}.csv.zip?attachments=false")
    assert "family.csv.zip" in bare.headers["content-disposition"]
    assert list(entries(bare.content)) == ["family.csv", "family-child.csv", "family-toy.csv"]


def test_the_single_table_is_the_one_in_the_zip(client: TestClient, node: Node) -> None:
    answer = client.get(f"{URL}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content == entries(zipped(node, "family"))["family.csv"]
    assert answer.content == b"".join(download_table(node, 1, "family").chunks or ())


def test_what_the_caller_has_is_not_sent_again(client: TestClient) -> None:
    tag = client.get(f"{URL}.csv").headers["etag"]
    again = client.get(f"{URL}.csv", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{URL}.csv", headers={"If-None-Match": '"other"'}).status_code == 200


def test_only_administrators_export_personal_fields(client: TestClient) -> None:
    assert client.get(f"{URL}.csv?personal=true").status_code == 403
    assert client.get(f"{URL}.csv.zip?personal=true").status_code == 403
    assert "head" not in client.get(f"{URL}.csv").text
    client.auth = (Role.ADMINISTRATOR, PASSWORD)
    assert ",Ann," in client.get(f"{URL}.csv?personal=true").text


def test_strangers_and_unknown_forms_are_refused(client: TestClient) -> None:
    assert client.get("/v1/projects/1/forms/nobody/submissions.csv").status_code == 404
    assert client.get("/v1/projects/9/forms/family/submissions.csv").status_code == 404
    client.auth = None
    assert client.get(f"{URL}.csv.zip").status_code == 401

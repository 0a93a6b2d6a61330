"""Exports as jobs: made once for one state, told how far they are, downloaded in pieces, gone when a record is erased."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from conftest import wait_for
from exporting import FAMILY, FAMILY_ONE, publish_sheet, store, xml
from fastapi.testclient import TestClient

from server import erasing
from server.api import exports
from server.app import Application
from server.auth import hash_password
from server.exports import jobs, prepared
from server.node import Node
from server.permissions import OPERATOR, Role
from server.store import accounts
from server.store.engine import reading, writing
from server.store.submissions import find_submission
from sync.erasure import Reason

PASSWORD = "only-for-this-test"
URL = "/v1/projects/1/forms/family/exports"


@pytest.fixture
def client(node: Node) -> Iterator[TestClient]:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, FAMILY_ONE), files={"card.jpg": b"c" * 3000})
    with writing(node.engine) as connection:
        for role in Role:
            accounts.add_user(connection, role, hash_password(PASSWORD), role, one_time=False)
    with TestClient(Application(node)) as client:
        client.auth = (Role.COORDINATOR, PASSWORD)
        yield client


def finished(client: TestClient, query: str) -> dict[str, Any]:
    job = client.post(f"{URL}?{query}").json()
    wait_for(lambda: client.get(f"{URL}/{job['id']}").json()["state"] != "running", 60)
    return client.get(f"{URL}/{job['id']}").json()


def test_an_export_is_made_downloaded_and_not_made_again(client: TestClient, node: Node) -> None:
    job = finished(client, "format=xlsx&splitSelectMultiples=true")
    assert (job["state"], job["name"]) == ("finished", "family.xlsx")
    answer = client.get(f"{URL}/{job['id']}/file")
    assert len(answer.content) == job["size"]
    assert pd.read_excel(io.BytesIO(answer.content))["needs/food"].tolist() == [1]
    again = client.post(f"{URL}?format=xlsx&splitSelectMultiples=true")
    assert (again.status_code, again.json()["id"]) == (200, job["id"])
    store(node, xml("family", 2, "<needs>food</needs>"))
    assert client.post(f"{URL}?format=xlsx&splitSelectMultiples=true").json()["id"] != job["id"]


def test_a_download_that_was_cut_goes_on(client: TestClient) -> None:
    job = finished(client, "format=csv&attachments=true")
    whole = client.get(f"{URL}/{job['id']}/file")
    tag = whole.headers["etag"]
    rest = client.get(f"{URL}/{job['id']}/file", headers={"Range": "bytes=1000-", "If-Range": tag})
    assert (rest.status_code, rest.content) == (206, whole.content[1000:])
    other = client.get(f"{URL}/{job['id']}/file", headers={"Range": "bytes=1000-", "If-Range": '"x"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert client.get(f"{URL}/{job['id']}/file", headers={"If-None-Match": tag}).status_code == 304


def test_only_administrators_see_an_export_with_personal_answers(client: TestClient) -> None:
    assert client.post(f"{URL}?personal=true").status_code == 403
    client.auth = (Role.ADMINISTRATOR, PASSWORD)
    job = finished(client, "personal=true")
    client.auth = (Role.COORDINATOR, PASSWORD)
    assert client.get(f"{URL}/{job['id']}").status_code == 403
    assert client.get(f"{URL}/{job['id']}/file").status_code == 403


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    job = finished(client, "format=parquet")
    other = URL.replace("family", "other")
    assert client.get(f"{other}/{job['id']}/file").status_code == 404
    assert client.get(f"{URL}/{'0' * 32}").status_code == 404
    assert client.get(f"{URL}/..%2f..%2fchapar").status_code in (400, 404, 422)
    assert client.post(f"{other}?format=csv").status_code == 404
    assert client.post(f"{URL}?format=docx").status_code in (400, 422)
    assert client.post(f"{URL}?$filter=age gt 5").status_code == 501


def test_a_filter_that_turns_out_to_mean_nothing_fails_with_a_sentence(client: TestClient) -> None:
    job = finished(client, "$filter=__system/submitterId gt 'x'")
    assert job["state"] == "failed"
    assert "no order" in job["detail"]


def test_an_erased_record_leaves_every_prepared_export(client: TestClient, node: Node) -> None:
    job = finished(client, "format=sqlite")
    erase(node)
    assert client.get(f"{URL}/{job['id']}/file").status_code == 404
    folder = node.settings.data / "tmp" / "exports"
    assert {path.suffix for path in folder.iterdir()} <= {".lock", ".json"}


def test_an_export_during_which_a_record_is_erased_comes_to_nothing(
    client: TestClient, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, erased = threading.Event(), threading.Event()
    gather = jobs.gather

    def slowly(*args: Any, **kwargs: Any) -> Any:
        found = gather(*args, **kwargs)
        reached.set()
        assert erased.wait(60)
        return found

    monkeypatch.setattr(jobs, "gather", slowly)
    job = client.post(f"{URL}?format=sqlite").json()
    assert reached.wait(60)
    assert client.post(f"{URL}?format=sqlite").json()["state"] == "running"
    threading.Thread(target=lambda: (erase(node), erased.set())).start()
    wait_for(lambda: (client.get(f"{URL}/{job['id']}").json().get("state")) != "running", 60)
    assert client.get(f"{URL}/{job['id']}").json()["detail"] == jobs.ERASED
    assert client.get(f"{URL}/{job['id']}/file").status_code == 404


def erase(node: Node) -> None:
    with reading(node.engine) as connection:
        about = find_submission(connection, 1, "family", "uuid:1")
    assert about
    erasing.erase(node, OPERATOR, about, Reason.PERSON_ASKED)


def test_an_export_whose_maker_died_is_made_again(client: TestClient, node: Node) -> None:
    kept = jobs.prepared(node)
    kept.new_part().unlink()
    job = prepared.Job("a" * 32, 1, "family", False, "family.xlsx")
    kept.tell(job)
    assert kept.find(job.id) is None
    with kept.making(job.id):
        assert kept.find(job.id) == job


def test_old_exports_go(client: TestClient, node: Node) -> None:
    job = finished(client, "format=csv")
    kept = jobs.prepared(node)
    old = time.time() - prepared.KEPT_S - 60
    for path in kept.file(job["id"]).parent.iterdir():
        os.utime(path, (old, old))
    kept.clear()
    assert client.get(f"{URL}/{job['id']}").status_code == 404


def test_what_is_made_soon_comes_at_once(client: TestClient) -> None:
    address = "/v1/projects/1/forms/family/submissions"
    answer = client.get(f"{address}.xlsx?splitSelectMultiples=true")
    assert pd.read_excel(io.BytesIO(answer.content))["needs/food"].tolist() == [1]
    tag = answer.headers["etag"]
    assert client.get(f"{URL}/{tag.strip(chr(34))}/file").content == answer.content
    again = client.get(f"{address}.xlsx?splitSelectMultiples=true", headers={"If-None-Match": tag})
    assert again.status_code == 304
    with zipfile.ZipFile(io.BytesIO(client.get(f"{address}.parquet.zip").content)) as archive:
        assert "family.parquet" in archive.namelist()
    assert client.get(f"{address}.docx").status_code == 404
    refused = client.get(f"{address}.xlsx?$filter=__system/submitterId gt 'x'")
    assert (refused.status_code, "no order" in refused.json()["message"]) == (400, True)


def test_what_takes_longer_goes_on_as_a_job(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "WAIT_S", 0)
    answer = client.get("/v1/projects/1/forms/family/submissions.sqlite")
    assert answer.status_code == 202
    job = answer.headers["location"]
    wait_for(lambda: client.get(job).json()["state"] == "finished", 60)
    assert client.get(f"{job}/file").content[:15] == b"SQLite format 3"


def test_media_alone_come_with_a_list_of_them(client: TestClient) -> None:
    answer = client.get("/v1/projects/1/forms/family/submissions.media.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["media.csv", "manifest.json", "media/1/card.jpg"]
        (told,) = pd.read_csv(archive.open("media.csv")).to_dict("records")
        content = archive.read(told["path"])
    assert (told["KEY"], told["name"], told["sha256"]) == (
        "uuid:1",
        "card.jpg",
        hashlib.sha256(content).hexdigest(),
    )

"""CSV over HTTP: who may have it, what it is called, and what a client has already."""

from __future__ import annotations

import errno
import gc
import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pandas as pd
import pytest
from conftest import Live, household, send, wait_for
from exporting import (
    FAMILY,
    FAMILY_ONE,
    TEXTS,
    entries,
    publish_sheet,
    store,
    xml,
    zipped,
)
from fastapi.testclient import TestClient

from server.app import Application
from server.auth import hash_password
from server.exports import archive, gathering, limit, pages
from server.exports.archive import download_table
from server.exports.pages import Page
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


@pytest.mark.parametrize(
    ("address", "asked", "is_there"),
    [
        ("submissions.csv", "", True),
        ("submissions.csv", "?emptyColumns=false", False),
        ("submissions.parquet.zip", "", False),
        ("submissions.parquet.zip", "?emptyColumns=true", True),
    ],
)
def test_only_central_s_addresses_give_empty_columns_unasked(
    client: TestClient, node: Node, address: str, asked: str, is_there: bool
) -> None:
    publish_sheet(node, TEXTS.replace("Words |", "Words |\n| | text | more | More |"))
    store(node, xml("texts", 1, "<words>here</words><more/>"))
    answer = client.get(f"/v1/projects/1/forms/texts/{address}{asked}")
    content = io.BytesIO(entries(answer.content)["texts.parquet"] if "zip" in address else answer.content)
    read = pd.read_parquet(content) if "zip" in address else pd.read_csv(content)
    assert read["words"].tolist() == ["here"]
    assert ("more" in read) == is_there


def test_what_the_caller_has_is_not_sent_again(client: TestClient) -> None:
    tag = client.get(f"{URL}.csv").headers["etag"]
    again = client.get(f"{URL}.csv", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{URL}.csv", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_moment_gone_by_is_taken_with_any_offset_even_where_its_plus_was_not_encoded(
    client: TestClient,
) -> None:
    now = client.get(f"{URL}.csv").content
    kabul = datetime.now(timezone(timedelta(hours=4, minutes=30))).isoformat()
    assert client.get(f"{URL}.csv?asOf={kabul}").content == now
    assert client.get(f"{URL}.csv?asOf={quote(kabul)}").content == now
    before = client.get(f"{URL}.csv?asOf=2020-01-01T00:00:00+04:30")
    assert before.json()["detail"] == "There was nothing here yet at this moment."


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


class Gate:
    """Stops the reading after its first rows until it is told how to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open = threading.Event()
        self.fails = False
        monkeypatch.setattr(gathering, "iter_pages", self._iter_pages)
        monkeypatch.setattr(archive, "PATIENCE_S", 0.01)

    def _iter_pages(self, *args: Any, **options: Any) -> Iterator[Page]:
        for page in pages.iter_pages(*args, **options):
            yield page
            assert self.is_open.wait(60)
            if self.fails:
                raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("ending", ["csv.zip", "csv"])
def test_the_first_bytes_come_before_the_last_row_is_read(
    live: Live, admin: tuple[str, str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    publish_sheet(live.node, FAMILY)
    store(live.node, *(xml("family", number, FAMILY_ONE) for number in range(pages.PAGE_ROWS + 1)))
    whole = live.client.get(f"{live.url}{URL}.{ending}", auth=admin)
    gate = Gate(monkeypatch)
    with live.client.stream("GET", f"{live.url}{URL}.{ending}", auth=admin) as answer:
        chunks = answer.iter_bytes()
        first = next(chunks)
        gate.is_open.set()
        assert first + b"".join(chunks) == whole.content
    assert answer.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize("ending", ["csv.zip", "csv"])
def test_a_failure_in_the_middle_breaks_the_connection(
    live: Live, admin: tuple[str, str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    publish_sheet(live.node, FAMILY)
    store(live.node, xml("family", 1, FAMILY_ONE))
    gate = Gate(monkeypatch)
    with live.client.stream("GET", f"{live.url}{URL}.{ending}", auth=admin) as answer:
        chunks = answer.iter_bytes()
        assert next(chunks)
        gate.fails = True
        gate.is_open.set()
        with pytest.raises(httpx2.RemoteProtocolError):
            list(chunks)


@pytest.mark.parametrize("ending", ["csv.zip", "csv"])
def test_who_leaves_early_lets_go_of_the_store_and_the_disk(
    live: Live, admin: tuple[str, str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    publish_sheet(live.node, FAMILY)
    store(live.node, *(xml("family", number, FAMILY_ONE) for number in range(pages.PAGE_ROWS + 1)))
    gate = Gate(monkeypatch)
    gc.disable()  # what stands in circles would be let go of too, but nobody knows when
    try:
        with live.client.stream("GET", f"{live.url}{URL}.{ending}", auth=admin) as answer:
            assert next(answer.iter_bytes())
            assert unnamed_files(live.node)
        gate.is_open.set()
        wait_for(lambda: not unnamed_files(live.node))
    finally:
        gc.enable()
    for thread in threading.enumerate():
        if thread.name == "export":
            thread.join(60)
    wait_for(lambda: not live.node.engine.pool.checkedout())  # type: ignore[attr-defined]


def test_a_fifth_export_at_once_is_asked_to_come_again_and_tablets_are_heard(
    live: Live, admin: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_sheet(live.node, FAMILY)
    store(live.node, *(xml("family", number, FAMILY_ONE) for number in range(pages.PAGE_ROWS + 1)))
    url, gate = f"{live.url}{URL}.csv.zip", Gate(monkeypatch)
    with ExitStack() as opened:
        running = [
            opened.enter_context(live.client.stream("GET", url, auth=admin)) for _ in range(limit.RUNNING_MAX)
        ]
        refused = live.client.get(url, auth=admin)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert "4 exports are being made" in refused.json()["detail"]
        assert send(live, household()).status_code in {201, 202}
        gate.is_open.set()
        assert len({answer.read() for answer in running}) == 1
    assert live.client.get(url, auth=admin).status_code == 200


def unnamed_files(node: Node) -> list[str]:
    """Those that this process, which is the server too, has open in the node's scratch folder."""
    opened = []
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            opened.append(str(handle.readlink()))
    return [name for name in opened if name.startswith(str(node.blobs.scratch))]

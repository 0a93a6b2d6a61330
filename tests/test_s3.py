"""Attachments in S3, over real HTTP: stored before the 201, read back, erased, and what happens when S3 does not answer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from child import chapar
from conftest import HOUSEHOLD, Live, household, send
from people import People
from s3 import SECRET, URL, S3Server, new_s3
from sqlalchemy import func, select

from server import drafts, publishing
from server.exports.folder import export_form
from server.exports.options import Options
from server.permissions import Role
from server.settings import Settings
from server.store.blobs import Blobs, BlobStoreError
from server.store.engine import reading
from server.store.tables import journal
from server.store.uploads import Upload

PARTS_BYTES = 11_000_000
"""More than one request holds."""


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    server = new_s3(tmp_path / "s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings(s3: S3Server, tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", blobs=URL)


def photo(size: int = 1000) -> bytes:
    return random.Random(size).randbytes(size)


def key_of(content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return f"post/7/{sha256[:2]}/{sha256[2:]}"


def entries(live: Live) -> int:
    with reading(live.node.engine) as connection:
        return connection.execute(select(func.count()).select_from(journal)).scalar_one()


def test_files_are_in_s3_before_the_201_and_come_back_in_downloads_and_exports(live, s3, tmp_path):
    files = {"1.jpg": photo(), "film.mp4": photo(PARTS_BYTES), "empty.txt": b""}
    record = household(extra="<shelter>1.jpg</shelter>")
    for _ in range(2):
        assert send(live, record, files).status_code == 201
    assert {key_of(content) for content in files.values()} <= s3.objects()
    assert not (live.node.settings.data / "blobs").exists()
    people, seen = People(live), entries(live)
    for name, content in files.items():
        assert people.get(f"submissions/uuid:1/attachments/{name}", Role.ADMINISTRATOR).content == content
    export_form(live.node, 1, "household", tmp_path / "out", Options(personal=True), media=True)
    kept = {
        path.name: path.read_bytes() for path in (tmp_path / "out" / "media").rglob("*") if path.is_file()
    }
    assert list(kept.values()) == [photo()]
    assert entries(live) == seen


def test_an_erased_record_leaves_nothing_in_s3(live, s3):
    before = s3.objects()
    assert send(live, household(), {"1.jpg": photo()}).status_code == 201
    assert s3.objects() - before == {key_of(photo())}
    people = People(live)
    answer = people.post(
        "submissions/uuid:1/erase", role=Role.ADMINISTRATOR, reason="person_asked", confirm="uuid:1"
    )
    assert (answer.status_code, answer.json()["finished"]) == (200, True)
    assert s3.objects() == before


def test_without_s3_files_are_refused_texts_are_taken_and_all_goes_on_when_it_is_back(live, s3, caplog):
    s3.kill()
    refused = send(live, household(), {"1.jpg": photo()})
    assert refused.status_code >= 500
    assert "error sending request" in caplog.text
    assert send(live, household("uuid:text")).status_code == 201
    s3.start()
    assert send(live, household(), {"1.jpg": photo()}).status_code == 201
    assert key_of(photo()) in s3.objects()


class Cutting(Upload):
    """An upload during which the server goes away."""

    def __init__(self, folder: Path, s3: S3Server) -> None:
        super().__init__(folder)
        self._s3 = s3

    def rewound(self) -> BinaryIO:
        s3, read = self._s3, 0

        class File(BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                nonlocal read
                read += size or 0
                if read > PARTS_BYTES // 2:
                    s3.kill()
                return super().read(size)

        return File(super().rewound().read())


def test_an_upload_that_was_cut_is_not_there_and_is_sent_again(s3, settings):
    content = photo(PARTS_BYTES)
    blobs = Blobs(settings.data, URL)
    with Cutting(settings.data, s3) as upload:
        upload.write(content)
        with pytest.raises(BlobStoreError):
            blobs.keep(upload)
    s3.start()
    digest = blobs.put(content)
    assert blobs.get(digest) == content


def test_the_files_of_a_draft_s_tests_go_with_the_draft(live, s3):
    before = s3.objects()
    edition = publishing.read_edition(
        live.node, HOUSEHOLD.replace("household| 1", "household| 2").encode(), "h.md"
    )
    draft = drafts.make(live.node, 1, edition).draft
    address = f"{live.url}/v1/test/{draft.token}/projects/1/forms/household/draft"
    assert send(live, household(version="2"), {"1.jpg": photo()}, address).status_code == 201
    assert [key for key in s3.objects() - before if f"/tests/{draft.id}/" in key]
    drafts.drop(live.node, 1, "household")
    assert not [key for key in s3.objects() if "/tests/" in key]


def test_a_server_with_a_wrong_secret_says_so_at_its_start(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET[::-1])
    monkeypatch.setenv("CHAPAR_BLOBS", URL)
    done = chapar(Settings(data=tmp_path / "data"), "serve", "--port", "0")
    assert done.returncode == 1
    assert "403 Forbidden" in done.stderr
    assert "AWS_SECRET_ACCESS_KEY" in done.stderr
    assert SECRET[::-1] not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_where_nothing_can_be_stored_is_told(s3, tmp_path, monkeypatch):
    with pytest.raises(BlobStoreError, match=r"404 Not Found.*CHAPAR_BLOBS"):
        Blobs(tmp_path, "s3://elsewhere/post").check()
    Blobs(tmp_path, URL).check()
    assert s3.objects() == set()
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(BlobStoreError, match=r"error sending request.*AWS_ENDPOINT"):
        Blobs(tmp_path, URL).check()

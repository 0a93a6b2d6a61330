"""What is sent to test a draft: it goes the whole road, touches no fact and goes with its draft."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile

import pytest
from conftest import Live, household, send
from drafting import Designer, positions, version

from server import drafts, receiving
from server.node import open_node
from server.problems import Problem
from server.projection import rebuild
from server.rehearsal import rehearsed
from server.store import tallies
from server.store.engine import reading


@pytest.fixture
def designer(live: Live) -> Designer:
    return Designer(live)


def test_a_test_goes_the_whole_road_and_touches_no_fact(live, designer):
    designer.draft(version(2))
    before = positions(live)
    url = designer.tester()
    head = live.client.head(f"{url}/submission")
    assert (head.status_code, head.headers["location"]) == (204, f"{url}/submission")
    assert head.headers["x-openrosa-accept-content-length"]
    xml = household(extra="<shelter>1.jpg</shelter>", version="2")
    assert [
        send(live, xml, url=url).status_code,
        send(live, xml, {"1.jpg": b"photo"}, url=url).status_code,
    ] == [201, 201]
    edit = household("uuid:2", "7", deprecated_id="uuid:1", version="2")
    assert send(live, edit, url=url).status_code == 201
    (test,) = designer.get("/draft/submissions").json()
    assert (test["instanceId"], test["edits"], test["attachmentsPresent"]) == ("uuid:1", 1, 0)
    assert designer.get("/draft/submissions/uuid:1.xml").content == edit
    assert designer.get("/draft/submissions/uuid:1/attachments/1.jpg").content == b"photo"
    assert designer.get("/draft").json()["submissions"] == 2
    live.node.catch_up()
    assert positions(live) == before
    assert designer.get("/submissions").json() == []
    with pytest.raises(FileNotFoundError):
        live.node.blobs.get(hashlib.sha256(b"photo").hexdigest())


def test_tests_are_exported_as_the_data_would_be(live, designer):
    designer.draft(version(2))
    member = "<member><m_name>Ali</m_name><m_age>7</m_age></member>"
    send(live, household(extra=member, version="2"), url=designer.tester())
    (test,) = designer.get("/draft/submissions").json()
    archive = zipfile.ZipFile(io.BytesIO(designer.get("/draft/submissions.csv.zip").content))
    assert archive.namelist() == ["household.csv", "household-member.csv"]
    (row,) = csv.DictReader(io.StringIO(archive.read("household.csv").decode()))
    assert (row["size"], row["KEY"], row["SubmissionDate"]) == ("5", "uuid:1", test["createdAt"])
    assert "head" not in row
    assert (
        "Ali"
        in zipfile.ZipFile(io.BytesIO(designer.get("/draft/submissions.csv.zip?personal=true").content))
        .read("household-member.csv")
        .decode()
    )
    assert len(designer.get("/submissions.csv").text.splitlines()) == 1


def test_a_test_that_cannot_be_read_is_kept_and_shown(live, designer):
    designer.draft(version(2))
    url = designer.tester()
    assert send(live, b"<rubbish", url=url).status_code == 202
    assert send(live, household(form_id="market"), url=url).status_code == 202
    assert send(live, household("uuid:9", "x" * 9_000_000), url=url).status_code == 202
    reasons = [one["reason"] for one in designer.get("/draft/quarantine").json()]
    assert len(reasons) == 3
    assert "another form" in reasons[1]
    assert designer.get("/quarantine").status_code == 404
    assert live.client.get(f"{live.url}/v1/projects/1/quarantine", auth=designer._auth).json() == []


@pytest.mark.parametrize("end", ["publish", "drop", "replace"])
def test_tests_go_with_their_draft(live, designer, end):
    designer.draft(version(2))
    url = designer.tester()
    send(live, household(version="2"), {"1.jpg": b"photo"}, url=url)
    photos = live.node.settings.data / "tests"
    assert len([path for path in photos.rglob("*") if path.is_file()]) == 1
    match end:
        case "publish":
            assert designer.publish().json()["success"]
        case "drop":
            assert designer.ask("DELETE", f"{designer.form}/draft").json() == {"success": True}
        case "replace":
            designer.draft(version(3))
    assert [path for path in photos.rglob("*") if path.is_file()] == []
    if end == "replace":
        assert designer.get("/draft/submissions").json() == []
        assert send(live, household(), url=url).status_code == 201
        return
    assert live.client.get(f"{url}/formList").status_code == 404
    refused = send(live, household(), url=url)
    assert (refused.status_code, "no longer here" in refused.text) == (404, True)
    assert designer.get("/submissions").json() == []
    designer.draft(version(4))
    assert designer.tester() != url


def test_a_test_in_flight_when_its_draft_goes_is_not_acknowledged(live, designer):
    designer.draft(version(2))
    draft = drafts.get(live.node, 1, "household")
    designer.draft(version(3))

    arrival = receiving.examine(1, household(), (), receiving.Sender(None, "", "", "test"), lambda *_: True)
    with pytest.raises(Problem) as gone:
        drafts.keep_test(live.node, draft, arrival)
    assert gone.value.code == 404.4
    assert designer.get("/draft/submissions").json() == []


def test_tests_survive_a_rebuild_and_are_there_for_the_next_process(live, designer):
    designer.draft(version(2))
    send(live, household(version="2"), url=designer.tester())
    rebuild(live.node.engine, live.node.schemas)
    again = open_node(live.node.settings)
    with rehearsed(again, drafts.get(again, 1, "household")) as apart, reading(apart.engine) as connection:
        assert tallies.tally(connection, (1, "household")).submissions == 1
    again.close()

"""Deleting, restoring and erasing: what leaves lists and exports, and what leaves the disk for good."""

from __future__ import annotations

import hashlib
import re

import orjson
import pytest
from child import chapar
from conftest import HOUSEHOLD, Live, household, send, serving, state_of, wait_for
from people import People
from sqlalchemy import select
from test_durability import check_chain

from server import erasing, intake, projection, receiving
from server.exports.folder import export_form
from server.exports.options import Options
from server.intake import BlobGoneError, Outcome
from server.permissions import OPERATOR, Role
from server.publishing import publish
from server.receiving import Sender, StoredFile
from server.store import erasures, submissions
from server.store import journal as journals
from server.store.engine import reading, writing
from server.store.tables import journal
from server.sweeping import sweep
from sync.erasure import Reason

NAME = "گل‌نار-Gulnar-7731"


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


def named(instance_id: str = "uuid:1", deprecated_id: str = "", photo: str = "") -> bytes:
    extra = f"<head>{NAME}</head>" + (f"<shelter>{photo}</shelter>" if photo else "")
    return household(instance_id, extra=extra, deprecated_id=deprecated_id)


def listed(people: People, query: str = "") -> list[str]:
    return [one["instanceId"] for one in people.get(f"submissions?{query}").json()]


def erase(people: People, name: str = "uuid:1"):
    return people.post(
        f"submissions/{name}/erase", role=Role.ADMINISTRATOR, reason="person_asked", confirm=name
    )


def payloads(live: Live) -> bytes:
    """All that the journal holds, uncompressed."""
    with reading(live.node.engine) as connection:
        records = journals.read_after(connection, 0, 10_000)
    return b"\n".join(record.detail + record.body for record in records)


def files_with(live: Live, text: str) -> list[str]:
    """The files of the data directory that hold these bytes."""
    found = (path for path in live.node.settings.data.rglob("*") if path.is_file())
    return [path.name for path in found if text.encode() in path.read_bytes()]


def test_a_deleted_record_leaves_lists_counts_and_exports_and_comes_back(live, people, tmp_path):
    for name in ("uuid:1", "uuid:2"):
        send(live, household(name))
    assert people.delete("submissions/uuid:1").json() == {"success": True}
    assert people.delete("submissions/uuid:1").json() == {"success": True}
    assert listed(people) == ["uuid:2"]
    assert listed(people, "deleted=true") == ["uuid:1"]
    assert people.get("submissions/uuid:1").status_code == 404
    export_form(live.node, 1, "household", tmp_path, Options(personal=True), media=False)
    assert "uuid:1" not in (tmp_path / "household.csv").read_text()
    assert people.post("submissions/uuid:1/restore").json()["instanceId"] == "uuid:1"
    assert listed(people) == ["uuid:1", "uuid:2"]


def test_a_change_made_apart_brings_a_deleted_record_back_as_a_conflict(live, people):
    send(live, household())
    people.delete("submissions/uuid:1")
    send(live, household("uuid:2", "6", deprecated_id="uuid:1"))
    assert people.get("submissions/uuid:1").json()["openConflicts"] == 1
    people.delete("submissions/uuid:1")
    assert listed(people) == []


def test_an_erased_record_is_nowhere_any_more(live, people, tmp_path):
    send(live, named(photo="1.jpg"), {"1.jpg": b"face"})
    send(live, named("uuid:2", "uuid:1"))
    send(live, household("uuid:other"))
    people.post("submissions/uuid:1/comments", body=f"{NAME} called")
    people.patch("submissions/uuid:1", reviewState="approved")
    people.delete("submissions/uuid:1")
    assert NAME.encode() in payloads(live)
    assert erase(people).json() == {"success": True, "finished": True}

    assert NAME.encode() not in payloads(live)
    assert b"uuid:other" in payloads(live)
    assert files_with(live, NAME) == []
    assert not live.node.blobs.has(hashlib.sha256(b"face").hexdigest())
    state = state_of(live.node)
    assert NAME not in repr(state)
    assert [len(state[name]) for name in ("submission", "revision", "attachment", "comment", "review")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert people.get("submissions/uuid:1").status_code == 404
    assert listed(people, "deleted=true") == []
    check_chain(live.node)


def test_what_is_sent_again_or_edited_late_is_acknowledged_and_dropped(live, people):
    send(live, named(photo="1.jpg"))
    erase(people)
    for xml, files in (
        (named(photo="1.jpg"), {"1.jpg": b"face"}),
        (named("uuid:2", "uuid:1"), {}),
        (named("uuid:3", "uuid:2"), {"2.jpg": b"hand"}),
        (named(), {}),
    ):
        assert send(live, xml, files).status_code == 201
    live.node.catch_up()
    wait_for(lambda: sweep(live.node.engine, live.node.blobs))
    assert listed(people) == []
    assert files_with(live, NAME) == files_with(live, "face") == files_with(live, "hand") == []
    assert NAME.encode() not in payloads(live)


def test_an_edit_that_was_here_alone_goes_when_it_turns_out_to_be_of_an_erased_record(live, people):
    send(live, named())
    erase(people)
    send(live, named("uuid:3", "uuid:2"))
    assert listed(people) == ["uuid:2"]
    send(live, named("uuid:2", "uuid:1"))
    assert listed(people) == []
    wait_for(lambda: sweep(live.node.engine, live.node.blobs))
    assert NAME.encode() not in payloads(live)
    send(live, named("uuid:4", "uuid:3"))
    assert listed(people) == []


def test_a_file_that_another_record_names_stays(live, people):
    for name in ("uuid:1", "uuid:2"):
        send(live, named(name, photo="1.jpg"), {"1.jpg": b"camp"})
    erase(people)
    assert live.node.blobs.get(hashlib.sha256(b"camp").hexdigest()) == b"camp"
    erase(people, "uuid:2")
    assert not live.node.blobs.has(hashlib.sha256(b"camp").hexdigest())


def test_the_same_bytes_in_quarantine_go_too(live, people):
    url = f"{live.url}/v1/projects/1/forms/other/submissions"
    other = re.sub(r"\| household *\|", "| other |", HOUSEHOLD)
    publish(live.node, 1, other.encode(), "other.md", {})
    headers = people.headers[Role.ADMINISTRATOR]
    assert live.client.post(url, content=named(), headers=headers).status_code == 202
    send(live, named())
    erase(people)
    assert state_of(live.node)["quarantine"] == []
    assert live.client.post(url, content=named() + b" ", headers=headers).status_code == 202
    live.node.catch_up()
    wait_for(lambda: sweep(live.node.engine, live.node.blobs))
    assert state_of(live.node)["quarantine"] == []
    assert NAME.encode() not in payloads(live)


def test_only_an_administrator_who_confirms_erases(live, people):
    send(live, household())
    body = {"reason": "person_asked", "confirm": "uuid:1"}
    assert people.post("submissions/uuid:1/erase", **body).status_code == 403
    ask = "submissions/uuid:1/erase"
    assert people.post(ask, Role.ADMINISTRATOR, reason="person_asked", confirm="").status_code == 400
    assert people.post(ask, Role.ADMINISTRATOR, reason="Gulnar asked", confirm="uuid:1").status_code == 400
    assert listed(people) == ["uuid:1"]


def test_erasure_and_rebuild_give_the_same_state(live, people):
    send(live, named(photo="1.jpg"), {"1.jpg": b"face"})
    send(live, named("uuid:8"))
    send(live, named("uuid:3", "uuid:2"))
    erase(people)
    send(live, named("uuid:2", "uuid:1"))
    live.node.catch_up()
    wait_for(lambda: sweep(live.node.engine, live.node.blobs))
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


def test_what_was_cut_off_before_the_bytes_were_dropped_is_finished_by_the_next_server(node):
    publish(node, 1, HOUSEHOLD.encode(), "household.md", {})
    sender = Sender(1, "tablet", "", "rest")
    arrival = receiving.examine(1, named(), (), sender, node.known_forms.ask)
    intake.record(node.engine, [arrival])
    node.catch_up()
    form = (1, "household")
    with writing(node.engine) as connection:
        names = erasures.names_of(connection, form, ["uuid:1"])
        journals.append(connection, [erasures.fact(form, names, Reason.PERSON_ASKED, 1)])

    def bodies() -> list[bytes | None]:
        with reading(node.engine) as connection:
            return list(
                connection.execute(select(journal.c.body).where(journal.c.kind == "submission")).scalars()
            )

    assert bodies() != [None]
    with serving(node):
        wait_for(lambda: bodies() == [None])


def test_a_file_deleted_while_the_same_one_came_in_is_asked_for_again(node):
    publish(node, 1, HOUSEHOLD.encode(), "household.md", {})
    sender = Sender(1, "tablet", "", "rest")
    sha256 = node.blobs.put(b"face")
    photo = StoredFile("1.jpg", sha256, 4, "image/jpeg")
    intake.record(
        node.engine, [receiving.examine(1, named(), [photo], sender, node.known_forms.ask)], node.blobs
    )
    late = receiving.examine(1, named("uuid:2"), [photo], sender, node.known_forms.ask)
    node.catch_up()
    with reading(node.engine) as connection:
        found = submissions.find_submission(connection, 1, "household", "uuid:1")
    assert erasing.erase(node, OPERATOR, found, Reason.PERSON_ASKED)
    with pytest.raises(BlobGoneError):
        intake.record(node.engine, [late], node.blobs)
    node.blobs.put(b"face")
    assert intake.record(node.engine, [late], node.blobs) == [Outcome.STORED]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_command_erases_beside_a_running_server(live, people):
    send(live, named())
    settings = live.node.settings
    refused = chapar(settings, "erase", "household", "uuid:1", "--reason", "Gulnar", "--yes")
    assert refused.returncode == 2
    done = chapar(settings, "erase", "household", "uuid:1", "--reason", "person_asked", "--yes", "--json")
    assert orjson.loads(done.stdout)["instance_id"] == "uuid:1"
    assert listed(people) == []
    again = chapar(settings, "erase", "household", "uuid:1", "--reason", "person_asked", "--yes")
    assert (again.returncode, again.stderr) == (1, "chapar: There is no such record of this form.\n")

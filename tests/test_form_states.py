"""Open, closing, closed: who gets a form, and what becomes of what still comes in."""

from __future__ import annotations

import itertools
from dataclasses import replace

import orjson
import pytest
from conftest import HOUSEHOLD, Live, household, send, wait_for

from server import intake, publishing, receiving
from server.projection import rebuild
from server.store import form_states, journal, quarantine, submissions
from server.store.engine import reading, writing
from server.store.form_states import FormState
from server.store.journal import Record
from sync.journal import Kind


def set_state(live: Live, state: FormState) -> int:
    return publishing.set_state(live.node, 1, "household", state)


def stored(live: Live) -> list[str]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return [one.instance_id for one in submissions.list_submissions(connection, 1, "household", 0, 100)]


def waiting(live: Live) -> list[tuple[str, str]]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return [(one.instance_id, one.reason) for one in quarantine.list_quarantined(connection, 1)]


def is_listed(live: Live) -> bool:
    return b"<formID>household<" in live.client.get(f"{live.tablet_url}/formList").content


def test_a_closing_form_is_given_to_no_more_tablets_and_still_taken(live):
    set_state(live, FormState.CLOSING)
    assert not is_listed(live)
    assert send(live, household()).status_code == 201
    assert stored(live) == ["uuid:1"]
    assert live.client.get(f"{live.tablet_url}/forms/household/versions/1.xml").status_code == 200


def test_what_comes_in_for_a_closed_form_waits_and_is_taken_up_when_it_opens(live):
    set_state(live, FormState.CLOSED)
    assert not is_listed(live)
    sent = [send(live, household(), {"1.jpg": b"photo"}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [202, 202]
    assert "Received and kept" in sent[0].text
    assert (stored(live), waiting(live)) == ([], [("uuid:1", intake.CLOSED)])
    assert set_state(live, FormState.OPEN) == 1
    assert (stored(live), waiting(live), is_listed(live)) == (["uuid:1"], [], True)
    with reading(live.node.engine) as connection:
        (photo,) = submissions.list_attachments(connection, 1, "household", ["uuid:1"])
    assert photo.name == "1.jpg"
    assert send(live, household()).status_code == 201
    assert (stored(live), waiting(live)) == (["uuid:1"], [])


def test_what_is_stored_can_be_sent_again_and_completed_after_closing_but_not_edited(live):
    send(live, household(extra="<shelter>1.jpg</shelter>"))
    set_state(live, FormState.CLOSED)
    again = send(live, household(extra="<shelter>1.jpg</shelter>"), {"1.jpg": b"photo"})
    assert (again.status_code, waiting(live)) == (201, [])
    with reading(live.node.engine) as connection:
        found = submissions.find_submission(connection, 1, "household", "uuid:1")
    assert (found.attachments_expected, found.attachments_present) == (1, 1)
    assert send(live, household("uuid:2", deprecated_id="uuid:1")).status_code == 202
    assert waiting(live) == [("uuid:2", intake.CLOSED)]
    set_state(live, FormState.CLOSING)
    assert (stored(live), waiting(live)) == (["uuid:1"], [])


def test_a_new_version_of_a_closed_form_opens_nothing(live):
    set_state(live, FormState.CLOSED)
    send(live, household())
    newer = HOUSEHOLD.replace("| household| 1 ", "| household| 2 ").encode()
    assert publishing.publish(live.node, 1, newer, "h.md", {}).released == 0
    assert publishing.release_waiting(live.node) == 0
    assert (stored(live), len(waiting(live)), is_listed(live)) == ([], 1, False)


def test_another_form_is_as_it_was(live):
    market = HOUSEHOLD.replace("| household|", "| market   |").encode()
    publishing.publish(live.node, 1, market, "m.md", {})
    publishing.set_state(live.node, 1, "market", FormState.CLOSED)
    assert (send(live, household()).status_code, is_listed(live)) == (201, True)


def test_a_batch_of_open_and_closed_forms_is_told_apart(live):
    market = HOUSEHOLD.replace("| household|", "| market   |").encode()
    publishing.publish(live.node, 1, market, "m.md", {})
    set_state(live, FormState.CLOSED)
    sender = receiving.Sender(None, "", "", "test")
    xmls = [household("uuid:1"), household("uuid:2", form_id="market"), b"<rubbish", household("uuid:3")]
    arrivals = [receiving.examine(1, xml, (), sender, live.node.known_forms.ask) for xml in xmls]
    outcomes = [outcome.value for outcome in intake.record(live.node.engine, arrivals)]
    assert outcomes == ["quarantined", "stored", "quarantined", "quarantined"]


def test_a_record_that_comes_in_while_the_form_is_opened_is_never_left_waiting(live):
    """It is written by whoever still saw the form closed, after the state said open."""
    set_state(live, FormState.CLOSED)
    sender = receiving.Sender(None, "", "", "test")
    late = replace(
        receiving.examine(1, household(), (), sender, live.node.known_forms.ask), reason=intake.CLOSED
    )
    lock = journal.append
    calls = itertools.count()

    def append(connection, drafts, *more):
        if next(calls) == 1:  # the barrier behind the fact
            return lock(connection, [*drafts, *receiving.facts_of(late)], *more)
        return lock(connection, drafts, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "append", append)
        assert set_state(live, FormState.OPEN) == 1
    assert (stored(live), waiting(live)) == (["uuid:1"], [])


def test_states_follow_from_the_facts_in_any_order(live):
    states = [FormState.CLOSED, FormState.OPEN, FormState.CLOSING]
    said = [
        Record(0, "", stamp, Kind.FORM_STATE, 1, orjson.dumps({"form_id": "household", "state": state}), b"")
        for stamp, state in zip((5, 7, 7), states, strict=True)
    ]
    found = set()
    for order in itertools.permutations(said):
        with writing(live.node.engine) as connection:
            connection.exec_driver_sql("DELETE FROM form_state")
            for record in order:
                form_states.project_state(connection, record, orjson.loads(record.detail))
            found.add(form_states.find_state(connection, 1, "household"))
    assert len(found) == 1


def test_the_state_is_the_same_after_a_rebuild(live):
    set_state(live, FormState.CLOSED)
    set_state(live, FormState.CLOSING)
    rebuild(live.node.engine, live.node.schemas)
    with reading(live.node.engine) as connection:
        assert form_states.find_state(connection, 1, "household") is FormState.CLOSING


def test_the_writer_of_a_running_server_knows_at_once_what_a_command_closed(live):
    assert send(live, household()).status_code == 201
    set_state(live, FormState.CLOSED)
    assert send(live, household("uuid:2")).status_code == 202
    set_state(live, FormState.OPEN)
    assert send(live, household("uuid:3")).status_code == 201
    wait_for(lambda: stored(live) == ["uuid:1", "uuid:2", "uuid:3"])

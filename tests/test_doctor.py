"""`chapar doctor` finds what is really broken, says what to do, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from child import chapar, prepare, started
from conftest import household, send, wait_for
from faulty import unwritable
from hostile import ON_SQLITE, live_child
from sqlalchemy import delete, text, update

from server import disk
from server.cli.doctor import doctor
from server.doctor import machine
from server.doctor.environment import check_settings
from server.doctor.examine import examine
from server.doctor.facts import check_state
from server.doctor.findings import Finding, Level
from server.erasing import erase
from server.node import Node
from server.permissions import OPERATOR
from server.progress import unseen
from server.settings import Settings
from server.store import submissions
from server.store.dropping import empty_log
from server.store.engine import reading, writing
from server.store.journal import head_position
from server.store.tables import cursor, form_draft, journal, revision
from server.store.tables import node as node_row
from server.sweeping import sweep
from sync.clock import COUNTER_BITS
from sync.erasure import Reason

PHOTO = b"a photo of a shelter"
FORGETS = {"fsync is off", "full_page_writes is off"}
"""The PostgreSQL of the tests is made to be killed, not to keep."""


@pytest.fixture
def kept(live) -> Node:
    """A node that holds records with files, one that waits in quarantine left out."""
    for number in range(3):
        assert send(live, household(f"uuid:{number}"), {"a.jpg": PHOTO + b"%d" % number}).status_code == 201
    live.node.catch_up()
    live.node.settings.data.chmod(0o700)
    return live.node


def found(node: Node, *, quick: bool = False) -> dict[str, Finding]:
    """What is not fine, by the name of the check."""
    return found_of(node.settings, quick=quick)


def found_of(settings: Settings, *, quick: bool = False) -> dict[str, Finding]:
    all_of_it = [one for one in examine(settings, unseen, quick=quick) if one.what not in FORGETS]
    assert all(one.do for one in all_of_it if one.level is not Level.FINE)
    return {one.check: one for one in all_of_it if one.level is not Level.FINE}


def blob_of(node: Node, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    return node.settings.data / "blobs" / digest[:2] / digest[2:]


def change(node: Node, statement: object) -> None:
    with writing(node.engine) as connection:
        connection.execute(statement)


def test_a_node_that_is_well_is_found_so_beside_its_server_and_left_as_it_was(kept):
    before = {path: path.stat().st_mtime_ns for path in kept.settings.data.rglob("*") if path.is_file()}
    assert found(kept) == {}
    assert found(kept, quick=True) == {}
    after = {path: path.stat().st_mtime_ns for path in kept.settings.data.rglob("*") if path.is_file()}
    assert (
        after.items() >= {path: when for path, when in before.items() if path.suffix != ".sqlite-shm"}.items()
    )


def test_an_entry_that_was_altered_is_found(kept):
    change(kept, update(journal).where(journal.c.position == 4).values(detail=b'{"form_id":"x"}'))
    finding = found(kept)["journal"]
    assert finding.level is Level.BROKEN
    assert "entry 4" in finding.what
    assert "another payload" in finding.what


def test_an_entry_that_is_no_text_any_more_is_found_and_the_rest_looked_at(kept):
    change(kept, update(journal).where(journal.c.position == 4).values(detail=b"\xff"))
    findings = found(kept)
    assert "entry 4" in findings["journal"].what
    assert findings["blobs"].do.startswith("Run without --quick")


def test_a_chain_hash_that_was_altered_is_found(kept):
    change(kept, update(journal).where(journal.c.position == 4).values(hash=bytes(32)))
    assert "entry 4" in found(kept)["journal"].what


def test_a_journal_that_lacks_its_end_is_found(kept):
    change(kept, delete(journal).where(journal.c.position == kept_head(kept)))
    assert found(kept)["journal"].level is Level.BROKEN


def test_a_cursor_ahead_of_the_journal_is_found(kept):
    change(kept, update(cursor).values(position=1000))
    assert "up to entry 1000" in found(kept, quick=True)["state"].what


def test_a_record_that_has_no_row_is_found(kept):
    change(kept, delete(revision).where(revision.c.instance_id == "uuid:1"))
    assert "1 entries have no row" in found(kept, quick=True)["state"].what


def test_a_row_that_has_no_entry_is_found(kept):
    change(kept, update(revision).where(revision.c.instance_id == "uuid:1").values(position=1000))
    assert "1 entries have no row, 1 rows have no entry" in found(kept, quick=True)["state"].what


def test_state_that_is_behind_is_only_bad_while_a_server_runs(node):
    long_ago = int((time.time() - 3600) * 1000) << COUNTER_BITS
    change(node, update(journal).values(stamp=long_ago))
    change(node, update(cursor).values(position=0))
    with reading(node.engine) as connection:
        (beside,) = check_state(connection, serves=True)
        (alone,) = check_state(connection, serves=False)
    assert (beside.level, alone.level) == (Level.WARNING, Level.FINE)
    assert "1 entries wait" in alone.what


def test_an_erased_record_leaves_nothing_to_complain_of(kept):
    with reading(kept.engine) as connection:
        record = submissions.find_submission(connection, 1, "household", "uuid:1")
    erase(kept, OPERATOR, record, Reason.PERSON_ASKED)
    assert found(kept) == {}
    sweep(kept.engine, kept.blobs)
    assert found(kept) == {}


@ON_SQLITE
def test_blobs_that_are_missing_or_altered_are_found(kept):
    blob_of(kept, PHOTO + b"0").unlink()
    altered = blob_of(kept, PHOTO + b"1")
    altered.write_bytes(b"A" + altered.read_bytes()[1:])
    findings = [one for one in examine(kept.settings, unseen, quick=False) if one.level is Level.BROKEN]
    assert [one.what.split(": ")[0].split(" of ")[0] for one in findings] == ["1", "1"]
    assert "missing" in findings[0].what
    assert hashlib.sha256(PHOTO + b"0").hexdigest() in findings[0].what
    assert "another content" in findings[1].what
    assert hashlib.sha256(PHOTO + b"1").hexdigest() in findings[1].what
    assert "missing" in found(kept, quick=True)["blobs"].what


@ON_SQLITE
def test_a_blob_that_nothing_names_does_no_harm_and_is_counted(kept):
    kept.blobs.put(b"of a sending that was cut off")
    said = [one.what for one in examine(kept.settings, unseen, quick=False) if one.check == "blobs"]
    assert any("1 more" in what for what in said)
    assert found(kept) == {}


@ON_SQLITE
def test_the_sheet_of_a_draft_is_looked_for_too(kept):
    digest = hashlib.sha256(b"gone").hexdigest()
    row = dict.fromkeys(form_draft.c.keys(), "x") | {
        "project_id": 1,
        "sheet_sha256": digest,
        "created_stamp": 1,
        "updated_stamp": 1,
        "xform": b"",
    }
    change(kept, form_draft.insert().values(row))
    assert digest in found(kept)["blobs"].what


def test_what_waits_in_quarantine_is_counted(live):
    send(live, household(form_id="unheard-of"))
    live.node.catch_up()
    assert found(live.node)["quarantine"].what == "1 arrivals wait"


def test_a_schema_of_another_version_is_found(kept):
    for at, word in (("0001", "backup"), ("9999", "wrote it")):
        with writing(kept.engine) as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": at})
        assert word in found(kept)["store"].do


@ON_SQLITE
def test_a_database_with_a_torn_page_is_found(kept):
    path = kept.settings.data / "chapar.sqlite"
    with writing(kept.engine) as connection:
        page = connection.exec_driver_sql(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'submission'"
        ).scalar_one()
    empty_log(kept.engine)
    kept.engine.dispose()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    assert found(kept, quick=True)["sqlite"].level is Level.BROKEN


def test_what_is_no_database_and_what_is_no_store_is_found(tmp_path):
    settings = Settings(data=tmp_path / "missing")

    def broken() -> dict[str, str]:
        return {
            one.check: one.what for one in examine(settings, unseen, quick=False) if one.level is Level.BROKEN
        }

    assert list(broken()) == ["directory"]
    settings.data.mkdir(mode=0o700)
    assert "no store" in broken()["store"]
    assert list(settings.data.iterdir()) == []
    (settings.data / "chapar.sqlite").write_bytes(b"no database" * 1000)
    assert "file is not a database" in broken()["store"]
    assert "newest backup" in found_of(settings)["store"].do
    (settings.data / "chapar.sqlite").write_bytes(b"")
    assert "newest backup" in found_of(settings)["store"].do


def test_a_store_whose_records_were_moved_is_found(kept):
    change(kept, update(node_row).values(moved_to="postgresql://centre"))
    assert found(kept, quick=True)["store"].what == "its records were moved to postgresql://centre"


def test_a_database_that_forgets_is_found(kept):
    if kept.engine.dialect.name == "sqlite":
        pytest.skip("a setting of PostgreSQL")
    name = kept.engine.url.database
    with kept.engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
        connection.commit()
    assert "synchronous_commit is off" in found(kept, quick=True)["postgresql"].what


def test_a_clock_behind_the_newest_entry_is_found(kept):
    tomorrow = int((time.time() + 86_400) * 1000) << COUNTER_BITS
    change(kept, update(node_row).values(stamp=tomorrow))
    assert "24.0 hours later" in found(kept, quick=True)["clock"].what


def test_a_clock_that_lost_its_battery_is_found():
    (finding,) = machine.check_clock(None, datetime(1970, 1, 1, tzinfo=UTC))
    assert finding.level is Level.BROKEN
    (finding,) = machine.check_clock(datetime.now(UTC), datetime.now(UTC) + timedelta(days=900))
    assert finding.level is Level.FINE


@ON_SQLITE
def test_a_directory_that_others_may_read_is_found(kept):
    kept.settings.data.chmod(0o755)
    assert "other accounts" in found(kept, quick=True)["directory"].what


@ON_SQLITE
def test_a_file_of_another_account_is_found(kept):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(kept.settings.data / "chapar.sqlite", 65534, 65534)
    assert "another account" in found(kept, quick=True)["directory"].what


@ON_SQLITE
@pytest.mark.skipif(sys.platform != "linux", reason="chattr is Linux's")
def test_a_folder_of_files_that_cannot_be_written_is_found(kept):
    blobs = kept.settings.data / "blobs"
    with unwritable(blobs):
        assert "may not write to" in found(kept, quick=True)["directory"].what
    assert "directory" not in found(kept, quick=True)


@ON_SQLITE
def test_a_disk_that_fills_up_is_found(kept, monkeypatch):
    total = 100_000 * disk.MEGABYTE
    for free, level in ((20_000, Level.WARNING), (500, Level.BROKEN)):
        room = disk.Room("data", kept.settings.data, free * disk.MEGABYTE, total)
        monkeypatch.setattr(disk, "measure", lambda *_, room=room: [room])
        assert found(kept, quick=True)["disk"].level is level


def test_a_directory_that_takes_no_file_is_found(tmp_path):
    (finding,) = machine.check_fsync(tmp_path / "missing")
    assert (finding.level, "nothing can be written" in finding.what) == (Level.BROKEN, True)


def test_a_low_limit_of_open_files_is_found(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    (finding,) = machine.check_open_files()
    assert (finding.level, "1024" in finding.what) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("given", "environment", "word"),
    [
        ({}, {"CHAPAR_DATABSE_URL": "x"}, "Did you mean CHAPAR_DATABASE_URL?"),
        ({"log_level": "loud"}, {}, "debug"),
        ({"xml_bytes_max": 10**10}, {}, "refused"),
        ({"submission_bytes_max": 10**10}, {}, "refused"),
        ({"blobs": "/mnt/blobs"}, {}, "s3://"),
        ({"database_url": "mysql://x"}, {}, "postgresql://"),
        ({"public_url": "post-3.example.org"}, {}, "https://"),
    ],
)
def test_a_setting_that_makes_no_sense_is_found(given, environment, word):
    (finding,) = check_settings(Settings(**given), environment)
    assert finding.level is not Level.FINE
    assert word in finding.do
    (fine,) = check_settings(Settings(), {"CHAPAR_DATA": "x", "HOME": "y"})
    assert fine.level is Level.FINE


@ON_SQLITE
def test_the_command_tells_by_its_exit_code_beside_a_server_and_after_it_was_killed(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        for number in range(10):
            send(live, household(f"uuid:{number}"), {"a.jpg": b"%d" % number})
        well = chapar(settings, "doctor", "--json")
        assert (well.returncode, well.stderr) == (0, "")
        assert json.loads(well.stdout)["level"] == "fine"
        send(live, household(form_id="unheard-of"))
        wait_for(lambda: "chapar_quarantine_waiting 1" in live.client.get(f"{child.url}/metrics").text)
        child.kill()
    with pytest.raises(typer.Exit) as ended:
        doctor(quick=True, data=settings.data)
    assert ended.value.exit_code == 1
    for path in (settings.data / "blobs").glob("*/*"):
        path.unlink()
    broken = chapar(settings, "doctor")
    assert (broken.returncode, "BROKEN   blobs" in broken.stdout) == (2, True)


def kept_head(node: Node) -> int:
    with reading(node.engine) as connection:
        return head_position(connection)

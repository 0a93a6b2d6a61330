"""Backup and restore: taken while the server works, whole or refused, and gone on from under a new epoch."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import orjson
import pytest
from child import chapar, prepare, started
from conftest import Live, household, send, state_of, wait_for
from load import Load, check_all_there, check_chain
from people import People
from sqlalchemy import select
from test_durability import mixed_load

from server import restore as restoring
from server.backup import FACTS, MANIFEST, BackupError, back_up, verify_backup
from server.exports.folder import export_form
from server.exports.options import Options
from server.node import Node, open_node, require_store
from server.permissions import Role
from server.progress import unseen
from server.restore import restore
from server.settings import Settings
from server.store.chain import node_head
from server.store.copying import StoreNotEmptyError
from server.store.engine import reading
from server.store.tables import journal as entries

PHOTO = b"a photo of a roof" * 200


@pytest.fixture
def elsewhere(settings: Settings, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """An empty place in the other kind of database."""
    url = "" if settings.database_url else request.getfixturevalue("new_database")
    return Settings(data=tmp_path / "elsewhere", database_url=url)


def names_of(settings: Settings) -> list[tuple[str, str, int]]:
    node = open_node(settings)
    try:
        check_chain(node)
        with reading(node.engine) as connection:
            columns = (entries.c.origin, entries.c.epoch, entries.c.seq)
            return [tuple(row) for row in connection.execute(select(*columns).order_by(entries.c.position))]
    finally:
        node.close()


LONG = (
    pytest.mark.soak,
    pytest.mark.skipif(not os.environ.get("CHAPAR_SOAK"), reason="long; CHAPAR_SOAK=1 runs it"),
)


@pytest.mark.parametrize("settings", ["sqlite", pytest.param("postgresql", marks=LONG)], indirect=True)
def test_a_server_is_backed_up_at_work_killed_and_goes_on_elsewhere(settings, elsewhere, tmp_path):
    load = Load(prepare(settings), pause_s=0.05)
    file = tmp_path / "drill.zip"
    with started(settings) as child, load.running(child):
        wait_for(lambda: len(load.acknowledged) > 30)
        known = list(load.acknowledged)
        done = chapar(settings, "backup", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert len(load.acknowledged) > len(known)
        child.kill()
    assert file.stat().st_mode & 0o077 == 0
    said = orjson.loads(chapar(elsewhere, "restore", str(file), "--json").stdout)
    check_all_there(elsewhere, known)
    again = Load(load.token, pause_s=0.05, numbers=iter(range(100_000, 200_000)))
    with started(elsewhere) as child, again.running(child):
        wait_for(lambda: len(again.acknowledged) > 10)
        assert child.stop() == 0
    check_all_there(elsewhere, known + again.acknowledged)
    before, after = names_of(settings), names_of(elsewhere)
    kept, new = after[: said["entries"]], after[said["entries"] :]
    assert kept == before[: said["entries"]]
    assert len({name[1] for name in after}) == 2
    assert not set(new) & set(before)


def test_a_restored_node_shows_and_exports_the_same(live, elsewhere, tmp_path):
    mixed_load(live, random.Random(9))
    file, _ = back_up(live.node, tmp_path, unseen)
    restore(elsewhere, file, unseen)
    other = open_node(elsewhere)
    try:
        live.node.catch_up()
        assert state_of(other) == state_of(live.node)
        check_chain(other)
        for node, out in ((live.node, tmp_path / "here"), (other, tmp_path / "there")):
            export_form(node, 1, "household", out, Options(personal=True), media=True)
        files = [
            path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*") if path.is_file()
        ]
        assert len(files) > 5
        assert all(
            (tmp_path / "here" / one).read_bytes() == (tmp_path / "there" / one).read_bytes() for one in files
        )
    finally:
        other.close()


sqlite_only = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def backup(live: Live, tmp_path: Path) -> Path:
    """A backup of two records, one with a file."""
    send(live, household("uuid:1", extra="<shelter>1.jpg</shelter>"), {"1.jpg": PHOTO})
    send(live, household("uuid:2"))
    return back_up(live.node, tmp_path, unseen)[0]


def rewritten(backup: Path, name: str, content: bytes | None) -> Path:
    """The backup with other content under this name, or (None) without it."""
    other = backup.with_name("other.zip")
    with ZipFile(backup) as old, ZipFile(other, "w") as new:
        for one in old.namelist():
            if one != name:
                new.writestr(one, old.read(one))
            elif content is not None:
                new.writestr(one, content)
    return other


def flipped(backup: Path, at: int) -> Path:
    other, content = backup.with_name("flipped.zip"), bytearray(backup.read_bytes())
    content[at] ^= 1
    other.write_bytes(content)
    return other


def cut(backup: Path) -> Path:
    other, content = backup.with_name("cut.zip"), backup.read_bytes()
    other.write_bytes(content[: len(content) // 2])
    return other


def name_of_photo(backup: Path) -> str:
    with ZipFile(backup) as archive:
        return next(name for name in archive.namelist() if archive.read(name) == PHOTO)


@sqlite_only
def test_a_damaged_backup_is_refused_with_what_is_wrong_and_leaves_the_place_empty(live, backup, tmp_path):
    target = Settings(data=tmp_path / "new")
    photo = name_of_photo(backup)
    with ZipFile(backup) as archive:
        manifest, facts = archive.read(MANIFEST), archive.read(FACTS)
    assert b'"files": 2' in manifest
    other_manifest = manifest.replace(b'"files": 2', b'"files": 1')
    in_photo = backup.read_bytes().index(PHOTO) + 50
    makers: dict[str, Callable[[], Path]] = {
        "It is damaged or cut off: File is not a zip file": lambda: cut(backup),
        "It is damaged or cut off: Bad CRC": lambda: flipped(backup, in_photo),
        r"The file \w{64} is missing in it": lambda: rewritten(backup, photo, None),
        r"The file \w{64} in it was altered": lambda: rewritten(backup, photo, PHOTO[::-1]),
        r"chapar\.sqlite in it was altered": lambda: rewritten(backup, FACTS, facts[::-1]),
        "Its manifest was altered": lambda: rewritten(backup, MANIFEST, other_manifest),
        "It is no backup of Chapar": lambda: rewritten(backup, MANIFEST, None),
    }
    for says, make in makers.items():
        bad = make()
        with pytest.raises(BackupError, match=says):
            verify_backup(bad, unseen)
        with pytest.raises(BackupError, match=says):
            restore(target, bad, unseen)
    restore(target, backup, unseen)
    assert len(names_of(target)) == len(names_of(live.node.settings))


@sqlite_only
def test_no_flipped_bit_does_more_than_refuse(backup, tmp_path):
    """Some bits, such as a member's time, mean nothing."""
    chance, size = random.Random(4), backup.stat().st_size
    tail = range(size - 400, size)  # where the zip says what is in it
    refused = 0
    for at in [*chance.sample(range(size), 12), *chance.sample(tail, 12)]:
        try:
            verify_backup(flipped(backup, at), unseen)
        except BackupError:
            refused += 1
    assert refused > 12


@sqlite_only
def test_a_backup_tells_what_the_node_has_lost_and_keeps_the_rest(live, backup, tmp_path):
    data = live.node.settings.data
    lost = data / name_of_photo(backup)
    lost.write_bytes(PHOTO[::-1])
    done = chapar(live.node.settings, "backup", str(tmp_path / "second.zip"), "--json")
    said = orjson.loads(done.stdout)
    assert (done.returncode, len(said["missing"]), said["fault"]) == (1, 1, "")
    lost.unlink()
    file, manifest = back_up(live.node, tmp_path / "third.zip", unseen)
    assert (list(manifest.missing), manifest.files) == (said["missing"], 1)
    target = Settings(data=tmp_path / "new")
    restore(target, file, unseen)
    assert names_of(target) == names_of(live.node.settings)


@sqlite_only
def test_what_is_erased_is_in_no_backup_made_afterwards(live, backup, tmp_path):
    People(live).post(
        "submissions/uuid:1/erase", role=Role.ADMINISTRATOR, reason="person_asked", confirm="uuid:1"
    )
    file, manifest = back_up(live.node, tmp_path / "later.zip", unseen)
    assert manifest.missing == []
    with ZipFile(file) as archive:
        assert name_of_photo(backup) not in archive.namelist()
        assert b"1.jpg" not in archive.read(FACTS)
    with ZipFile(backup) as archive:
        assert b"1.jpg" in archive.read(FACTS)


@sqlite_only
def test_records_are_never_put_where_others_are(live, backup):
    before = names_of(live.node.settings)
    with pytest.raises(StoreNotEmptyError, match="Choose an empty"):
        restore(live.node.settings, backup, unseen)
    assert names_of(live.node.settings) == before


@pytest.mark.parametrize("cut_off_in", ["copy_rows", "_derive"])
def test_a_restore_that_was_cut_off_is_run_again_or_is_done(live, backup, elsewhere, monkeypatch, cut_off_in):
    whole = getattr(restoring, cut_off_in)

    def cut_off(*arguments: object) -> None:
        whole(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, cut_off_in, cut_off)
        with pytest.raises(KeyboardInterrupt):
            restore(elsewhere, backup, unseen)
    if cut_off_in == "copy_rows":
        restore(elsewhere, backup, unseen)
    other = open_node(elsewhere)
    try:
        other.catch_up()
        live.node.catch_up()
        assert state_of(other) == state_of(live.node)
    finally:
        other.close()


@sqlite_only
def test_a_backup_unpacked_by_hand_is_a_data_directory(live, backup, tmp_path):
    with ZipFile(backup) as archive:
        archive.extractall(tmp_path / "unpacked")
    settings = Settings(data=tmp_path / "unpacked")
    other = open_node(settings)
    try:
        other.catch_up()
        live.node.catch_up()
        assert state_of(other) == state_of(live.node)
        assert epoch_of(other) != epoch_of(live.node)
    finally:
        other.close()


def epoch_of(node: Node) -> str:
    """What comes in now comes in under."""
    with reading(node.engine) as connection:
        return node_head(connection).epoch


@sqlite_only
def test_the_commands_say_where_it_is_and_overwrite_nothing(live, tmp_path):
    made = orjson.loads(chapar(live.node.settings, "backup", str(tmp_path), "--json").stdout)
    file = Path(made["path"])
    assert (file.parent, file.suffix, file.stat().st_mode & 0o077) == (tmp_path, ".zip", 0)
    with pytest.raises(FileExistsError, match="is there already"):
        back_up(live.node, file, unseen)
    checked = orjson.loads(chapar(live.node.settings, "backup", "--verify", str(file), "--json").stdout)
    assert checked == made
    with pytest.raises(FileNotFoundError, match="no store in"):
        require_store(Settings(data=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    assert not list(tmp_path.glob(".chapar-backup-*"))

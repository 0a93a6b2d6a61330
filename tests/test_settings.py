"""A mistyped setting is refused where it is read, by its name and without its value; one that does not exist is told."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from child import launched, log_of, started
from commands import run
from postgres import Postgres

from server.doctor.examine import examine
from server.doctor.findings import Level
from server.node import open_node
from server.progress import unseen
from server.settings import Settings, SettingsError, read_settings

SECRET = "geheim"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "yaml"),
        ("PORT", SECRET),
        ("WORKERS", "0"),
        ("QUEUE_MAX", "0"),
        ("PATIENCE_S", "-1"),
        ("PATIENCE_S", "nan"),
        ("RELAY_EVERY_S", "0"),
        ("RELAY_EVERY_S", "inf"),
        ("XML_BYTES_MAX", "-1"),
        ("SUBMISSION_BYTES_MAX", "100M"),
        ("SUBMISSION_BYTES_MAX", "5000000000"),
        ("DATABASE_URL", f"mysql://chapar:{SECRET}@db/chapar"),
        ("DATABASE_URL", f"postgresql://chapar:{SECRET}@db:port/chapar"),
        ("DATABASE_URL", f"postgresql+asyncpg://chapar:{SECRET}@db/chapar"),
        ("DATABASE_URL", SECRET),
        ("BLOBS", "/media/usb"),
        ("PUBLIC_URL", SECRET),
        ("PUBLIC_URL", "http://[post"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_its_name_without_its_value(name, value):
    with pytest.raises(SettingsError) as refused:
        read_settings({f"CHAPAR_{name}": value}, {})
    assert f"CHAPAR_{name}" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_variable_that_is_empty_is_not_set():
    empty = {f"CHAPAR_{name.upper()}": "" for name in Settings.__dataclass_fields__}
    assert read_settings(empty, {}) == Settings()


def test_every_setting_is_documented():
    text = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
    assert [name for name in Settings.__dataclass_fields__ if f"`CHAPAR_{name.upper()}`" not in text] == []


def test_doctor_calls_settings_that_cannot_be_read_broken(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAPAR_QUEUE_MAX", "many")
    done = run("doctor", "--json", "--data", str(tmp_path))
    (finding,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, finding["check"], finding["level"]) == (2, "settings", "broken")
    assert "CHAPAR_QUEUE_MAX" in finding["what"]
    assert finding["do"]


def test_a_server_tells_of_settings_that_do_not_exist(tmp_path):
    settings = Settings(data=tmp_path / "data")
    with started(settings, CHAPAR_DATABSE_URL=SECRET):
        pass
    log = log_of(settings).read_text()
    assert "CHAPAR_DATABSE_URL is no setting. Did you mean CHAPAR_DATABASE_URL?" in log
    assert SECRET not in log


def refused(settings: Settings, **more: str) -> str:
    """What a server says that does not start."""
    with launched(settings, **more) as process:
        assert process.wait(60) == 1
    return log_of(settings).read_text()


def test_a_store_of_newer_software_or_no_store_is_refused_in_a_sentence(tmp_path):
    settings = Settings(data=tmp_path / "data")
    with started(settings):
        pass
    store = settings.data / "chapar.sqlite"
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    (line,) = refused(settings).splitlines()
    assert "newer than this software's" in line
    log_of(settings).unlink()
    for path in settings.data.glob("chapar.sqlite-*"):
        path.unlink()
    store.write_bytes(b"no database" * 1000)
    log = "chapar: the database cannot be used: file is not a database. `chapar doctor` says more.\n"
    assert refused(settings) == log


def test_a_postgresql_that_cannot_be_used_is_told_in_a_sentence(tmp_path):
    folder = tempfile.TemporaryDirectory(
        prefix="pg-", ignore_cleanup_errors=True
    )  # a socket's path must be short
    with folder as at, closing(Postgres(Path(at))) as postgres:
        with postgres.connect(autocommit=True) as admin:
            admin.execute("CREATE ROLE stranger LOGIN")
            admin.execute(
                "CREATE DATABASE latin OWNER chapar ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
            )
        for number, (url, word) in enumerate(
            (
                (postgres.url.replace("chapar@", "stranger@"), "permission denied"),
                (postgres.url.replace("/postgres?", "/latin?"), "encoding is LATIN1"),
                (f"{postgres.url}&word={SECRET}", "invalid connection option"),
                (postgres.url.replace("/postgres?", "/nothing?"), "does not exist"),
            )
        ):
            settings = Settings(data=tmp_path / str(number) / "data", database_url=url)
            settings.data.mkdir(parents=True)
            log = refused(settings)
            assert log.startswith("chapar: ")
            assert word in log
            assert "Traceback" not in log
            assert SECRET not in log


def test_a_mistyped_directory_is_no_empty_store(tmp_path):
    typo = tmp_path / "chapr-data"
    for words in (["forms", "list"], ["quarantine"], ["app-user", "list"], ["rebuild"], ["relay", "status"]):
        done = run(*words, "--data", str(typo))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"chapar: There is no store in {typo}. Name its directory with --data.\n"
    assert not typo.exists()
    done = run("app-user", "create", "Tablet 7", "--json", "--data", str(typo))
    assert json.loads(done.stdout)["name"] == "Tablet 7"
    assert done.stderr == f"There was no store in {typo}; a new one is begun.\n"


@pytest.mark.parametrize("name", ["a b", "why?x=1", "p%20c", "h#f", "داده", "bad\udcff"])
def test_a_data_directory_may_have_any_name(tmp_path, name):
    settings = Settings(data=tmp_path / name)
    settings.data.mkdir(mode=0o700)
    open_node(settings).close()
    assert (settings.data / "chapar.sqlite").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (store,) = (one for one in examine(settings, unseen, quick=True) if one.check == "store")
    assert store.level is Level.FINE

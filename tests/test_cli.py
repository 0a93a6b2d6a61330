"""The commands that scripts outside rely on, run as real processes."""

import base64
import json
import re
import socket
import subprocess
import zlib
from contextlib import closing
from pathlib import Path

import commands
import pytest
import typer
from conftest import HOUSEHOLD

from server.cli import app
from server.connections import listen

ROOT = Path(__file__).parent.parent


def chapar(*words: str, data: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return commands.run(*words, "--data", str(data), stdin=stdin)


def as_json(*words: str, data: Path, **options: object) -> dict:
    done = chapar(*words, "--json", data=data, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "household.md").write_text(HOUSEHOLD)
    as_json("forms", "publish", str(folder / "household.md"), data=folder / "data")
    return folder / "data"


def test_a_form_is_published_once_and_listed(data):
    again = as_json("forms", "publish", str(data.parent / "household.md"), data=data)
    assert [(one["form_id"], one["is_new"]) for one in again["forms"]] == [("household", False)]
    assert "household" in [one["form_id"] for one in as_json("forms", "list", data=data)["forms"]]


def test_a_draft_is_made_shown_published_and_its_form_closed(data):
    sheet = data.parent / "market.md"
    sheet.write_text(HOUSEHOLD.replace("| household|", "| market   |"))
    made = as_json("forms", "draft", str(sheet), "--url", "http://10.0.0.5:8383", data=data)
    assert (made["form_id"], made["comparison"], len(made["warnings"])) == ("market", None, 1)
    assert re.fullmatch(
        r"http://10\.0\.0\.5:8383/v1/test/[\w-]{64}/projects/1/forms/market/draft", made["server_url"]
    )
    assert Path(made["png"]).stat().st_mode & 0o077 == 0
    assert "market  Household  draft: 1" in chapar("forms", "list", data=data).stdout
    (done,) = as_json("forms", "publish", "--draft", "market", "--version", "2", data=data)["forms"]
    assert (done["form_id"], done["version"], done["is_new"]) == ("market", "2", True)
    assert as_json("forms", "close", "market", "--closing", data=data)["state"] == "closing"
    assert as_json("forms", "close", "market", data=data)["state"] == "closed"
    listed = {one["form_id"]: one for one in as_json("forms", "list", data=data)["forms"]}
    assert (listed["market"]["state"], listed["market"]["draft"]) == ("closed", None)
    assert as_json("forms", "open", "market", data=data)["state"] == "open"


def test_a_draft_tells_what_it_changes_and_is_discarded(data):
    sheet = data.parent / "changed.md"
    sheet.write_text(HOUSEHOLD.replace("| size ", "| count ").replace("| household| 1", "| household| 2"))
    done = chapar("forms", "draft", str(sheet), data=data)
    assert (done.returncode, "breaking  looks-renamed:/size" in done.stdout) == (0, True)
    assert "/v1/test/" in done.stdout
    refused = chapar("forms", "publish", "--draft", "household", data=data)
    assert (refused.returncode, "looks-renamed:/size" in refused.stderr) == (1, True)
    assert as_json("forms", "discard", "household", data=data)["discarded"]
    for words in (("discard", "household"), ("publish", "--draft", "household"), ("close", "nothing")):
        assert chapar("forms", *words, data=data).returncode == 1


def test_a_faulty_sheet_is_told_by_its_cell_without_a_traceback(data):
    bad = data.parent / "bad.md"
    bad.write_text(HOUSEHOLD.replace("| integer              | size", "| intger               | size"))
    done = chapar("forms", "publish", str(bad), data=data)
    assert done.returncode == 1
    assert done.stderr.startswith("chapar: sheet “survey”, row 3, column “type”")
    assert "Traceback" not in done.stderr


def test_an_app_user_gets_a_url_a_token_and_a_qr_code_that_collect_reads(data):
    made = as_json("app-user", "create", "تبلت ۷", "--url", "http://10.0.0.5:8383", data=data)
    assert made["server_url"] == f"http://10.0.0.5:8383/v1/key/{made['token']}/projects/1"
    assert Path(made["png"]).read_bytes().startswith(b"\x89PNG")
    assert Path(made["png"]).stat().st_mode & 0o077 == 0


def test_the_qr_code_holds_settings_in_the_form_collect_expects():
    from server.enrolment import collect_settings

    settings = json.loads(
        zlib.decompress(base64.b64decode(collect_settings("http://x/v1/key/t/projects/1", "T")))
    )
    assert settings["general"]["server_url"] == "http://x/v1/key/t/projects/1"
    assert settings["general"]["form_update_mode"] == "match_exactly"
    assert settings["admin"] == {}


def test_a_user_is_created_with_a_password_from_standard_input(data):
    words = ("user", "create", "Zahra@Example.org", "--role", "administrator", "--password-stdin")
    made = as_json(*words, data=data, stdin="correct horse battery\n")
    assert (made["email"], made["role"]) == ("zahra@example.org", "administrator")
    again = chapar(*words, data=data, stdin="correct horse battery\n")
    assert again.returncode == 1
    assert "already" in again.stderr


def test_a_short_password_is_refused(data):
    done = chapar("user", "create", "a@example.org", "--password-stdin", data=data, stdin="short\n")
    assert (done.returncode, done.stderr) == (1, "chapar: A password has at least 10 characters.\n")


def test_an_export_names_its_files_and_rows(data, tmp_path):
    done = as_json("export", "household", "--out", str(tmp_path / "out"), data=data)
    assert {one["name"] for one in done["files"]} == {"household.csv", "household-member.csv"}
    assert done["rows"] == 0


def test_a_setting_that_cannot_be_read_is_told_in_a_sentence_without_its_value(data, monkeypatch):
    monkeypatch.setenv("CHAPAR_PORT", "83 83")
    done = chapar("forms", "list", data=data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("chapar: CHAPAR_PORT: Input should be a valid integer")
    assert "83 83" not in done.stderr


def test_a_port_that_is_taken_is_told_in_a_sentence(data):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = chapar("serve", "--port", port, data=data)
    assert done.returncode == 1
    assert done.stderr == (
        f"chapar: Nobody can listen on 127.0.0.1, port {port}: another program does; choose another --port, or end it.\n"
    )


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return socket.has_dualstack_ipv6()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_are_listened_on_those_of_ipv4_too():
    with closing(listen("::", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=10).close()


def test_an_unknown_form_is_told_in_a_sentence(data, tmp_path):
    done = chapar("export", "nothing", "--out", str(tmp_path), data=data)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_rebuilding_and_the_quarantine_answer_in_json(data):
    assert as_json("rebuild", data=data)["entries"] > 0
    assert as_json("quarantine", data=data) == {"quarantine": []}


def names() -> list[str]:
    root = typer.main.get_command(app)
    found = []
    for name, command in root.commands.items():
        found += [f"{name} {below}" for below in getattr(command, "commands", {})] or [name]
    return found


@pytest.mark.parametrize("name", names())
def test_every_command_tells_what_it_does_and_takes_data_and_json(name):
    command = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    assert command.help
    options = {option for one in command.params for option in one.opts}
    assert {"--data", "--json"} <= options


def test_the_commands_in_the_readme_exist():
    texts = [(ROOT / "README.md").read_text(), *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    groups = "|".join({name.split()[0] for name in names() if " " in name})
    named = {
        match
        for text in texts
        for match in re.findall(rf"(?<!\")chapar ((?:{groups}) [a-z]+|[a-z]+)\b(?!:)", text)
    }
    assert {"serve", "export", "forms publish", "app-user create"} <= named
    assert named - {"data", "server", "chapar"} <= set(names())


def test_entities_are_listed_shown_and_restricted_properties_left_out(tmp_path):
    from entity_world import MEGAN, PEOPLE, World, create

    from server.node import open_node
    from server.settings import Settings
    from server.setup import ensure_project

    node = open_node(Settings(data=tmp_path))
    ensure_project(node)
    World(node).send(create())
    node.close()
    (listed,) = as_json("entities", "list", "people", data=tmp_path)["entities"]
    assert (listed["uuid"], listed["currentVersion"]["label"]) == (MEGAN, "Megan (20)")
    shown = as_json("entities", "show", "people", MEGAN, data=tmp_path)
    assert shown["currentVersion"]["data"] == {"first_name": "Megan", "age": "20", "status": "new"}
    assert as_json("entities", "faults", data=tmp_path) == {"faults": []}
    flagged = tmp_path / "people.md"
    flagged.write_text(
        PEOPLE.replace("| save_to    |", "| save_to    | chapar::flags |")
        .replace("| Age    | age        |", "| Age    | age        | P |")
        .replace("| 1      |", "| 2      |")
    )
    assert chapar("forms", "publish", str(flagged), data=tmp_path).returncode == 0
    assert "20" not in chapar("entities", "show", "people", MEGAN, data=tmp_path).stdout.replace("(20)", "")
    assert "age = 20" in chapar("entities", "show", "people", MEGAN, "--personal", data=tmp_path).stdout
    assert chapar("entities", "show", "people", "x", data=tmp_path).returncode == 1

"""`chapar forms check` as a process, and the same over HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess

import commands
import pytest
from checking import SETTINGS, survey
from conftest import Live

from server.auth import hash_password
from server.store import accounts
from server.store.engine import writing

CLEAN = survey("type | name | label", "integer | age | Age", more=SETTINGS)
WARNED = CLEAN.replace("Age |", "Age |\n| | text | head | Full name |")
BROKEN = WARNED.replace("integer", "intger")
PASSWORD = "correct horse battery"


@pytest.fixture
def check(tmp_path):
    def check(sheet: str, *options: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "فرم visit.md"
        file.write_text(sheet, encoding="utf-8")
        return commands.run("forms", "check", str(file), *options)

    return check


@pytest.mark.parametrize(
    ("sheet", "plain", "strict"),
    [(CLEAN, 0, 0), (WARNED, 0, 2), (BROKEN, 1, 1)],
    ids=["clean", "warned", "broken"],
)
def test_the_exit_code_tells_errors_and_when_strict_warnings(check, sheet, plain, strict):
    assert check(sheet).returncode == plain
    assert check(sheet, "--strict").returncode == strict


def test_people_read_the_findings_by_row(check):
    said = check(BROKEN).stdout
    assert "sheet “survey”, row 2\n  error    type: Unknown question type 'intger'." in said
    assert "sheet “survey”, row 3\n  warning  label: “Full name” " in said
    assert said.endswith("1 error, 1 warning, 1 hint\n")


def test_scripts_read_json(check):
    [file] = json.loads(check(WARNED, "--json").stdout)["files"]
    assert file["file"].endswith("فرم visit.md")
    assert [(each["rule"], each["severity"], each["sheet"], each["row"]) for each in file["findings"]] == [
        ("personal-data-unflagged", "warning", "survey", 3),
        ("duration", "hint", "", None),
    ]


def test_editors_read_sarif(check):
    log = json.loads(check(WARNED, "--sarif").stdout)
    [run] = log["runs"]
    first, second = run["results"]
    assert log["version"] == "2.1.0"
    assert {each["ruleId"] for each in run["results"]} <= {
        rule["id"] for rule in run["tool"]["driver"]["rules"]
    }
    assert (first["level"], second["level"]) == ("warning", "note")
    place = first["locations"][0]
    assert place["physicalLocation"]["region"] == {"startLine": 3}
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("visit.md")
    assert " " not in place["physicalLocation"]["artifactLocation"]["uri"]
    assert place["logicalLocations"] == [{"fullyQualifiedName": "survey/row 3/label"}]


@pytest.fixture
def headers(live: Live):
    def headers(role: str, content_type: str = "text/markdown") -> dict[str, str]:
        email = f"{role}@example.org"
        with writing(live.node.engine) as connection:
            accounts.add_user(connection, email, hash_password(PASSWORD), role, one_time=False)
        answer = live.client.post(f"{live.url}/v1/sessions", json={"email": email, "password": PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['token']}", "Content-Type": content_type}

    return headers


def test_a_sheet_is_checked_over_http_and_nothing_is_stored(live, headers):
    signed = headers("administrator")
    forms = f"{live.url}/v1/projects/1/forms"
    answer = live.client.post(f"{forms}/check", content=BROKEN.encode(), headers=signed)
    assert answer.status_code == 200
    assert [each["rule"] for each in answer.json()["findings"]] == [
        "compile-error",
        "personal-data-unflagged",
        "duration",
    ]
    assert [one["xmlFormId"] for one in live.client.get(forms, headers=signed).json()] == ["household"]


@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate is a Java program")
def test_over_http_too_odk_validate_names_the_row_that_it_refuses(live, headers):
    sheet = survey(
        "type | name | label | relevant", "text | a | A |", "text | b | B | nonsense(${a})", more=SETTINGS
    )
    answer = live.client.post(
        f"{live.url}/v1/projects/1/forms/check", content=sheet.encode(), headers=headers("administrator")
    )
    errors = [each for each in answer.json()["findings"] if each["severity"] == "error"]
    assert [(each["sheet"], each["row"], each["column"]) for each in errors] == [("survey", 3, "relevant")]
    assert "nonsense" in errors[0]["message"]


def test_checking_asks_for_the_right_to_publish_and_a_sheet(live, headers):
    check = f"{live.url}/v1/projects/1/forms/check"
    assert live.client.post(check, content=CLEAN).status_code == 401
    assert live.client.post(check, content=CLEAN, headers=headers("coordinator")).status_code == 403
    signed = headers("administrator", "application/xml")
    assert live.client.post(check, content="<html/>", headers=signed).json()["code"] == 400.1

"""Wrong methods, addresses, JSON and sheets at the REST door: a problem that says what to do, never a 500."""

from __future__ import annotations

import io
import os
import zipfile

from conftest import HOUSEHOLD, household, send
from hostile import (
    BOMB,
    MEGABYTE,
    ON_SQLITE,
    stored,
)


def test_other_methods_and_a_bad_token_are_told_so(live):
    url = f"{live.tablet_url}/submission"
    refused = live.client.get(url)
    assert (refused.status_code, refused.headers["allow"]) == (405, "HEAD, POST")
    assert live.client.put(url, content=b"x").status_code == 405
    head = live.client.head(url.replace("/key/", "/key/x"))
    assert (head.status_code, head.content) == (401, b"")
    assert live.client.head(f"{live.url}/v1/projects/1/submission").status_code == 401
    assert live.client.post(f"{live.url}/v1/projects/9999999999/submission").status_code == 404


@ON_SQLITE
def test_a_slash_at_the_end_is_passed_over_without_sending_anybody_elsewhere(live, admin):
    for url in (f"{live.tablet_url}/formList/", f"{live.url}/v1/projects/1/forms/", f"{live.url}/healthz/"):
        answer = live.client.get(url, auth=admin, follow_redirects=False)
        assert (answer.status_code, answer.content) == (200, live.client.get(url[:-1], auth=admin).content)
    assert live.client.get(f"{live.url}/", follow_redirects=False).status_code == 404
    assert live.client.get(f"{live.url}/v1/projects/1/forms//", follow_redirects=False).status_code == 404


def test_a_user_cannot_send_into_a_project_that_is_not_there(live, admin):
    files = [("xml_submission_file", ("a.xml", household(), "text/xml"))]
    answer = live.client.post(f"{live.url}/v1/projects/77/submission", files=files, auth=admin)
    assert answer.status_code == 404
    assert "OpenRosaResponse" in answer.text


RUBBISH = {
    "no JSON": b"{",
    "invalid UTF-8": b'{"email": "\xff"}',
    "NUL": b'{"email": "a\\u0000b@x", "password": "long-enough-1", "role": "coordinator"}',
    "lone surrogate": b'{"email": "\\ud800@x", "password": "long-enough-\\ud800", "role": "coordinator"}',
    "wrong types": b'{"email": [], "password": {}, "role": 7}',
    "deep": b"[" * 100_000,
    "huge number": b"9" * 10_000,
    "empty": b"",
    "UTF-16": '{"email": "a"}'.encode("utf-16"),
}

JSON_TAKEN = (
    ("POST", "/v1/sessions"),
    ("POST", "/v1/users"),
    ("POST", "/v1/projects/1/app-users"),
    ("PUT", "/v1/users/current/password"),
)


def test_rubbish_instead_of_json_gets_400_or_401_with_a_problem(live, admin):
    headers = {"Content-Type": "application/json"}
    for case, body in RUBBISH.items():
        for method, path in JSON_TAKEN:
            answer = live.client.request(method, live.url + path, content=body, auth=admin, headers=headers)
            assert answer.status_code in {400, 401}, (case, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["message"]


def test_a_name_that_no_database_takes_does_not_stop_the_state(live, admin):
    url = f"{live.url}/v1/projects/1/app-users"
    names = [b"a\\u0000b", b"\\ud800", b"\\u001b[31m", "\u202e".encode()]
    for name in names:
        body = b'{"displayName": "%s"}' % name
        headers = {"Content-Type": "application/json"}
        assert live.client.post(url, content=body, auth=admin, headers=headers).status_code == 400
    send(live, household())
    assert len(stored(live)) == 1


def test_hostile_addresses_are_answered_below_500(live, admin):
    forms = f"{live.url}/v1/projects/1/forms"
    for url in (
        f"{live.url}/v1/projects/99999999999999999999/forms",
        f"{live.url}/v1/projects/-1/forms",
        f"{live.url}/v1/projects/9999999999/formList",
        f"{live.tablet_url}9999999999/formList",
        f"{forms}/%00",
        f"{forms}/%ff%fe",
        f"{forms}/{'x' * 8000}",
        f"{forms}/household/submissions/%00/versions",
        f"{forms}/household/submissions?after=99999999999999999999",
        f"{forms}/household/submissions?after=-5&limit=0",
        f"{forms}/household/versions/%00.xml",
        f"{forms}/household/attachments/..%2f..%2fserver.lock",
        f"{live.tablet_url}/forms/household/attachments/%2e%2e%2fserver.lock",
        f"{live.url}/../../etc/passwd",
    ):
        assert 400 <= live.client.get(url, auth=admin).status_code < 500 or "after=-5" in url, url


def sheet(name: str, content: bytes, **more: bytes) -> bytes:
    """An xlsx with this part beside what makes it one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr(name, content)
    return buffer.getvalue()


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

BAD_SHEETS = {
    "zip bomb": (sheet("xl/worksheets/sheet1.xml", bytes(300 * MEGABYTE)), XLSX),
    "macros": (sheet("xl/vbaProject.bin", b"macro"), XLSX),
    "cut": (sheet("xl/x.xml", os.urandom(9000))[:4000], XLSX),
    "no zip": (b"hello", XLSX),
    "old rubbish": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + os.urandom(5000), "application/vnd.ms-excel"),
    "empty": (b"", XLSX),
    "binary csv": (os.urandom(5000), "text/csv"),
    "NUL in csv": (b"survey,type,name\x00\n,text,a\x00\n", "text/csv"),
    "markdown without sheet": (b"# hello", "text/markdown"),
    "XML bomb": (BOMB, "text/xml"),
    "XML of something else": (b"<html/>", "application/xml"),
    "deep XML": (b"<a>" * 100_000, "text/xml"),
    "a form's id of 5,000 characters": (
        HOUSEHOLD.replace("| household|", f"| {'h' * 5000}|").encode(),
        "text/markdown",
    ),
}


@ON_SQLITE
def test_a_sheet_that_is_no_form_gets_400_with_what_to_do(live, admin):
    for case, (data, kind) in BAD_SHEETS.items():
        answer = live.client.post(
            f"{live.url}/v1/projects/1/forms", content=data, auth=admin, headers={"Content-Type": kind}
        )
        assert answer.status_code == 400, case
        faults = answer.json()["details"]["faults"]
        assert all(fault["message"] and fault["fix"] for fault in faults), case


def test_a_hostile_file_name_of_a_sheet_does_not_stop_the_state(live, admin):
    headers = {"Content-Type": "text/markdown", "X-XlsForm-FormId-Fallback": "..%2F%00" + "n" * 5000}
    sheet_text = HOUSEHOLD.replace("| household| 1", "| other    | 1")
    url = f"{live.url}/v1/projects/1/forms?publish=true&ignoreWarnings=true"
    answer = live.client.post(url, content=sheet_text.encode(), auth=admin, headers=headers)
    assert answer.status_code == 200
    send(live, household())
    assert len(stored(live)) == 1

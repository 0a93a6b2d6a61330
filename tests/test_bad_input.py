"""Hostile and broken input over real HTTP: a clear answer, nothing lost, nothing harmed, memory bounded."""

from __future__ import annotations

import io
import logging
import os
import socket
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

import orjson
import pytest
from child import prepare, started
from conftest import HOUSEHOLD, Live, household, send, wait_for
from hypothesis import given
from hypothesis import strategies as st

from forms import instance
from forms.compile import compile_form
from server.auth import hash_password
from server.logs import Formatter
from server.permissions import Role
from server.publishing import publish
from server.store import accounts, journal, quarantine, submissions
from server.store.engine import reading, writing
from server.store.quarantine import Quarantined
from server.store.submissions import StoredSubmission
from sync.journal import Draft, Kind

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is decided before any database is asked."""

BOMB = b"""<?xml version="1.0"?><!DOCTYPE data [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">
]><data id="household"><size>&e;&e;&e;&e;</size></data>"""
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE data [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<data id="household"><size>&x;</size></data>'
)
MEGABYTE = 1_000_000


@pytest.fixture
def admin(live: Live) -> tuple[str, str]:
    """Basic credentials of an administrator."""
    hashed = hash_password("long-enough-1")
    with writing(live.node.engine) as connection:
        accounts.add_user(connection, "a@example.org", hashed, Role.ADMINISTRATOR, one_time=False)
    return ("a@example.org", "long-enough-1")


def stored(live: Live) -> list[StoredSubmission]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return submissions.list_submissions(connection, 1, "household", after=0, limit=1000)


def quarantined(live: Live) -> list[Quarantined]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return quarantine.list_quarantined(connection, 1)


def entries(live: Live) -> int:
    with reading(live.node.engine) as connection:
        return journal.head_position(connection)


def body_of(*parts: tuple[str, str, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """A multipart body with boundary `b`: (headers after `form-data; `, content type, content) of each part."""
    written = [
        f"--b\r\nContent-Disposition: form-data; {names}\r\nContent-Type: {kind}\r\n\r\n".encode() + content
        for names, kind, content in parts
    ]
    return b"\r\n".join(written) + b"\r\n" + end


def post_body(live: Live, body: bytes | Iterator[bytes], kind: str = "multipart/form-data; boundary=b"):
    return live.client.post(
        f"{live.tablet_url}/submission", content=body, headers={"Content-Type": kind}, timeout=120
    )


def exchange(url: str, request: bytes, *, then_close: bool = False, timeout_s: float = 10) -> bytes:
    """Send raw bytes; hang up, or read until the server has said all (b"" when it says nothing in time)."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout_s) as connection:
        connection.sendall(request)
        answer = b""
        try:
            while not then_close and (chunk := connection.recv(65536)):
                answer += chunk
        except TimeoutError:
            pass
        return answer


def raw_post(live: Live, body: bytes, length: int, path: str = "") -> bytes:
    path = path or urlsplit(live.tablet_url).path + "/submission"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    return head.encode() + body


def deep(levels: int) -> bytes:
    return household(extra="<g>" * levels + "</g>" * levels)


UTF_16 = household().decode().replace("UTF-8", "UTF-16").encode("utf-16")
UNREADABLE = {
    "entity bomb": BOMB,
    "external entity": EXTERNAL,
    "truncated": household()[:-9],
    "empty": b"",
    "NUL byte": household().replace(b"5", b"5\x00"),
    "NUL reference": household().replace(b"5", b"&#0;"),
    "lone surrogate": household().replace(b"5", b"&#xD800;"),
    "surrogate in UTF-8": household().replace(b"5", b"\xed\xa0\x80"),
    "Latin-1 said to be UTF-8": household(extra="<head>é</head>").decode().encode("latin-1"),
    "unknown encoding": household().replace(b"UTF-8", b"klingon"),
    "UTF-7": household().replace(b"UTF-8", b"UTF-7"),
    "EBCDIC": household().decode().replace("UTF-8", "cp037").encode("cp037"),
    "no form": household().replace(b' id="household"', b""),
    "300 levels": deep(300),
    "no XML": b"%PDF-1.7",
    "long instanceID": household("x" * 10_000),
    "million repeats": household(extra="<member/>" * 799_000),
}


def test_what_cannot_be_read_is_kept_whole_in_quarantine_and_answered_202(live):
    for number, (case, xml) in enumerate(UNREADABLE.items()):
        for _ in range(2):
            answer = send(live, xml, {"1.jpg": b"photo"})
            assert (answer.status_code, "OpenRosaResponse" in answer.text) == (202, True), case
        *_, newest = kept = quarantined(live)
        assert len(kept) == number + 1, case
        with reading(live.node.engine) as connection:
            entry = journal.read_entry(connection, newest.position)
        assert entry.body == xml, case
        assert live.node.blobs.get(orjson.loads(entry.detail)["files"][0]["sha256"]) == b"photo"
    assert stored(live) == []


def test_the_quarantine_is_visible_to_an_administrator_and_names_no_value(live, admin):
    send(live, BOMB)
    send(live, household(form_id="unheard-of", extra="<head>Maryam Testname</head>"))
    url = f"{live.url}/v1/projects/1/quarantine"
    wait_for(lambda: len(live.client.get(url, auth=admin).json()) == 2)
    bomb, unknown = live.client.get(url, auth=admin).json()
    assert "document type" in bomb["reason"]
    assert (unknown["xmlFormId"], unknown["instanceId"]) == ("unheard-of", "uuid:1")
    assert "Testname" not in live.client.get(url, auth=admin).text
    assert live.client.get(url).status_code == 401


READABLE = {
    "UTF-16": UTF_16,
    "byte order mark": b"\xef\xbb\xbf" + household(),
    "Latin-1 that says so": household(extra="<head>é</head>")
    .decode()
    .replace("UTF-8", "ISO-8859-1")
    .encode("latin-1"),
    "60 levels": deep(60),
    "100 levels": deep(100),
    "100,000 repeats": household(extra="<member><m_name/></member>" * 49_000),
    "wrong types": household("uuid:1", "9" * 5000, "<seen>0000-99-99</seen><place>nan inf 1e999</place>"),
    "wide": household(extra="".join(f"<x{n}/>" for n in range(50_000))),
}


def test_what_is_odd_but_readable_is_a_record(live):
    for number, (case, xml) in enumerate(READABLE.items()):
        assert send(live, with_id(xml, number)).status_code == 201, case
        assert stored(live)[-1].instance_id == f"uuid:{number}", case
        assert len(stored(live)[-1].problems) < 30_000, case
    assert quarantined(live) == []


def with_id(xml: bytes, number: int) -> bytes:
    encoding = "utf-16-le" if xml.startswith(b"\xff\xfe") else "ascii"
    return xml.replace("uuid:1".encode(encoding), f"uuid:{number}".encode(encoding))


ANSWERS = st.dictionaries(
    st.sampled_from(["head", "size", "consent", "needs", "place", "seen", "shelter", "member", "other"]),
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
        st.text("0123456789+-.:TZeE ;naif", max_size=30),
        st.integers().map(str),
        st.datetimes().map(str),
    ),
)
SCHEMA = compile_form(HOUSEHOLD.encode(), "household.md").schema


@given(ANSWERS)
def test_no_answer_whatever_stops_the_reading_of_an_instance(answers):
    xml = household(extra="".join(f"<{name}>{escape(text)}</{name}>" for name, text in answers.items()))
    read = instance.read(xml, SCHEMA)
    assert orjson.loads(orjson.dumps(instance.to_json(read.answers)))["size"]
    assert len(instance.content_digest(read.answers, SCHEMA)) == 64


def test_publishing_a_form_takes_up_what_waited_for_it_with_its_files(live):
    early = household(form_id="later", extra="<shelter>1.jpg</shelter>")
    assert send(live, early, {"1.jpg": b"photo"}).status_code == 202
    assert send(live, early, {"2.jpg": b"second"}).status_code == 202
    sheet = HOUSEHOLD.replace("| household|", "| later|").replace("Household", "Later")
    assert publish(live.node, 1, sheet.encode(), "later.md", {}).released == 2
    with reading(live.node.engine) as connection:
        (record,) = submissions.list_submissions(connection, 1, "later", after=0, limit=9)
        files = submissions.list_attachments(connection, 1, "later", ["uuid:1"])
    assert (record.submitter_name, record.attachments_present) == ("tablet", 1)
    assert [(file.name, live.node.blobs.get(file.sha256)) for file in files] == [
        ("1.jpg", b"photo"),
        ("2.jpg", b"second"),
    ]
    assert quarantined(live) == []


def test_a_connection_cut_anywhere_stores_nothing(live):
    before = entries(live)
    whole = raw_post(
        live, body := body_of(('name="xml_submission_file"', "text/xml", household())), len(body)
    )
    head = len(whole) - len(body)
    for cut in [*range(head, len(whole), 37), len(whole) - 1]:
        exchange(live.url, whole[:cut], then_close=True)
    assert live.client.get(f"{live.url}/healthz").status_code == 200
    time.sleep(0.3)
    assert entries(live) == before
    assert b" 201 " in exchange(live.url, whole)


@ON_SQLITE
def test_a_body_without_its_last_boundary_is_refused_though_its_length_is_right(live):
    before = entries(live)
    for end in (b"", b"--b", b"--b-"):
        body = body_of(('name="xml_submission_file"', "text/xml", household()), end=end)
        answer = post_body(live, body)
        assert answer.status_code == 400
        assert "incomplete" in answer.text
    assert entries(live) == before


@ON_SQLITE
def test_a_lying_content_length_stores_nothing(live):
    before = entries(live)
    body = body_of(('name="xml_submission_file"', "text/xml", household()))
    assert b" 201 " not in exchange(live.url, raw_post(live, body, len(body) + 10), timeout_s=1)
    assert b" 400 " in exchange(live.url, raw_post(live, body, len(body) - 10))
    for length in ("-1", "1e3", "99999999999999999999999", "7, 8"):
        assert b" 201 " not in exchange(live.url, raw_post(live, body, length))
    assert entries(live) == before


@ON_SQLITE
def test_a_chunked_body_is_taken_whole_and_not_without_its_end(live):
    body = body_of(('name="xml_submission_file"', "text/xml", household()))
    assert post_body(live, iter([body[:50], body[50:]])).status_code == 201
    before = entries(live)
    chunked = b"%x\r\n%s\r\n" % (len(body) + 1, body.replace(b"uuid:1", b"uuid:22"))
    request = raw_post(live, b"", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + chunked
    assert b" 201 " not in exchange(live.url, request, timeout_s=1)
    assert entries(live) == before


NAMES = [
    "../../etc/passwd",
    "..\\..\\x.jpg",
    "/absolute.jpg",
    "C:\\windows\\x.jpg",
    "nul\x00byte.jpg",
    "n" * 3_000,
    "",
    ".",
    "..",
    "bell\x07\x1b[31m.jpg",
    "turn\u202egpj.exe",
    "CON",
    "a%2Fb.jpg",
    "a?b#c&d.jpg",
    "عکس ۱.jpg",
    "😀" * 300,
]


def test_every_file_name_is_kept_safe_and_its_file_can_be_fetched(live, admin):
    outside = sorted(path.name for path in live.node.settings.data.parent.iterdir())
    parts = [
        (f'name="f"; filename="{name}"', "image/jpeg", f"file {number}".encode())
        for number, name in enumerate(NAMES)
    ]
    body = body_of(('name="xml_submission_file"', "text/xml", household()), *parts)
    assert post_body(live, body).status_code == 201
    (record,) = stored(live)
    url = f"{live.url}/v1/projects/1/forms/household/submissions/{record.instance_id}/attachments"
    listed = live.client.get(url, auth=admin).json()
    assert len(listed) == len(NAMES)
    for file in listed:
        assert file["name"].isprintable()
        assert not {"/", "\\"} & set(file["name"])
        assert file["name"] not in {"", ".", ".."}
        fetched = live.client.get(f"{url}/{quote(file['name'], safe='')}", auth=admin)
        assert fetched.content.startswith(b"file ")
        assert fetched.headers["content-disposition"] == "attachment"
    assert sorted(path.name for path in live.node.settings.data.parent.iterdir()) == outside


def test_the_longest_names_fit_every_index(live):
    random = Random(7)

    def astral(chars: int) -> str:
        return "".join(chr(random.randrange(0x20000, 0x2A6DF)) for _ in range(chars))

    instance_id = astral(255)
    files = {astral(400): b"one", astral(400): b"two"}
    edited = astral(255)
    assert send(live, household(instance_id, deprecated_id=edited), files).status_code == 201
    (only,) = stored(live)
    with reading(live.node.engine) as connection:
        found = submissions.list_attachments(connection, 1, "household", [instance_id])
    assert (only.instance_id, len(found), quarantined(live)) == (edited, 2, [])


def test_a_hostile_content_type_of_a_file_does_not_stop_the_state(live):
    kind = "image/\x00\x07jpeg; x=" + "y" * 3_000
    body = body_of(('name="xml_submission_file"', "text/xml", household()), ('name="a.jpg"', kind, b"photo"))
    assert post_body(live, body).status_code == 201
    (record,) = stored(live)
    with reading(live.node.engine) as connection:
        (file,) = submissions.list_attachments(connection, 1, "household", [record.instance_id])
    assert (file.name, file.content_type) == ("a.jpg", "application/octet-stream")


@ON_SQLITE
def test_two_records_in_one_request_are_refused_so_that_none_is_lost(live):
    before = entries(live)
    parts = [('name="xml_submission_file"', "text/xml", household(f"uuid:{number}")) for number in range(2)]
    answer = post_body(live, body_of(*parts))
    assert answer.status_code == 400
    assert "one record" in answer.text
    assert entries(live) == before


NO_SUBMISSIONS = {
    "no parts": (body_of(), "multipart/form-data; boundary=b"),
    "no XML": (body_of(('name="a.jpg"', "image/jpeg", b"x")), "multipart/form-data; boundary=b"),
    "no boundary": (household(), "multipart/form-data"),
    "other boundary": (body_of(('name="a"', "a/b", b"x")), "multipart/form-data; boundary=c"),
    "odd boundary": (b"x", "multipart/form-data; boundary=\xe4\xf6".encode("latin-1")),
    "raw XML": (household(), "text/xml"),
    "JSON": (b"{}", "application/json"),
    "no type": (b"", ""),
    "rubbish": (os.urandom(100_000), "multipart/form-data; boundary=b"),
    "headers without end": (b"--b\r\n" + b"X: y\r\n" * 10_000, "multipart/form-data; boundary=b"),
    "one endless header": (b"--b\r\nX: " + b"y" * 200_000, "multipart/form-data; boundary=b"),
}


@ON_SQLITE
def test_what_is_no_submission_gets_400_with_a_sentence(live):
    before = entries(live)
    for case, (body, kind) in NO_SUBMISSIONS.items():
        answer = post_body(live, body, kind)
        assert (answer.status_code, "<message" in answer.text) == (400, True), case
    assert entries(live) == before


@ON_SQLITE
def test_two_thousand_tiny_parts_are_refused_with_413(live):
    parts = [(f'name="{number}.jpg"', "image/jpeg", b"x") for number in range(2000)]
    answer = post_body(live, body_of(('name="xml_submission_file"', "text/xml", household()), *parts))
    assert answer.status_code == 413
    assert "files" in answer.text
    assert stored(live) == []


def test_a_device_id_of_control_characters_or_a_kilobyte_is_cut_to_what_can_be_shown(live, admin):
    for number, device in enumerate(["a\x00\x1b[31m\n\u202eb", "d" * 30_000, "\udcff", ""]):
        given = quote(device, safe="", errors="surrogateescape")
        xml = household(f"uuid:{number}")
        url = f"{live.tablet_url}/submission?deviceID={given}"
        files = [("xml_submission_file", ("a.xml", xml, "text/xml"))]
        assert live.client.post(url, files=files).status_code == 201
        rest = f"{live.url}/v1/projects/1/forms/household/submissions?deviceID={given}"
        xml = household(f"uuid:rest{number}")
        assert live.client.post(rest, content=xml, auth=admin).status_code in {200, 400}
    wait_for(lambda: len(stored(live)) >= 4)
    assert all(one.device_id.isprintable() and len(one.device_id) <= 255 for one in stored(live))


HOSTILE_IDS = [
    "a/b",
    "../../x",
    "..",
    ".",
    "a b\"c'd<e>&f",
    "a?b#c%2Fd",
    "a\\b",
    "x/versions",
    "فارسی ۱",
    "'; DROP TABLE journal; --",
]


@ON_SQLITE
def test_a_record_is_reachable_whatever_its_instance_id(live, admin):
    for instance_id in HOSTILE_IDS:
        xml = household(instance_id.replace("&", "&amp;").replace("<", "&lt;"))
        assert send(live, xml, {"1.jpg": b"photo"}).status_code == 201
        assert stored(live)[-1].instance_id == instance_id
        path = f"/v1/projects/1/forms/household/submissions/{quote(instance_id, safe='').replace('.', '%2E')}"
        assert get_raw(live, admin, path)["instanceId"] == instance_id
        assert get_raw(live, admin, f"{path}/versions")[0]["instanceId"] == instance_id
        assert get_raw(live, admin, f"{path}/attachments")[0]["name"] == "1.jpg"


def get_raw(live: Live, auth: tuple[str, str], path: str) -> object:
    """GET a path exactly as written: clients tidy dots away."""
    import base64

    basic = base64.b64encode(":".join(auth).encode()).decode()
    answer = exchange(
        live.url,
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {basic}\r\n\r\n".encode(),
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], head
    return orjson.loads(body)


def test_other_methods_and_a_bad_token_are_told_so(live):
    url = f"{live.tablet_url}/submission"
    refused = live.client.get(url)
    assert (refused.status_code, refused.headers["allow"]) == (405, "HEAD, POST")
    assert live.client.put(url, content=b"x").status_code == 405
    head = live.client.head(url.replace("/key/", "/key/x"))
    assert (head.status_code, head.content) == (401, b"")
    assert live.client.head(f"{live.url}/v1/projects/1/submission").status_code == 401
    assert live.client.post(f"{live.url}/v1/projects/9999999999/submission").status_code == 404


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


def test_one_poisonous_entry_is_marked_and_the_rest_goes_on(live, admin, caplog):
    draft = orjson.dumps({"form_id": "household", "instance_id": "uuid:poison"})
    poison = [
        Draft(Kind.SUBMISSION, 1, b"p" * 32, draft, b"<secret/>"),
        Draft(Kind.SUBMISSION, 1, b"q" * 32, b"no json", b"<secret/>"),
        Draft(Kind.FORM, 1, b"r" * 32, b"{}", b"<secret/>"),
        Draft(Kind.APP_USER, 1, None, b'{"name": 1}', b""),
    ]
    with writing(live.node.engine) as connection:
        places = journal.append(connection, poison)
    send(live, household())
    wait_for(lambda: len(stored(live)) == 1)
    assert [one.position for one in quarantined(live)] == places
    assert all("could not be" in one.reason for one in quarantined(live))
    assert len([one for one in caplog.records if one.name == "chapar.projection"]) >= 4
    assert "secret" not in caplog.text
    publish(live.node, 1, HOUSEHOLD.encode(), "household.md", {})
    assert len(quarantined(live)) == 4


def test_a_slow_tablet_keeps_nobody_waiting(live):
    body = body_of(('name="xml_submission_file"', "text/xml", household("uuid:slow")))
    request = raw_post(live, body, len(body))
    parts = urlsplit(live.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as slow:
        for start in range(0, len(request), 100):
            slow.sendall(request[start : start + 100])
            began = time.monotonic()
            assert send(live, household(f"uuid:{start}")).status_code == 201
            assert time.monotonic() - began < 5
        assert b" 201 " in slow.recv(65536)


NAME = "Zahra Testname-Karimi"


def test_no_name_and_no_token_is_ever_logged(live, admin, caplog):
    caplog.set_level(logging.DEBUG)
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    named = f"<head>{NAME}</head>"
    for xml in (
        household("uuid:1", extra=named),
        household("uuid:2", NAME),
        household("uuid:3", extra=named)[:-5],
        household("uuid:4", extra=named, form_id="unheard-of"),
        household("uuid:5", extra=f"<seen>{NAME}</seen><place>{NAME}</place>"),
    ):
        send(live, xml, {f"{NAME}.jpg": b"photo"})
    exchange(live.url, raw_post(live, named.encode(), 10_000), then_close=True)
    live.client.post(f"{live.url}/v1/sessions", json={"email": NAME, "password": token})
    live.client.get(f"{live.url}/v1/projects/1/forms/{NAME}", auth=admin)
    stored(live)
    # The client's own records, and the access log that only pytest hears.
    ours = [one for one in caplog.records if not one.name.startswith(("http", "uvicorn.access"))]
    said = "".join(record.getMessage() + str(record.__dict__) for record in ours)
    assert "Testname" not in said
    assert token not in said


def test_an_error_is_logged_with_its_place_and_without_its_text():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter())
    log = logging.Logger("chapar.test")
    log.addHandler(handler)
    try:
        int(NAME)
    except ValueError:
        log.exception("entry %d", 7)
    assert "entry 7" in stream.getvalue()
    assert "int(NAME)" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "Testname" not in stream.getvalue()


@ON_SQLITE
def test_a_failure_of_the_server_itself_logs_no_value(settings):
    token = prepare(settings)
    with started(settings, CHAPAR_LOG_LEVEL="debug") as child, live_child(child, token) as live:
        for path in (settings.data / "blobs", settings.data / "tmp"):
            path.rename(path.with_suffix(".away"))
        answer = send(live, household(extra=f"<head>{NAME}</head>"), {f"{NAME}.jpg": bytes(100_000)})
        assert answer.status_code in {500, 507}
        assert "OpenRosaResponse" in answer.text
    log = child.log.read_text()
    assert "a submission could not be taken" in log
    assert "FileNotFoundError: No such file" in log
    assert "Testname" not in log
    assert token not in log


class live_child:  # noqa: N801
    """A client for a server in another process, as `Live`."""

    def __init__(self, child, token: str) -> None:
        import httpx2

        self._client = httpx2.Client(timeout=120)
        self._live = Live(None, child.url, f"{child.url}/v1/key/{token}/projects/1", self._client)  # type: ignore[arg-type]

    def __enter__(self) -> Live:
        return self._live

    def __exit__(self, *_: object) -> None:
        self._client.close()


def nested_parts(size_bytes: int) -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"\r\n\r\n<data id="household">'
    for _ in range(size_bytes // 300_000):
        yield b"<g>" * 100_000
    yield b"\r\n--b--\r\n"


@ON_SQLITE
def test_a_hundred_megabytes_of_nested_elements_cost_no_memory(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()
        answer = post_body(live, nested_parts(100 * MEGABYTE))
        assert answer.status_code == 202
        assert child.peak_rss_bytes() - before < 150 * MEGABYTE
        assert send(live, household("uuid:2")).status_code == 201


@ON_SQLITE
def test_many_large_records_at_once_stay_within_bounds(settings):
    token = prepare(settings)
    large = household("uuid:{}", extra="<member><m_name>x</m_name></member>" * 45_000)
    with started(settings) as child, live_child(child, token) as live:
        send(live, household())
        before = child.rss_bytes()

        def post(number: int) -> int:
            return send(live, large.replace(b"uuid:{}", b"uuid:%d" % number)).status_code

        with ThreadPoolExecutor(24) as pool:
            assert set(pool.map(post, range(48))) <= {201, 503}
        time.sleep(3)  # the state follows
        assert child.peak_rss_bytes() - before < 400 * MEGABYTE


@ON_SQLITE
def test_endless_headers_are_refused_without_growing(settings):
    token = prepare(settings)
    with started(settings) as child, live_child(child, token) as live:
        before = child.rss_bytes()
        for piece in (b"X-A: " + b"y" * 1000 + b"\r\n", b"y" * 1000):
            with socket.create_connection(("127.0.0.1", child.port), timeout=30) as connection:
                sent = 0
                try:
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-B: ")
                    while sent < 50 * MEGABYTE:
                        connection.sendall(piece * 1000)
                        sent += len(piece) * 1000
                except OSError:
                    pass
            assert sent < 50 * MEGABYTE
        assert child.peak_rss_bytes() - before < 30 * MEGABYTE
        assert send(live, household()).status_code == 201

"""Submissions cut, lying or misshapen on their way: a clear answer, nothing lost, nothing harmed."""

from __future__ import annotations

import gzip
import os
import time
from random import Random
from urllib.parse import quote

from conftest import household, send, wait_for
from hostile import (
    ON_SQLITE,
    body_of,
    entries,
    exchange,
    post_body,
    quarantined,
    raw_post,
    stored,
)

from server.store import submissions
from server.store.engine import reading


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


EXTENDED = {
    "UTF-8''%D8%B9%DA%A9%D8%B3%20%DB%B1.jpg": "عکس ۱.jpg",
    "utf-8'fa'%D8%B9%DA%A9%D8%B3.jpg": "عکس.jpg",
    "ISO-8859-1''caf%E9.jpg": "café.jpg",
    "UTF-8''..%2F..%2Fetc%2Fpasswd": "passwd",
    "UTF-16''%FF%FE.jpg": "\ufffd\ufffd.jpg",
}


@ON_SQLITE
def test_extended_file_names_are_read(live):
    parts = [
        (f'name="f"; filename="plain.jpg"; filename*={name}', "image/jpeg", name.encode())
        for name in EXTENDED
    ]
    assert post_body(
        live, body_of(('name="xml_submission_file"', "text/xml", household()), *parts)
    ).is_success
    (record,) = stored(live)
    with reading(live.node.engine) as connection:
        files = submissions.list_attachments(connection, 1, "household", [record.instance_id])
    assert sorted(file.name for file in files) == sorted(EXTENDED.values())


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
def test_what_is_malformed_or_compressed_is_told_so_and_not_to_be_sent_again(live):
    before = entries(live)
    whole = body_of(('name="xml_submission_file"', "text/xml", household()))
    for body in (whole.replace(b"\r\n", b"\n"), whole.replace(b"form-data; ", b"attachment; ")):
        answer = post_body(live, body)
        assert (answer.status_code, "no multipart" in answer.text) == (400, True)
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "gzip"}
    url = f"{live.tablet_url}/submission"
    answer = live.client.post(url, content=gzip.compress(whole), headers=headers)
    assert (answer.status_code, "without compressing" in answer.text) == (415, True)
    assert entries(live) == before
    headers["Content-Encoding"] = "identity"
    assert live.client.post(url, content=whole, headers=headers).status_code == 201


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

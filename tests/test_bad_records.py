"""Records that cannot be read, or only just: kept whole, visible, and never in the way of others."""

from __future__ import annotations

from urllib.parse import quote
from xml.sax.saxutils import escape

import orjson
from conftest import HOUSEHOLD, Live, household, send, wait_for
from hostile import (
    BOMB,
    ON_SQLITE,
    exchange,
    quarantined,
    stored,
)
from hypothesis import given
from hypothesis import strategies as st

from forms import instance
from forms.compile import compile_form
from server.publishing import publish
from server.store import journal, submissions
from server.store.engine import reading, writing
from sync.journal import Fact, Kind

EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE data [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b'<data id="household"><size>&x;</size></data>'
)


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
    assert orjson.dumps(instance.canonical_node(read.answers, SCHEMA.top))


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


def test_one_poisonous_entry_is_marked_and_the_rest_goes_on(live, admin, caplog):
    draft = orjson.dumps({"form_id": "household", "instance_id": "uuid:poison"})
    poison = [
        Fact(Kind.SUBMISSION, 1, b"p" * 32, draft, b"<secret/>"),
        Fact(Kind.SUBMISSION, 1, b"q" * 32, b"no json", b"<secret/>"),
        Fact(Kind.FORM, 1, b"r" * 32, b"{}", b"<secret/>"),
        Fact(Kind.APP_USER, 1, None, b'{"name": 1}', b""),
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

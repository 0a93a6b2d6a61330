"""Exports read back what tablets sent: ODK Central's layout to the byte, personal fields left out, memory bounded."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pandas as pd
import pytest
from exporting import (
    FAMILY,
    FAMILY_ONE,
    NASTY,
    TEXTS,
    entries,
    exported,
    publish_sheet,
    received,
    store,
    tag,
    xml,
    zipped,
)
from hypothesis import given
from hypothesis import strategies as st

from server import setup
from server.exports import archive
from server.exports.archive import download_zip
from server.exports.folder import ExportedFile
from server.exports.names import own_name, own_names, safe_name
from server.exports.options import Options
from server.exports.rows import csv_bytes, csv_columns
from server.node import Node, open_node
from server.problems import Problem
from server.settings import Settings
from server.store.engine import writing


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = open_node(Settings(data=tmp_path / "data"))
    setup.ensure_project(node)
    yield node
    node.close()


def test_the_tables_of_a_form_are_central_s_to_the_byte(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FAMILY)
    store(
        node,
        xml("family", 1, FAMILY_ONE),
        xml("family", 2, "<home><place>1 2</place></home><needs></needs>"),
        xml("family", 3, "<head>Eve</head><home/>", edits=2),
    )
    made = exported(node, "family", tmp_path, personal=True)
    assert (tmp_path / "family.csv").read_text() == (
        "SubmissionDate,head,home-street,home-place-Latitude,home-place-Longitude,home-place-Altitude,"
        "home-place-Accuracy,needs,card,meta-instanceID,meta-instanceName,KEY,SubmitterID,SubmitterName,"
        "AttachmentsPresent,AttachmentsExpected,Status,ReviewState,DeviceID,Edits,FormVersion\n"
        f'{received(node, "family", 1)},Ann,"Long, 5",34.35,62.2,960.5,4,food shelter,card.jpg,uuid:1,,'
        "uuid:1,7,Tablet 7,0,2,,,collect:x,0,1\n"
        f"{received(node, 'family', 2)},Eve,,,,,,,,uuid:3,,uuid:2,7,Tablet 7,0,0,,edited,collect:x,1,1\n"
    )
    assert (tmp_path / "family-child.csv").read_text() == (
        "name,age,face,PARENT_KEY,KEY\n"
        "Ben,4,face.jpg,uuid:1,uuid:1/people/child[1]\n"
        "Cy,6,,uuid:1,uuid:1/people/child[2]\n"
    )
    assert (tmp_path / "family-toy.csv").read_text() == (
        "what,PARENT_KEY,KEY\n"
        "car,uuid:1/people/child[1],uuid:1/people/child[1]/toy[1]\n"
        '"""ball""",uuid:1/people/child[1],uuid:1/people/child[1]/toy[2]\n'
        ",uuid:1/people/child[2],uuid:1/people/child[2]/toy[1]\n"
    )
    assert made.files == (
        ExportedFile("family.csv", 2),
        ExportedFile("family-child.csv", 2),
        ExportedFile("family-toy.csv", 3),
    )


def test_a_form_without_submissions_gives_headers_only(node: Node) -> None:
    publish_sheet(node, FAMILY)
    tables = entries(zipped(node, "family"))
    assert list(tables) == ["family.csv", "family-child.csv", "family-toy.csv"]
    assert [table.count(b"\n") for table in tables.values()] == [1, 1, 1]


def test_a_form_that_was_never_published_is_refused(node: Node, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no such form"):
        exported(node, "nobody", tmp_path)


def test_an_edit_keeps_the_form_version_of_the_first_revision(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    publish_sheet(node, TEXTS.replace("texts | 1", "texts | 2"))
    store(
        node, xml("texts", 1, "<words>a</words>"), xml("texts", 2, "<words>b</words>", version="2", edits=1)
    )
    exported(node, "texts", tmp_path)
    row = pd.read_csv(tmp_path / "texts.csv", dtype=str).iloc[0]
    assert (row["words"], row["FormVersion"], row["KEY"], row["Edits"]) == ("b", "1", "uuid:1", "1")


def test_pandas_reads_back_every_text_exactly(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    escaped = [escape(text, {"\r": "&#13;"}) for text in NASTY]
    store(node, *(xml("texts", place, f"<words>{text}</words>") for place, text in enumerate(escaped)))
    exported(node, "texts", tmp_path)
    read = pd.read_csv(tmp_path / "texts.csv", dtype=str, keep_default_na=False)
    assert read["words"].tolist() == NASTY


def test_r_reads_back_every_text_exactly(node: Node, tmp_path: Path) -> None:
    """As `readr::read_csv(file, na = "", trim_ws = FALSE)` reads: quotes begin a cell and are doubled in it, no other
    sign is special, lines end in LF. Its own default takes the text NA for missing.
    """
    cell = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))([,\n])')
    publish_sheet(node, TEXTS)
    escaped = [escape(text, {"\r": "&#13;"}) for text in NASTY]
    store(node, *(xml("texts", place, f"<words>{text}</words>") for place, text in enumerate(escaped)))
    exported(node, "texts", tmp_path)
    content = (tmp_path / "texts.csv").read_bytes().decode()
    rows: list[list[str]] = [[]]
    end = 0
    while end < len(content):
        found = cell.match(content, end)
        assert found, content[end : end + 40]
        rows[-1].append((found[1] or "").replace('""', '"') or found[2] or "")
        end = found.end()
        if found[3] == "\n":
            rows.append([])
    head, *body, rest = rows
    assert [row[head.index("words")] for row in body] == NASTY
    assert ({len(row) for row in body}, rest) == ({len(head)}, [])


def test_fields_of_older_versions_follow_those_of_the_newest(node: Node, tmp_path: Path) -> None:
    sheet = (
        "| survey |\n| | type | name | label |\n{}| settings |\n| | form_id | version |\n| | grown | {} |\n"
    )
    publish_sheet(node, sheet.format("| | text | old | O |\n| | text | both | B |\n", 1))
    publish_sheet(node, sheet.format("| | text | both | B |\n| | text | new | N |\n", 2))
    store(
        node,
        xml("grown", 1, "<old>o</old><both>b</both>"),
        xml("grown", 2, "<both>c</both><new>n</new><stranger>s</stranger>", version="2"),
    )
    exported(node, "grown", tmp_path)
    read = pd.read_csv(tmp_path / "grown.csv", dtype=str, keep_default_na=False)
    assert list(read)[1:5] == ["both", "new", "meta-instanceID", "old"]
    assert read[["both", "new", "old"]].to_numpy().tolist() == [["b", "", "o"], ["c", "n", ""]]
    assert "stranger" not in read


def test_a_group_that_became_a_repeat_keeps_both_sorts_of_answers(node: Node, tmp_path: Path) -> None:
    sheet = (
        "| survey |\n| | type | name | label |\n| | begin_{0} | g | G |\n| | text | x | X |\n| | end_{0} | | |\n"
        "| settings |\n| | form_id | version |\n| | turned | {1} |\n"
    )
    publish_sheet(node, sheet.format("group", 1))
    publish_sheet(node, sheet.format("repeat", 2), "repeat-crossed:/g/x")
    store(
        node,
        xml("turned", 1, "<g><x>one</x></g>"),
        xml("turned", 2, "<g><x>two</x></g><g><x>three</x></g>", version="2"),
    )
    tables = entries(zipped(node, "turned"))
    root = pd.read_csv(io.BytesIO(tables["turned.csv"]), dtype=str, keep_default_na=False)
    assert root["g-x"].tolist() == ["one", ""]
    assert tables["turned-g.csv"] == (b"x,PARENT_KEY,KEY\ntwo,uuid:2,uuid:2/g[1]\nthree,uuid:2,uuid:2/g[2]\n")


def test_a_group_that_stands_twice_loses_neither_answers_nor_rows(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FAMILY)
    twice = "".join(
        f"<home><street>{street}</street></home><people><child><age>{age}</age></child></people>"
        for street, age in (("a", 1), ("b", 2))
    )
    store(node, xml("family", 1, twice))
    exported(node, "family", tmp_path)
    assert pd.read_csv(tmp_path / "family.csv")["home-street"].tolist() == ["a b"]
    children = pd.read_csv(tmp_path / "family-child.csv")
    assert children["age"].tolist() == [1, 2]
    assert children["KEY"].tolist() == ["uuid:1/people/child[1]", "uuid:1/people/child[2]"]


def test_personal_fields_and_their_files_are_left_out_unless_asked_for(node: Node) -> None:
    publish_sheet(node, FAMILY)
    files = {"face.jpg": b"FACE-BYTES", "card.jpg": b"CARD-BYTES", "unnamed.jpg": b"NAMELESS"}
    named = FAMILY_ONE + "<meta><instanceName>Family Ann</instanceName></meta>"
    store(node, xml("family", 1, named), files=files)
    shared = entries(zipped(node, "family"))
    everything = b"".join(shared.values())
    assert [secret for secret in (b"Ann", b"Ben", b"face", b"FACE") if secret in everything] == []
    assert shared["media/1/card.jpg"] == b"CARD-BYTES"
    full = entries(zipped(node, "family", personal=True))
    assert b"Family Ann" in full["family.csv"]
    assert {name for name in full if "media" in name} == {"media/1/card.jpg", "media/1/face.jpg"}


@pytest.mark.parametrize("letter", ["P", "S", "G"])
def test_a_flag_in_any_version_hides_the_field_in_all(node: Node, tmp_path: Path, letter: str) -> None:
    sheet = (
        "| survey |\n| | type | name | label | chapar::flags |\n| | text | open | O | R H |\n"
        "| | text | secret | S | {} |\n| | audit | audit | | M |\n"
        "| settings |\n| | form_id | version |\n| | f | {} |\n"
    )
    publish_sheet(node, sheet.format(letter, 1))
    publish_sheet(node, sheet.format("M", 2), "protection-removed:/secret")
    exported(node, "f", tmp_path)
    assert list(pd.read_csv(tmp_path / "f.csv"))[1:3] == ["open", "meta-instanceID"]
    exported(node, "f", tmp_path, personal=True)
    assert {"secret", "meta-audit"} <= set(pd.read_csv(tmp_path / "f.csv"))


def test_sealed_submissions_show_only_what_stands_outside(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    sealed = (
        '<data id="texts" version="1" encrypted="yes"><base64EncryptedKey>a2V5</base64EncryptedKey>'
        "<encryptedXmlFile>submission.xml.enc</encryptedXmlFile><words>outside</words>"
        "<meta><instanceID>uuid:{}</instanceID></meta></data>"
    )
    store(node, sealed.format(1).encode(), files={"submission.xml.enc": b"..."})
    store(node, sealed.format(2).encode())
    exported(node, "texts", tmp_path)
    read = pd.read_csv(tmp_path / "texts.csv", dtype=str, keep_default_na=False)
    assert read["Status"].tolist() == ["not decrypted", "missing encrypted form data"]
    assert read["words"].tolist() == read["meta-instanceID"].tolist() == ["", ""]
    assert read["KEY"].tolist() == ["uuid:1", "uuid:2"]


def test_files_cannot_leave_their_folder_nor_hide_one_another(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FAMILY)
    names = ["../../evil.jpg", "..evil.jpg", "a.jpg", "A.jpg"]
    for number, name in enumerate(names):
        store(node, xml("family", number, f"<card>{name}</card>"), files={name: str(number).encode()})
    made = exported(node, "family", tmp_path / "out", media=True)
    written = {path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix == ".jpg"}
    assert made.media == len(written) == len(names)
    assert {path.parent.parent for path in written} == {tmp_path / "out" / "media"}
    assert {path.read_bytes() for path in written} == {b"0", b"1", b"2", b"3"}


def test_safe_names_are_one_piece_and_tell_names_apart() -> None:
    names = [
        "..",
        ".",
        "",
        "a/b",
        "ab",
        "a\\b",
        "con",
        "x\u202egpj.exe",
        "n" * 300 + ".jpg",
        "AB",
        "فرم\u200cها",
    ]
    own = own_names(names)
    assert len({name.casefold() for name in own.values()}) == len(names)
    assert not any(set(name) & set('/\\:\u202e"') or name in {"", ".", ".."} for name in own.values())
    assert max(len(name.encode()) for name in own.values()) < 255
    assert own_name("n" * 300 + ".jpg").endswith(".jpg")
    assert safe_name("فرم\u200cها") == "فرم\u200cها"


def test_an_edit_brings_the_newer_of_two_files_of_one_name(node: Node) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, "<card>c.jpg</card>"), files={"c.jpg": b"old", "kept.jpg": b"k"})
    store(node, xml("family", 2, "<card>c.jpg</card><needs>food</needs>", edits=1), files={"c.jpg": b"new"})
    store(node, xml("family", 3, "<card>kept.jpg</card>", edits=2))
    store(node, xml("family", 4, "<card>c.jpg</card>", edits=3))
    assert entries(zipped(node, "family"))["media/1/c.jpg"] == b"new"


def test_a_file_that_is_gone_stops_nothing(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, "<card>c.jpg</card>"), files={"c.jpg": b"bytes"})
    for path in (node.settings.data / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"bytes":
            path.unlink()
    made = exported(node, "family", tmp_path / "out", media=True)
    assert (made.media, made.media_gone) == (0, 1)
    assert list(entries(zipped(node, "family"))) == ["family.csv", "family-child.csv", "family-toy.csv"]


def test_the_same_state_gives_the_same_bytes_and_tag(node: Node) -> None:
    publish_sheet(node, FAMILY)
    store(node, xml("family", 1, FAMILY_ONE), files={"card.jpg": b"c"})
    first, etag = zipped(node, "family"), tag(node, "family")
    assert zipped(node, "family") == first
    assert download_zip(node, 1, "family", media=True, known=[etag]).chunks is None
    assert tag(node, "family", personal=True) != etag
    store(node, xml("family", 2, "<head>x</head>"))
    assert tag(node, "family") != etag


def test_a_failed_export_leaves_the_files_of_the_last_one(node: Node, tmp_path: Path) -> None:
    publish_sheet(node, TEXTS)
    store(node, xml("texts", 1, "<words>first</words>"))
    exported(node, "texts", tmp_path / "out")
    before = (tmp_path / "out" / "texts.csv").read_bytes()
    with writing(node.engine) as connection:
        connection.exec_driver_sql("UPDATE submission SET answers = '{cut'")
    with pytest.raises(ValueError, match="unexpected"):
        exported(node, "texts", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"texts.csv", "texts.codebook.csv", "texts.manifest.json"}
    assert (tmp_path / "out" / "texts.csv").read_bytes() == before


def test_memory_does_not_grow_with_the_number_of_submissions(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PATIENCE_S", 60)  # else reading and sending overlap by chance
    publish_sheet(node, FAMILY)
    rows = "".join(f"<child><age>{age}</age></child>" for age in range(10))
    content = f"<home><street>{'x' * 2000}</street></home><people>{rows}</people>"

    def peak_bytes() -> int:
        tracemalloc.start()
        total = sum(
            map(len, download_zip(node, 1, "family", Options(personal=True), media=True).chunks or ())
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total > 1_000
        return peak

    store(node, *(xml("family", number, content) for number in range(120)))
    small = min(peak_bytes(), peak_bytes())  # twice: a table of the interpreter's own may grow meanwhile
    store(node, *(xml("family", number, content) for number in range(120, 720)))
    assert min(peak_bytes(), peak_bytes()) < small * 1.3


def test_csv_quotes_what_needs_it_and_nothing_else() -> None:
    rows = [["a", "", "5", ""], ["b c", "d,e", 'f"g', "h\ri"], ["'", "\r\n", "\n", "ی"]]
    assert csv_bytes(rows).decode() == ('a,,5,\nb c,"d,e","f""g","h\ri"\n\',"\r\n","\n",ی\n')


@given(st.data(), st.integers(3, 6))
def test_columns_are_taken_out_of_csv_whatever_the_cells_hold(data: st.DataObject, width: int) -> None:
    cell = st.text(st.sampled_from('a,"\r\nی '), max_size=4)
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=4))
    places = sorted(data.draw(st.sets(st.integers(0, width - 1), min_size=2)))
    assert csv_columns(csv_bytes(rows), width, places) == csv_bytes(
        [row[place] for place in places] for row in rows
    )

"""What tests of exports share: forms, records that came in by the real road, and what became of them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

from server import intake, receiving, setup
from server.evolution import Consent
from server.exports.archive import download_zip
from server.exports.folder import Export, export_form
from server.exports.making import make
from server.exports.options import CENTRAL, Format, Options
from server.node import Node
from server.publishing import publish
from server.receiving import Sender, StoredFile
from server.store.engine import reading
from server.store.forms import iso
from server.store.submissions import find_submission

FAMILY = """
| survey |
| | type | name | label | calculation | chapar::flags |
| | text | head | Who? | | P |
| | begin_group | home | Home | | |
| | text | street | Street | | |
| | geopoint | place | Where? | | |
| | end_group | | | | |
| | select_multiple need | needs | What? | | |
| | begin_group | people | People | | |
| | begin_repeat | child | Child | | |
| | text | name | Name | | P |
| | integer | age | Age | | |
| | begin_repeat | toy | Toy | | |
| | text | what | What? | | |
| | end_repeat | | | | |
| | image | face | Face | | P |
| | end_repeat | | | | |
| | end_group | | | | |
| | image | card | Card | | |
| choices |
| | list_name | name | label |
| | need | food | Food |
| | need | shelter | Shelter |
| settings |
| | form_id | version | instance_name |
| | family | 1 | concat('Family ', ${head}) |
"""
TEXTS = """
| survey |
| | type | name | label |
| | text | words | Words |
| settings |
| | form_id | version |
| | texts | 1 |
"""
NASTY = [
    "=HYPERLINK(1)",
    "+1",
    "-1",
    "@x",
    "two\nlines",
    "old\rmac",
    "dos\r\nline",
    'a "quote"',
    '"',
    "a,b;c\td",
    "می\u200cخواهم",
    "\u202bعربی\u202c \u200f!",
    " blank before and after ",
    "007",
    "NULL",
    "NA",
    "#N/A",
    "nan",
    "TRUE",
    "\\N",
    "back\\slash\\",
    'back\\"slash\\',
    "'apostrophe",
    "\ttab first",
    "\u2028two\u2029\x85lines\x7f",
    "\u2400 \\0 %00",
    "_x0041_ _x005F_x000D_",
    "\ufeffmark",
    "𐀀😀",
    "ز" * 1_000_000,
]


def publish_sheet(node: Node, sheet: str, *accept: str) -> None:
    publish(node, setup.PROJECT_ID, sheet.encode(), "sheet.md", {}, Consent(frozenset(accept)))


def xml(form: str, number: int, content: str, *, version: str = "1", edits: int | None = None) -> bytes:
    deprecated = "" if edits is None else f"<deprecatedID>uuid:{edits}</deprecatedID>"
    meta = f"<meta><instanceID>uuid:{number}</instanceID>{deprecated}</meta>"
    return f'<data id="{form}" version="{version}">{content}{meta}</data>'.encode()


def store(node: Node, *instances: bytes, files: dict[str, bytes] | None = None) -> None:
    stored = [
        StoredFile(name, node.blobs.put(content), len(content), "image/jpeg")
        for name, content in (files or {}).items()
    ]
    sender = Sender(7, "Tablet 7", "collect:x", "test")
    arrivals = [
        receiving.examine(setup.PROJECT_ID, one, stored, sender, node.known_forms.ask) for one in instances
    ]
    assert intake.record(node.engine, arrivals) == [intake.Outcome.STORED] * len(instances)
    node.catch_up()


def received(node: Node, form: str, number: int) -> str:
    with reading(node.engine) as connection:
        found = find_submission(connection, setup.PROJECT_ID, form, f"uuid:{number}")
    assert found
    return iso(found.created_stamp)


def exported_with(node: Node, form: str, out: Path, options: Options) -> Export:
    return export_form(node, setup.PROJECT_ID, form, out, options)


def zipped_with(node: Node, form: str, options: Options, *, documents: bool = False) -> dict[str, bytes]:
    chunks = download_zip(node, setup.PROJECT_ID, form, options, media=False, documents=documents).chunks
    assert chunks is not None
    return entries(b"".join(chunks))


def exported(node: Node, form: str, out: Path, *, personal: bool = False, media: bool = False) -> Export:
    return export_form(node, setup.PROJECT_ID, form, out, replace(CENTRAL, personal=personal), media=media)


def zipped(node: Node, form: str, *, personal: bool = False, media: bool = True) -> bytes:
    chunks = download_zip(
        node, setup.PROJECT_ID, form, replace(CENTRAL, personal=personal), media=media
    ).chunks
    assert chunks is not None
    return b"".join(chunks)


def tag(node: Node, form: str, *, personal: bool = False) -> str:
    download = download_zip(node, setup.PROJECT_ID, form, replace(CENTRAL, personal=personal), media=True)
    assert download.chunks is not None
    assert b"".join(download.chunks)
    return download.etag


def entries(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


FAMILY_ONE = """<head>Ann</head><home><street>Long, 5</street><place>34.35 62.2 960.5 4</place></home>
<needs>food shelter</needs><people><child><name>Ben</name><age>4</age><toy><what>car</what></toy>
<toy><what>"ball"</what></toy><face>face.jpg</face></child><child><name>Cy</name><age>6</age><toy><what/></toy>
</child></people><card>card.jpg</card>"""


def made(node: Node, form: str, folder: Path, wanted: Format, **options: object) -> Path:
    """The one file that an export in this format is."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{form}.{wanted.value}"
    make(node, setup.PROJECT_ID, form, replace(Options(format=wanted), **options), path)
    return path


def unzipped(path: Path) -> Path:
    folder = path.with_suffix(".d")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder

"""A form in its versions: published, filled and read as tables."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from forms.compile import compile_form
from server import intake, receiving
from server.evolution import Consent
from server.exports.archive import download_zip
from server.exports.options import CENTRAL
from server.node import Node
from server.problems import Problem
from server.publishing import Publication, publish
from server.receiving import Sender

HEAD = "| survey |\n| | type | name | label | constraint | required | relevant | chapar::flags |\n"
CHOICES = "| choices |\n| | list_name | name | label |\n| | l | a | A |\n| | l | b | B |\n"
END = "| settings |\n| | form_id | version |\n| | f | {} |\n"


def sheet(version: int, *rows: str) -> bytes:
    body = "".join(f"| | {row} |\n" for row in rows)
    return (HEAD + body + CHOICES + END.format(version)).encode()


def put(
    node: Node, version: int, *rows: str, accept: tuple[str, ...] = (), rename: tuple[str, ...] = ()
) -> Publication:
    """Publish through an XForm where no flag is needed: compiling in a process of its own costs half a second."""
    consent = Consent(frozenset(accept), rename)
    if any(row.count("|") > 2 for row in rows):
        return publish(node, 1, sheet(version, *rows), "f.md", {}, consent)
    return publish(node, 1, compile_form(sheet(version, *rows), "f.md").xform, "f.xml", {}, consent)


def send(node: Node, number: int, version: int | str, content: str, device: str = "collect:x") -> None:
    meta = f"<meta><instanceID>uuid:{number}</instanceID></meta>"
    xml = f'<data id="f" version="{version}">{content}{meta}</data>'.encode()
    sender = Sender(7, "Tablet 7", device, "test")
    arrival = receiving.examine(1, xml, [], sender, node.known_forms.ask)
    assert intake.record(node.engine, [arrival]) == [intake.Outcome.STORED]
    node.catch_up()


def tables(node: Node, *, personal: bool = True) -> dict[str, pd.DataFrame]:
    chunks = download_zip(node, 1, "f", replace(CENTRAL, personal=personal), media=False).chunks
    assert chunks is not None
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as opened:
        return {
            name.removesuffix(".csv"): pd.read_csv(opened.open(name), dtype=str, keep_default_na=False)
            for name in opened.namelist()
        }


def refused(node: Node, version: int, *rows: str) -> dict[str, dict]:
    """The changes of a version that is refused, by what accepts them."""
    with pytest.raises(Problem) as caught:
        put(node, version, *rows)
    assert caught.value.code == 409.31
    return {change["accept"]: change for change in caught.value.extra["changes"]}

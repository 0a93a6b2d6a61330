"""A request's parts, however its bytes are cut into pieces; and the names that come out of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.openrosa.parts import (
    FILES_MAX,
    NAME_CHARS_MAX,
    ClientGoneError,
    Parts,
    clean_name,
    iter_body,
    read_parts,
)
from server.problems import Problem
from server.store.uploads import MEMORY_BYTES, Upload

SCOPE = {"headers": [(b"content-type", b"multipart/form-data; boundary=b")]}


def body_of(*parts: tuple[str, bytes]) -> bytes:
    """A body with these (headers after `form-data; `, content)."""
    written = b"".join(
        f"--b\r\nContent-Disposition: form-data; {names}\r\n\r\n".encode() + content + b"\r\n"
        for names, content in parts
    )
    return written + b"--b--\r\n"


def read(pieces: list[bytes], *, is_cut: bool = False, bytes_max: int = 10_000_000):
    """Return (XML, files by name) of a request that arrives in these pieces. Raises what `read_parts` raises."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if is_cut else {"type": "http.request", "more_body": False})

    async def receive():
        return messages.pop(0)

    with TemporaryDirectory() as folder, Parts(*[lambda: Upload(Path(folder))] * 2) as parts:
        asyncio.run(read_parts(SCOPE, iter_body(receive), parts, bytes_max))
        files = [(file.name, file.upload.rewound().read(), file.upload.sha256) for file in parts.files]
        return parts.xml and parts.xml.rewound().read(), files


CONTENTS = st.binary(max_size=60).map(lambda some: some + b"\r\n--c\r\r\n--")


@given(CONTENTS, st.lists(CONTENTS, max_size=3), st.data())
def test_parts_are_the_same_however_the_bytes_are_cut(xml, contents, data):
    files = [(f'name="{n}.jpg"; filename="{n}.jpg"', content) for n, content in enumerate(contents)]
    body = body_of(('name="xml_submission_file"', xml), *files)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    found, kept = read([piece for piece in pieces if piece])
    assert found == xml
    assert [content for _, content, _ in kept] == contents


@given(st.data())
def test_a_body_cut_anywhere_is_never_a_whole_one(data):
    body = body_of(('name="xml_submission_file"', b"<data/>"), ('name="1.jpg"', b"photo"))
    cut = data.draw(st.integers(0, len(body) - 3))  # the last line break may be missing
    with pytest.raises(ClientGoneError):
        read([body[:cut]], is_cut=True)
    with pytest.raises(Problem) as refused:
        read([body[:cut]])
    assert refused.value.code == 400.2


def test_a_connection_lost_after_the_last_boundary_is_still_lost():
    body = body_of(('name="xml_submission_file"', b"<data/>"))
    with pytest.raises(ClientGoneError):
        read([body], is_cut=True)


def test_a_large_part_leaves_memory_and_keeps_its_bytes_and_digest():
    import hashlib

    content = bytes(range(256)) * (MEMORY_BYTES // 256 + 3)
    body = body_of(('name="big.bin"', content))
    xml, [(name, kept, digest)] = read([body[at : at + 5_000] for at in range(0, len(body), 5_000)])
    assert (xml, name, kept) == (None, "big.bin", content)
    assert digest == hashlib.sha256(content).hexdigest()


def test_the_limits_are_where_they_say():
    files = [(f'name="{number}"', b"x") for number in range(FILES_MAX)]
    assert len(read([body_of(*files)])[1]) == FILES_MAX
    body = body_of(*files, ('name="one-more"', b"x"))
    with pytest.raises(Problem) as too_many:
        read([body])
    assert read([body_of(*files)], bytes_max=len(body_of(*files)))[0] is None
    with pytest.raises(Problem) as too_large:
        read([body_of(*files)], bytes_max=len(body_of(*files)) - 1)
    assert (too_many.value.code, too_large.value.code) == (413.1, 413.1)


def test_a_second_record_is_refused_and_an_incomplete_mark_is_no_file():
    record = ('name="xml_submission_file"', b"<data/>")
    assert read([body_of(record, ('name="*isIncomplete*"', b"yes"))]) == (b"<data/>", [])
    with pytest.raises(Problem) as refused:
        read([body_of(record, record)])
    assert refused.value.code == 400.1


@given(st.text(max_size=400))
def test_a_clean_name_names_a_file_in_one_folder_and_cleaning_it_again_changes_nothing(name):
    clean = clean_name(name)
    assert 0 < len(clean) <= NAME_CHARS_MAX
    assert not {"/", "\\", "\x00", "\n"} & set(clean)
    assert clean.strip(". ")
    assert clean_name(clean).strip() == clean.strip()
    clean.encode()


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("پایش_2026-11-22.xml", "پایش_2026-11-22.xml"),
        ("می‌روم.jpg", "می‌روم.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.jpg", "y.jpg"),
        ("..", "unnamed"),
        ("a/..", "unnamed"),
        ("\u202e", "unnamed"),
        ("", "unnamed"),
        (" a ", "a"),
    ],
)
def test_names_as_they_are_kept(name, clean):
    assert clean_name(name) == clean

"""Frames: whatever entries go in come out, to the byte, and nothing else passes for a frame."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

import orjson
import pytest
from conftest import household
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync import columns, outline
from sync.columns import SORTED_BYTES_MIN
from sync.fact_keys import key_of
from sync.frame_writer import FrameWriter
from sync.frames import (
    PLAIN,
    Codec,
    FrameError,
    Payload,
    Sent,
    Skip,
    UnknownFormError,
    Version,
    pack,
    unpack,
)
from sync.journal import BrokenChainError, Entry, Fact, Head, Kind, seal
from sync.outline import Primer
from sync.words import CHARS_MIN, fold, unfold

objects = st.dictionaries(st.text(), st.text() | st.integers(-9, 9) | st.none(), max_size=3)
details = st.one_of(objects.map(orjson.dumps), objects.map(lambda said: json.dumps(said).encode()))
facts = st.builds(
    Fact,
    st.sampled_from(Kind),
    st.integers(0, 2**31 - 1),
    st.none() | st.binary(min_size=32, max_size=32),
    details,
    st.binary(),
)


def log(of: Sequence[Fact], origin: str = "5f0e6ad2-9d4a-4c55-8a4e-6a9a3d7f0c11") -> list[Entry]:
    """The entries that a node would write of these facts."""
    return list(seal(Head(origin, "0011223344556677"), of, count(1764500000000 << 16, 70_000)))


@settings(max_examples=30)
@given(st.lists(facts, max_size=5))
@example([Fact(Kind.SUBMISSION, 1, None, b"{}", b"<")])
def test_any_entries_come_back_as_they_were(of: list[Fact]) -> None:
    items = [Sent(entry) for entry in log(of)]
    assert unpack(pack(items, PLAIN), PLAIN) == items
    assert packed_small(items)


def test_a_header_travels_without_its_payload() -> None:
    whole = log([Fact(Kind.COMMENT, 1, None, b"{}", b"body"), Fact(Kind.COMMENT, 1, None, b"{}")])
    bare = replace(whole[0], fact=replace(whole[0].fact, detail=b"", body=b""))
    items = [
        Sent(bare, Payload.ERASED),
        Sent(bare, Payload.PURGED),
        Skip(whole[1].origin, whole[1].epoch, "", 2, 2, whole[1].hash),
    ]
    assert unpack(pack(items, PLAIN), PLAIN) == items


def test_an_entry_that_was_altered_is_not_packed() -> None:
    (entry,) = log([Fact(Kind.COMMENT, 1, None, b"{}")])
    for altered in (replace(entry, stamp=1), replace(entry, fact=replace(entry.fact, detail=b"[]"))):
        with pytest.raises(BrokenChainError):
            pack([Sent(altered)], PLAIN)


names = st.sampled_from(["data", "head", "size", "member", "orx:meta", "q.1", "پاسخ"])
texts = st.one_of(
    st.sampled_from(
        ["", "5", "yes", "no", "uuid:7c0e1b1e-5a0e-4f8e-9d7e-0a1b2c3d4e5f", "a" * 64, " ", "&amp;", "آب"]
    ),
    st.text(),
)
tags = st.one_of(
    st.builds("<{}>{}</{}>".format, names, texts, names),
    st.builds("<{0}>{1}</{0}>".format, names, texts),
    st.builds("<{} />".format, names),
    st.builds('<{} id="{}" b="{}">'.format, names, texts, texts),
    st.builds("</{}>".format, names),
    texts,
)
documents = st.lists(tags).map("".join)


def submission(body: bytes, **more: object) -> Fact:
    """A submission as the door for Collect makes it."""
    detail = {
        "form_id": "household",
        "instance_id": "uuid:1",
        "digest": hashlib.sha256(body).hexdigest(),
        "submitter_id": 3,
        "submitter_name": "tablet",
        "device_id": "collect:1",
        "door": "openrosa",
        "received_at": "2026-11-22T10:00:00.123+00:00",
        "version": "1",
        "deprecated_id": None,
        **more,
    }
    key = key_of(Kind.SUBMISSION, 1, detail)
    return Fact(Kind.SUBMISSION, 1, key, orjson.dumps(detail), body, "household")


@dataclass(frozen=True)
class Remembers:
    """A codec whose two sides have these documents."""

    documents: tuple[bytes, ...]

    def primer(self, *_: object) -> Primer:
        return Primer(b"household", self.documents)

    def find_primer(self, name: bytes) -> Primer | None:
        return Primer(name, self.documents) if name == b"household" else None


@settings(max_examples=30)
@given(st.lists(documents, max_size=4), st.lists(documents, max_size=3))
def test_any_text_comes_back_to_the_byte(sent: list[str], known: list[str]) -> None:
    items = [Sent(entry) for entry in log([submission(one.encode()) for one in sent])]
    codec = Remembers(tuple(one.encode() for one in known))
    assert unpack(pack(items, codec), codec) == items
    assert packed_small(items, codec)


forks = st.lists(
    st.sampled_from(["<a>1</a>", "<a>2</a>", "<b>1</b>", "<c />", '<d e="1">', "x"]), max_size=12
).map("".join)


@settings(max_examples=100)
@given(st.lists(forks, max_size=12), st.lists(forks, max_size=3))
def test_documents_that_go_on_in_many_ways_come_back(sent: list[str], known: list[str]) -> None:
    codec = Remembers(tuple(one.encode() for one in known))
    assert packed_small([Sent(entry) for entry in log([submission(one.encode()) for one in sent])], codec)


@settings(max_examples=30)
@given(
    st.lists(st.binary(), max_size=3), st.dictionaries(st.text(), st.text() | st.integers(-9, 9), max_size=4)
)
def test_any_bytes_and_details_come_back_too(sent: list[bytes], more: dict[str, object]) -> None:
    items = [Sent(entry) for entry in log([submission(one, **more) for one in sent])]
    assert unpack(pack(items, PLAIN), PLAIN) == [
        replace(one, entry=replace(one.entry, fact=replace(one.entry.fact, form_id=named(one.entry.fact))))
        for one in items
    ]


def test_what_both_sides_know_is_not_sent() -> None:
    sent = [household(f"uuid:{uuid.UUID(int=number)}", str(number)) for number in range(100, 110)]
    items = [
        Sent(entry)
        for entry in log(
            [
                submission(one, instance_id=f"uuid:{uuid.UUID(int=number)}")
                for number, one in enumerate(sent, 100)
            ]
        )
    ]
    small, plain = (len(pack(items, codec)) for codec in (Remembers((household(),)), PLAIN))
    assert small < plain < sum(map(len, sent)) / 2
    assert small < 60 * len(sent)


def test_what_a_document_says_twice_is_sent_once() -> None:
    def key(of: str) -> bytes:
        slot = "<p>{0}</p><day>2026-11-{1}</day><key>{0}/2026-11-{1}/{2}</key>"
        place, day, by = of[:5], 10 + int(of[0], 16), of[5:13]
        return f"<data>{slot.format(place, day, by)}<by>{by}</by><by2>{by}</by2></data>".encode()

    chance = [hashlib.sha256(bytes([number])).hexdigest() for number in range(99)]
    twice, once = (
        [Sent(entry) for entry in log(some)]
        for some in (
            [submission(key(of)) for of in chance],
            [submission(key(of).replace(f"<by2>{of[5:13]}".encode(), b"<by2>")) for of in chance],
        )
    )
    assert unpack(pack(twice, PLAIN), PLAIN) == twice
    assert len(pack(twice, PLAIN)) < len(pack(once, PLAIN)) + 99


def test_what_nobody_was_asked_takes_a_character_where_others_were_not_either() -> None:
    chance = [int(hashlib.sha256(bytes([number])).hexdigest()[:6], 16) for number in range(200)]
    answered = ["".join(f"<q{n}>1</q{n}>" for n in range(24) if bits >> n & 1) for bits in chance]
    items = [Sent(entry) for entry in log([submission(f"<data>{one}</data>".encode()) for one in answered])]
    in_turns, before = (len(pack(items, PLAIN, version)) for version in (Version.IN_TURNS, Version.IN_WORDS))
    assert in_turns < before - len(items)


def test_what_made_up_records_leave_blank_is_found_in_those_that_are_sent() -> None:
    def named(place: str, number: int, name: str = "{0} {1} {2}") -> bytes:
        said = place, f"2026-11-{10 + number % 20}", f"KD{number:06}"
        return "<data><p>{}</p><d>{}</d><c>{}</c><n>{}</n></data>".format(*said, name.format(*said)).encode()

    known = Remembers(tuple(named("", number, ("{1} {2}", "{2} {1}")[number % 2]) for number in range(8)))
    places = ["Islam Qala", "Milak", "Torkham", "Spin Boldak"]
    of = [submission(named(places[number % 4], number * 7919 % 10**6)) for number in range(100)]
    items = [Sent(entry) for entry in log(of)]
    again, before = (len(pack(items, known, version)) for version in (Version.IN_TURNS, Version.IN_WORDS))
    assert again < before - 100


MANY_DIGITS = [
    str(int(hashlib.sha256(number.to_bytes(2, "big")).hexdigest(), 16))[-30:] for number in range(2000)
]
numbers = st.lists(st.text("0123456789a ۱", max_size=30), min_size=1, max_size=20)


@settings(max_examples=50)
@given(st.lists(numbers, min_size=1, max_size=4), st.integers(5, 25))
@example([["12345678", "12345678", "1" * 20, "2" * 21]], 6)
def test_numbers_come_back(columns_of: list[list[str]], size: int) -> None:
    many = ["x" * SORTED_BYTES_MIN, *(one[:size] for one in MANY_DIGITS[:50])]
    packed = columns.pack([*columns_of, many], columns.Known([]), in_words=True, with_numbers=True)
    found = [columns.endless(one) for one in columns.unpack(packed, columns.Known([]), with_numbers=True)]
    assert [[next(texts) for _ in one] for one, texts in zip([*columns_of, many], found, strict=True)] == [
        *columns_of,
        many,
    ]


def test_numbers_that_nobody_repeats_take_what_digits_weigh() -> None:
    many = [one[:12] for one in MANY_DIGITS]
    packed = columns.pack([many], columns.Known([]), with_numbers=True)
    assert len(packed) < 5 * len(many) + 200
    with pytest.raises(ValueError, match="missing"):
        columns.unpack(packed[:-9000], columns.Known([]), with_numbers=True)


def test_an_element_without_text_may_be_made_of_another() -> None:
    sent = [f"<data><a>{one}</a><b>{one}</b></data>" for one in ("transit", "border", "family")]
    of = [submission(one.encode()) for one in (*sent, "<data><a /><b /></data>", *sent)]
    assert packed_small([Sent(entry) for entry in log(of)])


def test_many_records_are_small_whatever_they_say() -> None:
    words = ["پناه", "سفر", "آب", "transit", "family", "غذا", "دارو", "کودک"]
    said = [
        " ".join(words[one % 8] for one in hashlib.sha512(bytes([number])).digest()) for number in range(90)
    ]
    items = [
        Sent(entry) for entry in log([submission(f"<data><a>{text}</a></data>".encode()) for text in said])
    ]
    frame = pack(items, PLAIN)
    assert unpack(frame, PLAIN) == items
    assert len(frame) < 90 * 64 * 4 / 8 * 1.3
    with pytest.raises(FrameError):
        unpack(frame[:-40], PLAIN)


def test_texts_of_many_words_are_smaller_in_words() -> None:
    chance = [hashlib.sha256(bytes([number])).hexdigest() for number in range(100)]
    words = [one[: 4 + number % 8] for number, one in enumerate(chance[:20])]
    said = [" ".join(words[int(two, 16) % 20] for two in re.findall("..", one * 2)) for one in chance]
    items = [
        Sent(entry) for entry in log([submission(f"<data><a>{text}</a></data>".encode()) for text in said])
    ]
    frame, other = pack(items, PLAIN, Version.IN_WORDS), pack(items, PLAIN)
    assert unpack(frame, PLAIN) == items
    assert len(frame) < len(other) * 0.95


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(["a", "family", "آب", "", "\x00", "x\x03", "\x01"]) | st.text(), max_size=20),
    st.sampled_from([" ", "\x00"]),
)
@example(["Ā", "\ufffe", "👪"], "\x00")
def test_a_folded_text_comes_back(parts: list[str], between: str) -> None:
    text = between.join(parts) * 9 + "\x00" * (0 if between == " " else CHARS_MIN)
    folded = fold(text)
    assert folded is None or unfold(folded, len(text)) == text
    if folded is not None:
        with pytest.raises(ValueError, match="more than"):
            unfold(folded, len(text) - 1)


def test_a_document_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "MARKS_MAX", 1000)
    endless = outline.Outline()
    number = endless.number("T<a>")
    with pytest.raises(ValueError, match="no end"):
        endless.read([iter([f"0 {number} 0 {number}"]), iter([])])


def test_a_frame_made_by_what_is_not_here_says_so() -> None:
    frame = pack([Sent(*log([submission(household())]))], Remembers((household(),)))
    with pytest.raises(UnknownFormError):
        unpack(frame, PLAIN)


@pytest.mark.parametrize(
    ("first", "last"), [(5, 2), (0, 3), (-4, 3), (1, 2**63)], ids=["backwards", "zero", "negative", "too far"]
)
def test_a_skip_that_no_log_has_is_refused(first: int, last: int) -> None:
    frame = FrameWriter(PLAIN).write([Skip("node", "epoch", "", first, last, bytes(32))])
    with pytest.raises(FrameError):
        unpack(frame, PLAIN)


def test_a_fact_that_no_store_can_hold_is_refused() -> None:
    for fact, stamp in (
        (Fact(Kind.COMMENT, 2**31, None, b"{}"), 1),
        (Fact(Kind.COMMENT, 1, None, b"{}"), 2**63),
    ):
        (entry,) = seal(Head("node", "epoch"), [fact], iter([stamp]))
        with pytest.raises(FrameError):
            unpack(FrameWriter(PLAIN).write([Sent(entry)]), PLAIN)


def test_a_detail_that_is_no_object_is_refused() -> None:
    for detail in (b"[]", b"no JSON", b""):
        (entry,) = log([Fact(Kind.COMMENT, 1, None, detail)])
        with pytest.raises(FrameError):
            unpack(FrameWriter(PLAIN).write([Sent(entry)]), PLAIN)


def test_logs_may_be_mixed_and_have_gaps() -> None:
    one, other = (
        log([Fact(Kind.COMMENT, 1, None, b"{}")] * 5),
        log([submission(household())] * 3, "other-node"),
    )
    skip = Skip(one[0].origin, one[0].epoch, "", 2, 3, one[2].hash)
    items = [Sent(other[2]), Sent(one[0]), skip, Sent(one[3]), Sent(other[0]), Sent(one[4]), Sent(other[0])]
    assert unpack(pack(items, PLAIN), PLAIN) == items


@settings(max_examples=30)
@given(st.data())
def test_a_damaged_frame_is_refused(data: st.DataObject) -> None:
    codec = Remembers((household(),))
    frame = pack([Sent(entry) for entry in log([submission(household())] * 3)], codec)
    place = data.draw(st.integers(0, len(frame) - 1))
    damaged = frame[:place] + data.draw(st.binary(max_size=3)) + frame[place + 1 :]
    if damaged != frame:
        with suppress(FrameError):
            assert unpack(damaged, codec) == unpack(frame, codec)


def named(fact: Fact) -> str:
    """The form that a fact names."""
    form_id = orjson.loads(fact.detail)["form_id"]
    return form_id if isinstance(form_id, str) else ""


def packed_small(items: list[Sent], codec: Codec = PLAIN) -> bool:
    """Whether the small way is exact in each version; `pack` takes another where it is not."""
    return all(unpack(FrameWriter(codec, version).write(items), codec) == items for version in Version)

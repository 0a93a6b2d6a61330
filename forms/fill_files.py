"""Small real files for made-up answers: a JPEG, a WAV, Collect's audit log. Same chance, same bytes.

Photographs are mosaics of grey squares: as JPEGs they need one Huffman table and no library.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from datetime import datetime, timedelta

BLOCKS = (16, 12)
"""Width and height of a photograph in squares of 8 × 8 pixels."""
DC_CODES = {0: "00", 1: "010", 2: "011", 3: "100", 4: "101", 5: "110", 6: "1110", 7: "11110", 8: "111110"}
"""Code of a difference by its length in bits: ITU-T T.81, table K.3."""
END_OF_BLOCK = "0"
WAV_RATE_HZ = 8_000
AUDIT_HEADER = "event,node,start,end"
AUDIT_USER = ",user"


def jpeg(chance: random.Random) -> bytes:
    """Return a baseline grey JPEG, 128 × 96 pixels, about 250 bytes."""
    width, height = BLOCKS
    levels = [chance.randrange(-128, 128) for _ in range(width * height)]
    header = b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            _segment(0xDB, b"\0" + b"\x08" * 64),
            _segment(0xC0, struct.pack(">BHHB3B", 8, height * 8, width * 8, 1, 1, 0x11, 0)),
            _segment(0xC4, b"\0" + bytes([0, 1, 5, 1, 1, 1, 1] + [0] * 9) + bytes(range(10))),
            _segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0"),
            _segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
        )
    )
    return header + _scan(levels) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _scan(levels: Iterable[int]) -> bytes:
    """Return the coded squares: each as its difference from the one before, nothing else in it."""
    bits, before = "", 0
    for level in levels:
        difference, before = level - before, level
        length = abs(difference).bit_length()
        value = difference if difference > 0 else difference + (1 << length) - 1
        bits += DC_CODES[length] + (f"{value:0{length}b}" if length else "") + END_OF_BLOCK
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def wav(chance: random.Random) -> bytes:
    """Return a tenth of a second of noise, 8-bit mono."""
    sound = chance.randbytes(WAV_RATE_HZ // 10)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, WAV_RATE_HZ, WAV_RATE_HZ, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(sound)) + sound
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def audit(paths: Iterable[str], started: datetime, ended: datetime, user: str | None) -> bytes:
    """Return an `audit.csv` as Collect writes it: one line per question in the order asked, times in epoch ms.

    paths: of the questions, from the root element, rows numbered (`/data/member[2]/m_name`).
    user: None when the form does not ask who it is (`identify-user`).
    Source: https://docs.getodk.org/form-audit-log/
    """
    asked = list(paths)
    times = [_epoch_ms(started + (ended - started) * at / max(1, len(asked))) for at in range(len(asked) + 1)]
    lines: list[tuple[str, str, int, int | str]] = [("form start", "", times[0], "")]
    lines += [
        ("question", path, begun, done) for path, begun, done in zip(asked, times, times[1:], strict=False)
    ]
    lines += [("end screen", "", times[-1], times[-1]), ("form finalize", "", times[-1], "")]
    tail = "" if user is None else f",{user}"
    header = AUDIT_HEADER + ("" if user is None else AUDIT_USER)
    return "".join(
        f"{line}\n" for line in (header, *(",".join(map(str, line)) + tail for line in lines))
    ).encode()


def _epoch_ms(instant: datetime) -> int:
    return (instant - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(milliseconds=1)

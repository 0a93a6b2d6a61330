"""The workload that the figures are about: 7 kB instances of a 60-question form with a 4-row repeat."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

QUESTIONS = 60
ROWS = 4
ROW_QUESTIONS = 12
WORDS = (
    "خانواده",
    "سرپناه",
    "آب",
    "غذا",
    "مدرک",
    "بازگشت",
    "اسلام‌قلعه",
    "میلک",
    "کودک",
    "دارو",
    "سفر",
    "نیاز",
    "Zaranj",
    "transit",
    "family",
)


def sheet() -> bytes:
    """Return the form as a Markdown XLSForm."""
    kinds = ["text", "integer", "select_one yn", "select_multiple need", "date", "decimal"]
    rows = ["| survey | | | |", "| | type | name | label |"]
    rows += [f"| | {kinds[n % len(kinds)]} | q{n:02} | Question {n} |" for n in range(QUESTIONS)]
    rows += ["| | begin_repeat | member | Member |"]
    rows += [f"| | {kinds[n % len(kinds)]} | m{n:02} | Member {n} |" for n in range(ROW_QUESTIONS)]
    rows += ["| | end_repeat | | |", "| choices | | | |", "| | list_name | name | label |"]
    rows += ["| | yn | yes | Yes |", "| | yn | no | No |"]
    rows += [f"| | need | n{n} | Need {n} |" for n in range(12)]
    rows += ["| settings | | | |", "| | form_title | form_id | version |", "| | Benchmark | bench | 1 |"]
    return "\n".join(rows).encode()


def instances(count: int, seed: int) -> Iterator[bytes]:
    """Yield distinct instances as Collect writes them, about 7 kB each."""
    chance = random.Random(seed)
    for _ in range(count):
        answers = "".join(f"<q{n:02}>{_answer(chance, n)}</q{n:02}>" for n in range(QUESTIONS))
        members = "".join(
            "<member>"
            + "".join(f"<m{n:02}>{_answer(chance, n)}</m{n:02}>" for n in range(ROW_QUESTIONS))
            + "</member>"
            for _ in range(ROWS)
        )
        identity = f"uuid:{uuid.UUID(int=chance.getrandbits(128), version=4)}"
        yield (
            "<?xml version='1.0' encoding='UTF-8' ?><data id=\"bench\" version=\"1\" "
            'xmlns:ev="http://www.w3.org/2001/xml-events" xmlns:orx="http://openrosa.org/xforms" '
            'xmlns:odk="http://www.opendatakit.org/xforms" xmlns:h="http://www.w3.org/1999/xhtml" '
            'xmlns:jr="http://openrosa.org/javarosa" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
            f"{answers}{members}<meta><instanceID>{identity}</instanceID></meta></data>"
        ).encode()


def _answer(chance: random.Random, question: int) -> str:
    match question % 6:
        case 0:
            return " ".join(chance.choices(WORDS, k=27))
        case 1:
            return str(chance.randrange(5000))
        case 2:
            return chance.choice(["yes", "no"])
        case 3:
            return " ".join(sorted({f"n{chance.randrange(12)}" for _ in range(3)}))
        case 4:
            return f"2026-11-{chance.randrange(1, 29):02}"
        case _:
            return f"{chance.random() * 100:.3f}"

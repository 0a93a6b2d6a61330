"""Make up a text that a simple regular expression accepts: `^[A-Z]{2}[0-9]{6}$`, `^[+]?[0-9]{7,15}$`.

Known: literals, `.`, classes, `\\d \\w \\s`, groups, `|`, the quantifiers `? * + {n} {n,m}`. Look-arounds and
back-references are not; the caller checks the result against the whole constraint anyway.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

MORE_MAX = 4
"""Repetitions above the least that `*`, `+` and `{n,}` draw."""
SHORTHANDS = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
ANY = string.ascii_letters + string.digits


def example(pattern: str, chance: random.Random) -> str:
    """Return a text that `pattern` matches whole. Raises ValueError when the pattern is not a simple one."""
    maker = _Maker(pattern.removeprefix("^").removesuffix("$"), chance)
    made = maker.alternatives()
    if maker.at < len(maker.pattern):
        raise ValueError("unbalanced pattern")
    return made


@dataclass
class _Maker:
    """Reads the pattern and makes the text in one pass; a quantified part is read again for each repetition."""

    pattern: str
    chance: random.Random
    at: int = 0

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        sign = self.peek()
        if not sign:
            raise ValueError("pattern ends early")
        self.at += 1
        return sign

    def alternatives(self) -> str:
        made = [self.sequence()]
        while self.peek() == "|":
            self.at += 1
            made.append(self.sequence())
        return self.chance.choice(made)

    def sequence(self) -> str:
        made = ""
        while self.peek() not in {"", "|", ")"}:
            made += self.quantified()
        return made

    def quantified(self) -> str:
        start = self.at
        made = self.atom()
        end = self.at
        least, most = self.quantifier()
        after, made = self.at, ""
        for _ in range(self.chance.randint(least, most)):
            self.at = start
            made += self.atom()
            assert self.at == end, "an atom has one extent"
        self.at = after
        return made

    def quantifier(self) -> tuple[int, int]:
        match self.peek():
            case "?":
                bounds = (0, 1)
            case "*":
                bounds = (0, MORE_MAX)
            case "+":
                bounds = (1, 1 + MORE_MAX)
            case "{":
                end = self.pattern.index("}", self.at)
                low, comma, high = self.pattern[self.at + 1 : end].partition(",")
                self.at = end
                bounds = (int(low or 0), int(high) if high else int(low or 0) + MORE_MAX * bool(comma))
            case _:
                return 1, 1
        self.at += 1
        if self.peek() in {"?", "+"}:
            self.at += 1
        return bounds

    def atom(self) -> str:
        match sign := self.take():
            case "(":
                if self.peek() == "?":
                    if self.pattern[self.at : self.at + 2] != "?:":
                        raise ValueError("look-around")
                    self.at += 2
                made = self.alternatives()
                if self.take() != ")":
                    raise ValueError("unbalanced pattern")
                return made
            case "[":
                return self.chance.choice(self.letters())
            case "\\":
                return self.chance.choice(self.escaped())
            case ".":
                return self.chance.choice(ANY)
            case "^" | "$":
                return ""
        return sign

    def escaped(self) -> str:
        sign = self.take()
        if sign.isalnum() and sign not in SHORTHANDS:
            raise ValueError("unknown escape")
        return SHORTHANDS.get(sign, sign)

    def letters(self) -> str:
        excluded = self.peek() == "^"
        self.at += excluded
        letters = ""
        while (sign := self.take()) != "]" or not letters:
            if sign == "\\":
                letters += self.escaped()
            elif self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in {"]", ""}:
                self.at += 1
                letters += "".join(map(chr, range(ord(sign), ord(self.take()) + 1)))
            else:
                letters += sign
        return "".join(sign for sign in ANY if sign not in letters) if excluded else letters

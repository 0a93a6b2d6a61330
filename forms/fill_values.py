"""Made-up answers by kind of question: what a tablet in Persian, Dari or Pashto would write. No person is meant.

Texts hold on purpose what software breaks: ZWNJ, Persian digits, quotes, `<` and `&`, a leading `=`, newlines,
an emoji now and then. Whether an answer fits the form's logic is decided in `forms.fill`.
"""

from __future__ import annotations

import math
import random
import re
from datetime import datetime, time, timedelta

from forms.fill_bounds import Bounds
from forms.schema import Field, FieldType, Flag
from forms.xpath_values import EPOCH, iso

# fmt: off
NAMES = (
    "آرزو", "آرش", "احمد", "امید", "انیسه", "باران", "بصیر", "بهار",
    "پروانه", "پروین", "تمنا", "جمیله", "حبیب", "حمید", "خاطره", "داوود",
    "دلاور", "رحیم", "رویا", "زرغونه", "زهرا", "ژاله", "سحر", "سمیرا",
    "سهراب", "شبنم", "شریف", "شکیبا", "صفیه", "طاهره", "عارف", "عبدالله",
    "فاطمه", "فرزانه", "فرهاد", "قاسم", "کامران", "کریمه", "گل‌مکی", "لاله",
    "لیلا", "مریم", "ملالۍ", "میرویس", "نادر", "نجیب‌الله", "نرگس", "نسرین",
    "نورالله", "وحیده", "هاجره", "هما", "یاسمن", "یوسف", "پښتنه", "سپوږمۍ",
)
# fmt: on
SENTENCES = (
    "خانواده از دیشب در صف است و آب ندارد.",
    "می‌گوید مدارکش را در راه گم کرده‌ است.",
    "کودک ۶ ساله تب دارد؛ به کلینیک معرفی شد.",
    "فامیل شان در هرات منتظر است، تلیفون ندارند.",
    "طفل خوردسال بدون کمپل است، هوا سرد شده.",
    "نمبر تلیفون همسایه را می‌دهد، بعد از عصر زنگ بزنید.",
    "کورنۍ د شپې پاتې کېدو ځای نه لري.",
    "وايي چې له سهار راهیسې یې څه نه دي خوړلي.",
    "گذرگاه از ساعت ۱۰ تا ۱۲ بسته بود.",
    "توضیح بیشتری ندارد.",
)
AWKWARD = (
    'گفت: «نمی‌دانم» و "رفت"',
    "آب < نان & سرپناه",
    "=۱+۱ نیست، فقط یادداشت",
    "+ نیاز به پتو",
    "سطر اول\nسطر دوم\nسطر سوم",
    "ممنون 🙏",
    "بسته‌ی A/B؛ 50% 'پر'",
    "ي و ك عربی در کنار ی و ک",
)
AWKWARD_SHARE = 0.15
NUMBERED = re.compile(r"_(?:no|code|card|id|number)$")
NAMED = re.compile("name|father")
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
SPAN = {FieldType.INT: 20.0, FieldType.DECIMAL: 20.0, FieldType.DATE: 30.0, FieldType.DATETIME: 30.0}
"""How far from a known bound, or from zero or today, an answer lies when the other bound is not known."""
STEP = {
    FieldType.INT: 1.0,
    FieldType.DECIMAL: 0.1,
    FieldType.DATE: 1.0,
    FieldType.TIME: 1 / 1440,
    FieldType.DATETIME: 1 / 1440,
}
SMALL_IS_LIKELIER = 3
"""Power of the draw: of ages up to 115 half are below 15, of counts up to 5,000 half below 630."""
ROUNDING = 1e-6
"""Slack when a computed bound in days is taken to the next step."""
BORDER = (30.9, 36.6, 60.5, 61.9)
"""South, north, west, east of the Iran-Afghanistan border, in degrees."""


def prose(chance: random.Random, field: Field) -> str:
    """Return a text for a free-text question: a name, a number, a remark."""
    if "numbers" in field.appearance:
        return "".join(chance.choices("0123456789", k=9))
    if NUMBERED.search(field.name):
        return code(chance)
    if Flag.PERSONAL in field.flags or NAMED.search(field.name):
        return " ".join(chance.sample(NAMES, chance.randint(1, 2)))
    if chance.random() >= AWKWARD_SHARE:
        return chance.choice(SENTENCES)
    return chance.choice([text for text in AWKWARD if "\n" not in text or "multiline" in field.appearance])


def fitted(text: str, length: Bounds, chance: random.Random) -> str:
    """Return the text cut or lengthened to the bounds of its length."""
    least = 0 if math.isinf(length.low) else math.ceil(length.low - ROUNDING)
    while len(text) < least:
        text += chance.choice(CODE_LETTERS)
    return text if math.isinf(length.high) else text[: math.floor(length.high + ROUNDING)].strip()


def code(chance: random.Random) -> str:
    """Return what a scanned card holds: two letters, six digits."""
    return "".join(chance.choices(CODE_LETTERS, k=2)) + f"{chance.randrange(10**6):06}"


def drawn(kind: FieldType, within: Bounds, now: datetime, chance: random.Random) -> float:
    """Return a number, a count of days since 1970 or a part of a day, within the bounds where they allow one."""
    step = STEP[kind]
    low, high = _closed(kind, within, now)
    first, last = math.ceil(low / step - ROUNDING), math.floor(high / step + ROUNDING)
    if last < first:
        return low
    power = SMALL_IS_LIKELIER if kind in {FieldType.INT, FieldType.DECIMAL} else 1
    return (first + int((last - first + 1) * chance.random() ** power)) * step


def _closed(kind: FieldType, within: Bounds, now: datetime) -> Bounds:
    """Close what is open by what is usual for the kind."""
    if kind is FieldType.TIME:
        return Bounds(max(0.0, within.low), min(1 - STEP[kind], within.high))
    span = SPAN[kind]
    zero = 0.0 if kind in {FieldType.INT, FieldType.DECIMAL} else float((now.date() - EPOCH).days)
    match math.isinf(within.low), math.isinf(within.high):
        case True, True:
            return Bounds(zero, zero + span) if not zero else Bounds(zero - span, zero)
        case True, False:
            return Bounds(min(zero, within.high) if not zero else within.high - span, within.high)
        case False, True:
            return Bounds(within.low, within.low + span)
    return within


def spelled(kind: FieldType, number: float, now: datetime) -> str:
    """Return a number as the answer of a question of that kind, as Collect writes it."""
    match kind:
        case FieldType.INT:
            return str(round(number))
        case FieldType.DECIMAL:
            return str(round(number, 4))
        case FieldType.DATE:
            return (EPOCH + timedelta(days=math.floor(number + ROUNDING))).isoformat()
        case FieldType.TIME:
            clock = (datetime.combine(EPOCH, time()) + timedelta(days=number)).replace(tzinfo=now.tzinfo)
            return iso(clock.replace(year=now.year, month=now.month, day=now.day)).partition("T")[2]
    moment = datetime.combine(EPOCH, time()) + timedelta(milliseconds=round(number * 86_400_000))
    return iso(moment.replace(tzinfo=now.tzinfo))


def point(chance: random.Random) -> str:
    """Return a `lat lon alt acc` near the border, degrees and metres."""
    south, north, west, east = BORDER
    return (
        f"{chance.uniform(south, north):.7f} {chance.uniform(west, east):.7f} "
        f"{chance.uniform(300, 1200):.1f} {chance.uniform(2.5, 25):.1f}"
    )


def trace(chance: random.Random, *, closed: bool) -> str:
    """Return three to six points joined by `; `, the first again at the end of a shape."""
    points = [point(chance) for _ in range(chance.randint(3, 6))]
    return "; ".join([*points, points[0]] if closed else points)


def subset(names: list[str], chance: random.Random, most: int = 4) -> str:
    """Return one to `most` of the names in the list's order, few likelier than many."""
    size = min(len(names), 1 + int(most * chance.random() ** 2))
    picked = set(chance.sample(names, size))
    return " ".join(name for name in names if name in picked)

"""The words by which a question is known to ask for personal data, or for what must not be asked.

In English, Farsi, Dari and Pashto, for labels and (English) for names, where `_` counts as a blank. A word list
misses and mistakes: a finding is a question to the designer, and `chapar::why` is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from forms.check.design import language_code
from forms.check.script import LATIN

DOCUMENT = r"(?:document|doc|passport|tazkira|tazkera|identity|id|visa|card|national)"
DOCUMENT_FA = r"(?:گذرنامه|پاسپورت|تذکره|کارت|مدرک|سند|شناسنامه|ملی|هویت|ویزا)"
DOCUMENT_PS = r"(?:پاسپورټ|پاسپورت|تذکر[ېه]|سند|کارت|پېژندپاڼ[ېه]|ویزې)"


def _words(*parts: str) -> re.Pattern[str]:
    """A word of ours may carry an ending behind a zero-width non-joiner (نام‌ها), but none before (ثبت‌نام)."""
    return re.compile(rf"(?<![\w\u200c])(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)


PERSONAL: Mapping[str, re.Pattern[str]] = {
    "a name": _words(
        r"(?:full|first|last|family|sur|middle|nick|maiden)?[ ]?names?",
        r"(?:f|m|gf|father|mother|surn|firstn|lastn|fulln)_?name|surname|fname|lname",
        r"نام(?: خانوادگی)?",
        r"اسم|تخلص|نوم|نومونه",
    ),
    "a phone number": _words(
        r"(?:tele|mobile |cell )?phone|phone(?:[ ]?(?:number|no))|mobile(?: number| no)?|cell(?: number)|telephone",
        r"whats ?app|telegram|msisdn|sim(?: card)?(?: number| no)",
        r"تلفن|تيلفون|تیلفون|تلیفون|ټیلیفون|ټلیفون|موبایل|واتس[\u200c ]?اپ|شماره (?:همراه|تماس)",
        r"د (?:تماس|اړیکې|ټلیفون) شمېره",
    ),
    "a document number": _words(
        rf"{DOCUMENT}(?: card)?(?: document)? (?:number|no|nr|code)|{DOCUMENT}[ ]?(?:no|num|number)",
        rf"(?:number|no) (?:of|on) (?:\w+ ){{0,3}}{DOCUMENT}|passport|tazkira|nid",
        rf"(?:شماره|نمبر) (?:\S+ ){{0,2}}{DOCUMENT_FA}|کد ملی|(?:نمبر|شماره) تذکره",
        rf"{DOCUMENT_PS} (?:\S+ )?(?:شمېره|شمیره|نمبر)",
    ),
    "an e-mail address": _words(r"e-?mail(?: address)?|ایمیل|ایمېل|پست الکترونیک|برېښنالیک|بریښنالیک"),
    "an address": _words(
        r"(?:home |street |postal |full |current )?address|house number|نشانی|آدرس|ادرس|پته|پلاک"
    ),
}
NOT_PERSONAL = _words(
    r"no names?|without names?|number of (?:\w+ )?(?:people|persons|members|children|households|families|men|women)",
    r"how many|names? of (?:the |your |this )?(?:\w+ )?(?:village|town|city|camp|district|province|country|school|site)",
    r"names? of (?:the |your |this )?(?:\w+ )?(?:organi[sz]ation|agency|crossing|post|hospital|clinic|facility|project)",
    r"(?:village|town|city|camp|district|province|country|school|site|post|crossing|facility) name",
    r"(?:organi[sz]ation|agency|hospital|clinic|project|product|file|form|group|list|medicine)(?:'s)? name",
    r"بدون نام|تعداد|شمار|چند|څومره|څو|بې نومه",
    r"نام (?:روستا|شهر|قریه|ولسوالی|ولایت|استان|کشور|مکتب|مدرسه|سازمان|مرکز|گذرگاه|بیمارستان|شفاخانه|دارو)",
    r"د (?:کلي|ښار|ولسوالۍ|ولایت|هېواد|ښوونځي|سازمان|ادارې|روغتون) نوم",
    r"address (?:the|this|these)",
)
REFUSED: Mapping[str, re.Pattern[str]] = {
    "money": _words(
        r"money|cash|pay|pays|paid|payments?|bribes?|fees?|loans?|debts?|savings",
        r"پول|پرداخت|رشوه|بدهی|قرض|پیسې|پیسو|بډې",
    ),
    "passwords": _words(
        r"passwords?|pass ?codes?|pass ?phrases?|pin(?: code| number)?|otp|رمز(?: عبور)?|گذرواژه|پسورد|پاسورد|پاسورډ|پټنوم|پټ نوم"
    ),
    "bank data": _words(
        r"banks?|iban|(?:bank )?account (?:number|no)|credit card|debit card|mobile wallet|hawala",
        r"بانک|بانکی|بانکي|شماره حساب|شبا|حواله",
    ),
    "biometrics": _words(
        r"finger ?prints?|thumb ?prints?|biometrics?|iris(?: scan)?|retina|face (?:photo|picture|scan|image)|selfie",
        r"(?:photo|picture|photograph) of (?:the |your |his |her )?(?:\w+ )?(?:face|person)|voice ?print",
        r"اثر انگشت|بیومتریک|بایومتریک|بایومټریک|عنبیه|عکس (?:از )?(?:چهره|صورت)|سلفی|د ګوتو? (?:نښ|نښه|نښې|چاپ)",
    ),
}
HARMLESS = re.compile(
    r"pay(?:s|ing)? attention|(?:food|blood|data) banks?|river ?banks?|free of (?:charge|fees?)",
    re.IGNORECASE,
)
NOBODY = _words(r"nobody|no one|never|no-one|هیچ[\u200c ]?کس|هرگز|هیڅوک|هېڅوک|هیڅکله")


FACE = "The question takes a picture of a face."
UNKNOWN_LANGUAGES = LATIN - {"en"}
"""Their words look like English ones: `pays` is a country."""


def asked_for(
    patterns: Mapping[str, re.Pattern[str]], labels: Mapping[str, str], name: str
) -> tuple[str, str] | None:
    """Return the kind of data that a question asks for and what tells: `label`, `label@Farsi (fa)` or `name`.

    labels: text by language.
    """
    for language, label in labels.items():
        if language_code(language) not in UNKNOWN_LANGUAGES and (kind := _found(patterns, label)):
            return kind, f"label@{language}" if language else "label"
    kind = _found(patterns, name.replace("_", " "))
    return (kind, "name") if kind else None


def _found(patterns: Mapping[str, re.Pattern[str]], text: str) -> str:
    """Return the first kind of data whose words stand in the text, "" for none."""
    cleared = HARMLESS.sub(" ", text)
    return next((kind for kind, pattern in patterns.items() if pattern.search(cleared)), "")


def says_nobody(labels: Mapping[str, str]) -> bool:
    """Return whether a question speaks of a promise such as “nobody may ask for money”."""
    return any(NOBODY.search(label) for label in labels.values())


def takes_a_face(appearance: str) -> bool:
    """Return whether a picture is taken with the camera on the screen's side."""
    return bool({"new-front", "selfie"} & set(appearance.split()))


def not_without_reason(kind: str) -> str:
    """Return why a question for this kind of data is refused."""
    return f"The question asks about {kind}, which no form may ask for without a reason."

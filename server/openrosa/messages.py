"""Sentences that Collect shows to the enumerator. It never says which language it is in, so each comes in all four.

Drafts by a non-native author: native review before field use.
"""

from __future__ import annotations

from enum import Enum


class Message(Enum):
    """English, Farsi, Dari, Pashto."""

    QUARANTINED = (
        "Received and kept. The coordinator has to look at it.",
        "دریافت و نگهداری شد. هماهنگ‌کننده باید آن را ببیند.",
        "رسید و نگهداری شد. هماهنگ‌کننده باید آن را ببیند.",
        "ورسېد او وساتل شو. همغږی کوونکی باید ویې ګوري.",
    )
    BUSY = (
        "The server is busy. Nothing is lost: send again in a few minutes.",
        "سرور مشغول است. چیزی از دست نرفته: چند دقیقه دیگر دوباره بفرستید.",
        "سرور مصروف است. چیزی از بین نرفته: چند دقیقه بعد دوباره روان کنید.",
        "سرور بوخت دی. هېڅ شی نه دی ورک: څو دقیقې وروسته یې بیا واستوئ.",
    )
    NOT_STORED = (
        "The server could not store it. Keep it on the tablet and tell the coordinator.",
        "سرور نتوانست آن را ذخیره کند. آن را روی تبلت نگه دارید و به هماهنگ‌کننده بگویید.",
        "سرور نتوانست آن را ذخیره کند. در تبلیت نگه دارید و به هماهنگ‌کننده بگویید.",
        "سرور ونه شو کولای ویې ساتي. په ټابلېټ کې یې وساتئ او همغږي کوونکي ته ووایئ.",
    )
    NO_ROOM = (
        "The server has no room for photos and other files. Keep it on the tablet and tell the coordinator.",
        "سرور برای عکس و پرونده‌های دیگر جا ندارد. آن را روی تبلت نگه دارید و به هماهنگ‌کننده بگویید.",
        "سرور برای عکس و فایل‌های دیگر جای ندارد. در تبلیت نگه دارید و به هماهنگ‌کننده بگویید.",
        "په سرور کې د انځورونو او نورو فایلونو لپاره ځای نشته. په ټابلېټ کې یې وساتئ او همغږي کوونکي ته ووایئ.",
    )
    CUT_OFF = (
        "It arrived incomplete. Send it again.",
        "ناقص رسید. دوباره بفرستید.",
        "نامکمل رسید. دوباره روان کنید.",
        "نیمګړی راورسېد. بیا یې واستوئ.",
    )
    TOO_LARGE = (
        "One file is too large for this server. Tell the coordinator.",
        "یک پرونده برای این سرور بیش از حد بزرگ است. به هماهنگ‌کننده بگویید.",
        "یک فایل برای این سرور بسیار کلان است. به هماهنگ‌کننده بگویید.",
        "یو فایل د دې سرور لپاره ډېر لوی دی. همغږي کوونکي ته ووایئ.",
    )
    TOO_MANY_FILES = (
        "Too many files in one request. Send it in several parts.",
        "شمار پرونده‌ها در یک درخواست بیش از حد است. آن را در چند بخش بفرستید.",
        "تعداد فایل‌ها در یک درخواست بسیار زیاد است. آن را در چند بخش روان کنید.",
        "په یوه غوښتنه کې فایلونه ډېر دي. په څو برخو کې یې واستوئ.",
    )
    TWO_RECORDS = (
        "Send one record in each request: here were two, and none was stored.",
        "در هر درخواست یک رکورد بفرستید: اینجا دو تا بود و هیچ‌کدام ذخیره نشد.",
        "در هر درخواست یک ریکارد روان کنید: اینجا دو تا بود و هیچ کدام ذخیره نشد.",
        "په هره غوښتنه کې یو ریکارډ واستوئ: دلته دوه وو او هېڅ یو ونه ساتل شو.",
    )
    NO_PROJECT = (
        "There is no such project here. Check the server address.",
        "چنین پروژه‌ای اینجا نیست. نشانی سرور را بررسی کنید.",
        "چنین پروژه‌ای اینجا نیست. آدرس سرور را بررسی کنید.",
        "دلته داسې پروژه نشته. د سرور پته وګورئ.",
    )
    UNKNOWN_TABLET = (
        "This tablet is not known here. Scan its QR code again.",
        "این تبلت اینجا شناخته نیست. رمزینه آن را دوباره اسکن کنید.",
        "این تبلیت اینجا شناخته نیست. کیوآر کود آن را دوباره سکن کنید.",
        "دا ټابلېټ دلته نه پېژندل کېږي. کیو آر کوډ یې بیا سکن کړئ.",
    )
    WITHDRAWN = (
        "This tablet's access was withdrawn. Ask the coordinator.",
        "دسترسی این تبلت لغو شده است. از هماهنگ‌کننده بپرسید.",
        "دسترسی این تبلیت لغو شده است. از هماهنگ‌کننده بپرسید.",
        "د دې ټابلېټ لاسرسی لغوه شوی. له همغږي کوونکي وپوښتئ.",
    )
    DRAFT_GONE = (
        "This test form is no longer here. Ask its designer for the new code.",
        "این فرم آزمایشی دیگر اینجا نیست. رمزینه تازه را از طراح فرم بگیرید.",
        "این فورم آزمایشی دیگر اینجا نیست. کیوآر کود نو را از طراح فورم بگیرید.",
        "دا ازمایښتي فورمه نور دلته نشته. نوی کیو آر کوډ یې له جوړوونکي واخلئ.",
    )
    MALFORMED = (
        "The server cannot read this request: it is no multipart/form-data as it must be.",
        "سرور نمی‌تواند این درخواست را بخواند: قالب multipart/form-data آن درست نیست.",
        "سرور این درخواست را خوانده نمی‌تواند: قالب multipart/form-data آن درست نیست.",
        "سرور دا غوښتنه نه شي لوستلای: د multipart/form-data بڼه یې سمه نه ده.",
    )
    NOT_A_SUBMISSION = (
        "This is no submission: the part xml_submission_file is missing.",
        "این یک فرم ارسالی نیست: بخش xml_submission_file وجود ندارد.",
        "این فورم ارسالی نیست: بخش xml_submission_file نیست.",
        "دا لېږل شوې فورمه نه ده: د xml_submission_file برخه نشته.",
    )

    @property
    def text(self) -> str:
        """All languages, one a line; Farsi and Dari once where they say the same."""
        return "\n".join(dict.fromkeys(self.value))


FULL = "full submission upload was successful!"
"""Collect replaces exactly this by its own localised word for success."""

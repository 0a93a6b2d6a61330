"""The functions of ODK XForms on dates and times. Pattern signs as in JavaRosa's DateUtils.format."""

from __future__ import annotations

import math
import re
from datetime import datetime

from forms.xpath_parser import XPathError
from forms.xpath_values import Context, Value, days_as_written, decimal_days, iso, moment, to_text


def date(context: Context, value: Value) -> str | float:
    """`date(x)`: the day as text. A number is days since 1970, whatever the zone."""
    if isinstance(value, int | float):
        return (
            math.nan if math.isnan(value) else datetime.fromordinal(719_163 + int(value)).date().isoformat()
        )
    text = to_text(value)
    found = moment(text, context.environment)
    if text and found is None:
        raise XPathError("date() was given a text that is no date")
    return found.date().isoformat() if found else ""


def date_time(context: Context, value: Value) -> str:
    """`date-time(x)`: the moment in the tablet's zone."""
    found = moment(value, context.environment)
    return iso(found) if found else ""


def decimal_date_time(context: Context, value: Value) -> str | float:
    """`decimal-date-time(x)`: days since 1970-01-01T00:00 UTC, "" of a blank."""
    if isinstance(value, int | float):
        return value
    found = moment(value, context.environment)
    return decimal_days(found) if found else ""


def decimal_time(context: Context, value: Value) -> str | float:
    """`decimal-time(x)`: the part of the local day that has passed, "" of a blank."""
    if isinstance(value, int | float):
        return value - math.floor(value)
    found = moment(value, context.environment)
    return days_as_written(found.time().isoformat()) if found else ""


def format_date(context: Context, value: Value, pattern: Value) -> str:
    """`format-date(x, pattern)`. `%b` and `%a` are English here; Collect writes them in the form's language."""
    found = moment(value, context.environment)
    if found is None:
        return ""
    fields = {
        "%": "%",
        "Y": f"{found.year:04}",
        "y": f"{found.year % 100:02}",
        "m": f"{found.month:02}",
        "n": str(found.month),
        "b": found.strftime("%b"),
        "d": f"{found.day:02}",
        "e": str(found.day),
        "H": f"{found.hour:02}",
        "h": str(found.hour),
        "M": f"{found.minute:02}",
        "S": f"{found.second:02}",
        "3": f"{found.microsecond // 1000:03}",
        "a": found.strftime("%a"),
        "W": str(found.isocalendar().week),
    }
    try:
        return re.sub("%(.)", lambda sign: fields[sign[1]], to_text(pattern))
    except KeyError:
        raise XPathError("The date format holds an unknown sign", to_text(pattern)) from None

"""HXL tags: what a column is about, in the words that humanitarian datasets share. Pure.

Source: HXL 1.1 hashtag dictionary; IOM DTM's columns as HDX publishes them. Attributes `+nationality`, `+forced`,
`+voluntary` and `+assisted` are our own.
"""

from __future__ import annotations

import re

from server.exports.variables import Variable

TAGS = {
    "KEY": "#meta+id",
    "SubmissionDate": "#date+received",
    "shift_date": "#date+reported",
    "crossing_id": "#loc+code",
    "from_c": "#country+code+origin",
    "to_c": "#country+code+dest",
    "from_a1": "#adm1+code+origin",
    "to_a1": "#adm1+code+dest",
    "direction": "#event+type",
    "nat": "#affected+nationality",
    "n_total": "#affected+ind",
    "n_deported": "#affected+returned+forced",
    "n_spontaneous": "#affected+returned+voluntary",
    "n_assisted": "#affected+returned+assisted",
    "n_undocumented": "#affected+undocumented",
    "n_umc": "#affected+children+unaccompanied",
    "g_reason": "#cause+type",
    "reason": "#cause+type",
    "g_transport": "#event+transport",
    "transport": "#event+transport",
    "need_1": "#need+rank1",
    "p_vuln": "#inneed+type",
    "p_urgency": "#severity+code",
    "rf_service": "#service+type",
}
PARTS = {"Latitude": "#geo+lat", "Longitude": "#geo+lon", "Altitude": "#geo+elevation"}
AGES = {
    "0_4": "+infants+age0_4",
    "5_17": "+children+age5_17",
    "18_59": "+adults+age18_59",
    "60p": "+elderly+age60",
}
BY_AGE = re.compile(r"n_([fm])(?:_(\w+))?")


def tag(one: Variable) -> str:
    """Return the tag of a column, "" where there is none."""
    if one.part in PARTS:
        return PARTS[one.part]
    name = one.field.name if one.field else one.title
    if (found := BY_AGE.fullmatch(name)) and (found[2] is None or found[2] in AGES):
        return f"#affected+{found[1]}{AGES.get(found[2] or '', '')}"
    return TAGS.get(name, "")

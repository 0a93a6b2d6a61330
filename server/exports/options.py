"""What an export is asked for: the same options for the same state give the same bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """How the tables are written; `MEDIA`: not at all, the files alone."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    SAV = "sav"
    DTA = "dta"
    GEOJSON = "geojson"
    SQLITE = "sqlite"
    MEDIA = "media"

    @property
    def is_typed(self) -> bool:
        """Whether columns have types."""
        return self not in (Format.CSV, Format.MEDIA)

    @property
    def is_labelled(self) -> bool:
        """Whether it is for statisticians: numbers for answers, and labels for numbers."""
        return self in (Format.SAV, Format.DTA)

    @property
    def is_one_file(self) -> bool:
        """Whether all tables, the codebook and the manifest are in one file."""
        return self in (Format.XLSX, Format.SQLITE)


class View(StrEnum):
    """What a record says: each revision as it was received, all revisions merged, or merged and cleaned."""

    RAW = "raw"
    MERGED = "merged"
    CLEAN = "clean"


class Profile(StrEnum):
    """Whose column names and order scripts expect."""

    ODK = "odk"
    KOBO = "kobo"
    SURVEYCTO = "surveycto"


@dataclass(frozen=True, slots=True)
class Options:
    """One export's options; those left out give what `docs/exports.md` promises of a plain export.

    as_of: ISO 8601, the moment whose state is exported; "" for now. labels: a language of the form, to give labels instead of
    names; in labelled formats only the language of their labels. personal: with the questions flagged P, S or G. filter: as ODK Central's `$filter`, "" for all records.
    split: a select_multiple gives a column of 0 and 1 for each choice too. group_paths: False leaves the groups out of the
    titles. deleted_fields: False gives only what the newest version asks. empty_columns: with the questions that
    nobody answered. profile: all but ODK's leave the groups out. hxl: a row of HXL tags under the titles, in CSV and XLSX.
    solar: beside each date another column with it in the Solar Hijri calendar.
    recipient: who gets the file: it holds what may be shared, under names that are this recipient's own. bands: see
    `server.exports.disclosure.read_bands`. keys: names of questions, a comma between, by which people may be known again;
    "" for those flagged Q.
    """

    format: Format = Format.CSV
    view: View = View.MERGED
    as_of: str = ""
    labels: str = ""
    personal: bool = False
    filter: str = ""
    split: bool = False
    group_paths: bool = True
    deleted_fields: bool = True
    empty_columns: bool = False
    profile: Profile = Profile.ODK
    hxl: bool = False
    solar: bool = False
    recipient: str = ""
    bands: str = ""
    keys: str = ""

    @property
    def tells_labels(self) -> bool:
        """Whether titles and answers are labels: labelled formats have both."""
        return bool(self.labels) and not self.format.is_labelled

    def as_json(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)


PLAIN = Options()
CENTRAL = Options(empty_columns=True)
"""What ODK Central gives unasked."""

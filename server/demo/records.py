"""What the tablets know: what was finished on them, what they posted, and what became of each post.

The server is never asked here; `server.demo.reconcile` holds this against what the server says.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from forms.fill import FilledForm


@dataclass(frozen=True)
class Finished:
    """One revision finished on a tablet. record: the instanceID that all its edits go back to. parent: what it edits."""

    form_id: str
    record: str
    filled: FilledForm
    parent: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the XML."""
        return hashlib.sha256(self.filled.xml).hexdigest()

    @property
    def key(self) -> tuple[str, str]:
        """What the server must know it by: instanceID and digest."""
        return self.filled.instance_id, self.digest

    @cached_property
    def files(self) -> dict[str, str]:
        """SHA-256 of each file by its name."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.filled.files.items()}


class Fate(Enum):
    """What the tablet's post came to. FAILED: an error that the link was not told to make."""

    ACKNOWLEDGED = "acknowledged"
    ANSWER_LOST = "answer lost"
    CUT_OFF = "cut off"
    FAILED = "failed"


ARRIVED = frozenset({Fate.ACKNOWLEDGED, Fate.ANSWER_LOST})


class Brought(Enum):
    """What a post that arrived whole brought to the server."""

    RECORD = "a revision"
    FILES = "further files"
    NOTHING = "a repeat"


@dataclass(frozen=True)
class Known:
    """What the tablets know of one form. acknowledged: keys of the revisions of which every post was answered 201.

    expected: faults that the link was told to make, by the fate they mean. posts: number by fate. arrivals: number by what they brought. failures: why posts failed. files_fetched, files_intact: of the blank form.
    checks, unchanged: requests repeated with an ETag, and how many were answered 304.
    """

    finished: tuple[Finished, ...] = ()
    acknowledged: frozenset[tuple[str, str]] = frozenset()
    expected: Counter[Fate] = field(default_factory=Counter)
    posts: Counter[Fate] = field(default_factory=Counter)
    arrivals: Counter[Brought] = field(default_factory=Counter)
    failures: frozenset[str] = frozenset()
    files_fetched: int = 0
    files_intact: int = 0
    checks: int = 0
    unchanged: int = 0

    @property
    def by_record(self) -> dict[str, tuple[Finished, ...]]:
        """The revisions of each record, in the order they were finished."""
        records: dict[str, tuple[Finished, ...]] = {}
        for one in self.finished:
            records[one.record] = (*records.get(one.record, ()), one)
        return records

    @property
    def attachments(self) -> Counter[tuple[str, str, str]]:
        """Files sent: (record, name, SHA-256), as often as revisions carry them under an instanceID of their own."""
        sent = {
            (one.record, one.filled.instance_id, name, sha256)
            for one in self.finished
            for name, sha256 in one.files.items()
        }
        return Counter((record, name, sha256) for record, _, name, sha256 in sent)


def heads(revisions: tuple[Finished, ...]) -> tuple[Finished, ...]:
    """Return the revisions of one record that nobody edited; more than one is a conflict."""
    edited = {one.parent for one in revisions}
    return tuple(one for one in revisions if one.filled.instance_id not in edited)


class Ledger:
    """Where all tablets write down what they did; any thread may."""

    def __init__(self, form_ids: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._known = {form_id: Known() for form_id in form_ids}
        self._at: dict[str, frozenset[tuple[str, str, str]]] = {}
        self._delivered: set[tuple[str, ...]] = set()

    def known(self) -> dict[str, Known]:
        """Return what is known of each form now."""
        with self._lock:
            return dict(self._known)

    def count_finished(self) -> int:
        """How many revisions are finished."""
        return sum(len(known.finished) for known in self.known().values())

    def count_acknowledged(self) -> int:
        """How many revisions are acknowledged."""
        return sum(len(known.acknowledged) for known in self.known().values())

    def acknowledged_at(self) -> dict[str, frozenset[tuple[str, str, str]]]:
        """Return (form ID, instanceID, SHA-256) of what each post acknowledged."""
        with self._lock:
            return dict(self._at)

    def fetched(self, form_id: str, files: int, intact: int) -> None:
        """Note that a tablet fetched the blank form, and how many of its files were what was published."""
        with self._lock:
            known = self._known[form_id]
            self._known[form_id] = replace(
                known, files_fetched=known.files_fetched + files, files_intact=known.files_intact + intact
            )

    def checked(self, form_id: str, unchanged: bool) -> None:
        """Note that a tablet asked again for what it has."""
        with self._lock:
            known = self._known[form_id]
            self._known[form_id] = replace(
                known, checks=known.checks + 1, unchanged=known.unchanged + unchanged
            )

    def finish(self, one: Finished) -> None:
        """Note a revision."""
        with self._lock:
            known = self._known[one.form_id]
            self._known[one.form_id] = replace(known, finished=(*known.finished, one))

    def acknowledge(self, one: Finished, post: str) -> None:
        """Note that a post answered every part of a revision with 201: the tablet may delete it."""
        with self._lock:
            known = self._known[one.form_id]
            self._at[post] = self._at.get(post, frozenset()) | {(one.form_id, *one.key)}
            self._known[one.form_id] = replace(known, acknowledged=known.acknowledged | {one.key})

    def expect(self, one: Finished, fate: Fate) -> None:
        """Note what the link is going to do to a revision."""
        with self._lock:
            known = self._known[one.form_id]
            self._known[one.form_id] = replace(known, expected=known.expected + Counter([fate]))

    def posted(self, one: Finished, names: Iterable[str], fate: Fate, failure: str = "") -> None:
        """Note a post of a revision with these of its files. failure: why it failed, if it did."""
        with self._lock:
            known = self._known[one.form_id]
            arrivals = known.arrivals.copy()
            if fate in ARRIVED:
                arrivals[self._deliver(one, names)] += 1
            posts = known.posts + Counter([fate])
            failures = known.failures | ({failure} if fate is Fate.FAILED else set())
            self._known[one.form_id] = replace(known, posts=posts, arrivals=arrivals, failures=failures)

    def _deliver(self, one: Finished, names: Iterable[str]) -> Brought:
        files = {(*one.key, name) for name in names}
        new_files = files - self._delivered
        is_new = one.key not in self._delivered
        self._delivered |= {one.key} | files
        return Brought.RECORD if is_new else Brought.FILES if new_files else Brought.NOTHING

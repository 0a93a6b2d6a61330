"""A tablet and the enumerator who holds it: fetches the forms, fills and edits them offline, sends when it can."""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from enum import Enum

from forms import fill, fill_form, xform
from forms.fill import NO_ANSWERS, FilledForm
from forms.fill_form import TabletForm
from server.demo.collect import Collect, Part, new_device_id, parts
from server.demo.link import AnswerLostError, CutOffError, Fault, Link, LinkError
from server.demo.records import Fate, Finished, Ledger

ZONE = timezone(timedelta(hours=3, minutes=30))
ATTEMPTS_MAX = 5
PAUSE_S = 0.5
COPIES = 6
CREATED = 201
DEPRECATED = re.compile(rb"<deprecatedID>[^<]*</deprecatedID>")


class Mishap(Enum):
    """What goes wrong while one revision is sent."""

    NOTHING = "nothing"
    ANSWER_LOST = "the link loses an answer"
    CUT_OFF = "the link breaks in the middle of a request"
    SENT_AGAIN = "the tablet sends again what was acknowledged"
    AT_ONCE = "six equal posts at once"
    FILES_LATER = "the XML comes alone, its files later"


FAULTS = {Mishap.ANSWER_LOST: Fault.ANSWER_LOST, Mishap.CUT_OFF: Fault.CUT_OFF}
FATES = {
    Fault.NONE: Fate.ACKNOWLEDGED,
    Fault.ANSWER_LOST: Fate.ANSWER_LOST,
    Fault.CUT_OFF: Fate.CUT_OFF,
}


class Tablet:
    """One enrolled tablet. chance: the only source of variety.

    clock_error: how far its clock is off. forms: what it has fetched, by form ID. filled: new records, in order.
    """

    def __init__(
        self,
        name: str,
        post: str,
        server_url: str,
        ledger: Ledger,
        chance: random.Random,
        clock_error: timedelta = timedelta(0),
    ) -> None:
        self.chance = chance
        self._post_name = post
        self._ledger = ledger
        self._clock_error = clock_error
        self._device = fill.Tablet(new_device_id(chance), name)
        self._link = Link(chance)
        self._collect = Collect(server_url, self._device.device_id, self._link)
        self.forms: dict[str, TabletForm] = {}
        self.filled: list[Finished] = []
        self.offline = False

    def close(self) -> None:
        """Switch it off."""
        self._link.close()

    def fetch_forms(self, published: Mapping[str, Mapping[str, str]]) -> None:
        """Fetch the forms to fill, with their files. published: SHA-256 by file name, "" naming the XForm, by form ID."""
        for blank in self._collect.list_forms():
            if blank.form_id not in published:
                continue
            definition = self._collect.get(blank.url)
            listed = self._collect.list_media(blank)
            files = {"": definition} | {file.name: self._collect.get(file.url) for file in listed}
            hashes = {"": blank.md5} | {file.name: file.md5 for file in listed}
            expected = published[blank.form_id]
            intact = [
                hashlib.sha256(data).hexdigest() == expected.get(name) and _md5(data) == hashes[name]
                for name, data in files.items()
            ]
            self._ledger.fetched(blank.form_id, len(expected), sum(intact))
            schema = xform.read(definition)
            self.forms[schema.form_id] = fill_form.prepare(schema, definition, files)

    def check_forms(self) -> None:
        """Ask again for all that was fetched, as a tablet does every 15 minutes."""
        for blank in self._collect.list_forms():
            if blank.form_id not in self.forms:
                continue
            urls = [blank.url, *(file.url for file in self._collect.list_media(blank))]
            for url in [*urls, *([blank.manifest_url] if blank.manifest_url else [])]:
                self._ledger.checked(blank.form_id, self._collect.ask(url)[1])

    def fill(self, form_id: str, given: Mapping[str, str]) -> Finished:
        """Finish one new record."""
        filled = fill.fill(
            self.forms[form_id], now=self._now(), chance=self.chance, tablet=self._device, given=given
        )
        one = Finished(form_id, filled.instance_id, filled)
        self._ledger.finish(one)
        return one

    def edit(self, before: Finished, given: Mapping[str, str] = NO_ANSWERS) -> Finished:
        """Open a record again and change one to three answers, or those that are given."""
        one = Finished(
            before.form_id, before.record, self._edited(before, given), parent=before.filled.instance_id
        )
        self._ledger.finish(one)
        return one

    def retell(self, before: Finished, given: Mapping[str, str]) -> Finished:
        """Finish other answers under the same instanceID, as a tablet restored from an old copy does."""
        edited = self._edited(before, given)
        own, first = edited.instance_id.encode(), before.filled.instance_id.encode()
        retold = DEPRECATED.sub(b"", edited.xml).replace(own, first)
        one = replace(before, filled=replace(edited, xml=retold, instance_id=before.filled.instance_id))
        self._ledger.finish(one)
        return one

    def send(self, one: Finished, mishap: Mishap = Mishap.NOTHING) -> None:
        """Send a revision until every part of it is acknowledged.

        After a few attempts in vain the tablet stays offline: this and all that follows is not sent.
        """
        if self.offline:
            return
        fault = FAULTS.get(mishap, Fault.NONE)
        self._ledger.expect(one, FATES[fault])
        for _ in range(ATTEMPTS_MAX):
            if self._attempt(one, mishap, fault):
                self._ledger.acknowledge(one, self._post_name)
                if mishap is Mishap.SENT_AGAIN:
                    self._attempt(one, Mishap.NOTHING, Fault.NONE)
                return
            if fault is Fault.NONE:
                time.sleep(PAUSE_S)
            fault = Fault.NONE
        self.offline = True

    def _edited(self, before: Finished, given: Mapping[str, str]) -> FilledForm:
        return fill.edit(
            self.forms[before.form_id],
            before.filled,
            now=self._now(),
            chance=self.chance,
            tablet=self._device,
            given=given,
        )

    def _attempt(self, one: Finished, mishap: Mishap, fault: Fault) -> bool:
        """Post every part in turn; return whether all were acknowledged. The fault strikes one of them."""
        try:
            posts = parts(one, self._collect.ask_limit_bytes())
        except LinkError:
            return False
        if mishap is Mishap.FILES_LATER:
            posts = [Part((), incomplete=True), *posts]
        struck = self.chance.randrange(len(posts))
        if mishap is Mishap.AT_ONCE:
            return all(self._post_copies(one, part) for part in posts)
        return all(
            self._post(one, part, fault if place == struck else Fault.NONE)
            for place, part in enumerate(posts)
        )

    def _post_copies(self, one: Finished, part: Part) -> bool:
        with ThreadPoolExecutor(COPIES) as pool:
            return all(pool.map(lambda _: self._post(one, part, Fault.NONE), range(COPIES)))

    def _post(self, one: Finished, part: Part, fault: Fault) -> bool:
        failure = ""
        try:
            status = self._collect.post(one, part, fault)
            fate = Fate.ACKNOWLEDGED if status == CREATED else Fate.FAILED
            failure = f"answered {status}"
        except AnswerLostError:
            fate = Fate.ANSWER_LOST
        except CutOffError:
            fate = Fate.CUT_OFF
        except LinkError as error:
            fate, failure = Fate.FAILED, str(error)
        self._ledger.posted(one, part.names, fate, failure)
        return fate is Fate.ACKNOWLEDGED

    def _now(self) -> datetime:
        return datetime.now(ZONE) + self._clock_error


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

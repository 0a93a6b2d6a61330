"""`HEAD` and `POST …/submission`: the hot path, one thin ASGI route.

Attachments go to blobs by SHA-256; everything is durable before the 201.
Source: OpenRosa 1.0 form submission API; Collect's OpenRosaServerInstanceUploader.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from urllib.parse import parse_qs

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.types import Receive, Scope, Send

from server import drafts, receiving
from server.disk import NoRoomError
from server.intake import BlobGoneError, Outcome, QueueFullError
from server.node import Serving
from server.openrosa.messages import FULL, Message
from server.openrosa.parts import ClientGoneError, FilePart, Parts, clean_name, iter_body, read_parts
from server.openrosa.tablet import authenticate, identify_tester
from server.openrosa.urls import absolute_url
from server.permissions import Action, require
from server.problems import OPENROSA_HEADERS, Headers, Problem, openrosa_response
from server.receiving import Arrival, Sender, StoredFile
from server.store import forms
from server.store.blobs import Blobs
from server.store.drafts import FormDraft
from server.store.engine import reading
from server.store.troubles import STORE_TROUBLE, Trouble, is_passing
from server.store.uploads import Upload

PATH = re.compile(
    r"/v1/(?:key/(?P<token>[^/]+)/|test/(?P<test_token>[^/]+)/)?projects/(?P<project>[0-9]{1,9})/"
    r"(?(test_token)forms/(?P<form_id>[^\x00]+)/draft/)submission/?"
)
"""Of a project or, under `test`, of one draft."""
LOOP_BYTES_MAX = 262_144
LARGE_MAX = 3
"""Records above LOOP_BYTES_MAX that are in memory at once: parsed, one takes up to twenty times its size."""
GATHERED_MAX = 64
RETRY_AFTER_S = 30

log = logging.getLogger("chapar.submission")


@dataclass(frozen=True, slots=True)
class Corridor:
    """Where what comes through the door goes: to the journal, or (with a draft) to that draft's tests.

    commit: durable when it returns.
    """

    sender: Sender
    blobs: Blobs
    commit: Callable[[Arrival], Awaitable[Outcome]]
    draft: FormDraft | None = None


class SubmissionDoor:
    """The ASGI application behind `PATH`."""

    def __init__(self, serving: Serving) -> None:
        self._node = serving.node
        self._writer = serving.writer
        self._settings = serving.node.settings
        self._large = asyncio.Semaphore(LARGE_MAX)
        self._gathered = 0
        self._trouble = Trouble(log, "submissions cannot be taken")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for what a client sends."""
        try:
            status, message, headers = await self._answer(scope, receive)
        except ClientGoneError:
            return
        except Problem as problem:
            status, message, headers = problem.status, problem.detail, problem.headers
        except STORE_TROUBLE as error:
            self._trouble.say(error)
            refusal = _refusal(error)
            status, message, headers = refusal.status, refusal.detail, refusal.headers
        except Exception:
            log.exception("a submission could not be taken")
            status, message, headers = 500, Message.NOT_STORED.text, ()
        await _respond(send, scope, status, message, headers)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str, Headers]:
        match = PATH.fullmatch(scope["path"])
        assert match, "the router sends only matching paths"
        method, project_id = scope["method"], int(match["project"])
        try:
            if method not in {"HEAD", "POST"}:
                raise Problem(405.1, "Send submissions with POST.", headers=(("Allow", "HEAD, POST"),))
            if match["test_token"]:
                corridor = await asyncio.to_thread(self._admit_test, scope, project_id, match)
            else:
                corridor = await self._admit(scope, project_id, match["token"])
        except Problem:
            await _drain(iter_body(receive), self._settings.submission_bytes_max)
            raise
        if method == "HEAD":
            # Collect reads the limit from a 204 only, and a Location spares it the next HEADs.
            limit = str(self._settings.submission_bytes_max)
            location = absolute_url(scope, self._settings.public_url)
            return 204, "", (("X-OpenRosa-Accept-Content-Length", limit), ("Location", location))
        outcome = await self._receive(scope, receive, project_id, corridor)
        if outcome is Outcome.QUARANTINED:
            return 202, Message.QUARANTINED.text, ()
        return 201, FULL, ()

    async def _admit(self, scope: Scope, project_id: int, token: str | None) -> Corridor:
        actor = await authenticate(self._node, scope, project_id, token)
        require(actor, Action.SUBMIT, project_id)
        if actor.project_id is None and not await asyncio.to_thread(self._has_project, project_id):
            raise Problem(404.1, Message.NO_PROJECT.text)
        sender = Sender(actor.id, actor.name, _device_id(scope), "openrosa")
        return Corridor(sender, self._node.blobs, self._commit)

    def _admit_test(self, scope: Scope, project_id: int, match: re.Match[str]) -> Corridor:
        draft = identify_tester(self._node, project_id, match["form_id"], match["test_token"])

        async def commit(arrival: Arrival) -> Outcome:
            return await asyncio.to_thread(drafts.keep_test, self._node, draft, arrival)

        sender = Sender(None, "", _device_id(scope), "test")
        return Corridor(sender, self._node.test_blobs(draft.id), commit, draft)

    async def _receive(self, scope: Scope, receive: Receive, project_id: int, corridor: Corridor) -> Outcome:
        body = iter_body(receive)
        with Parts(corridor.blobs.open_upload, corridor.blobs.open_media) as parts:
            try:
                await read_parts(scope, body, parts, self._settings.request_bytes_max)
            except NoRoomError:
                await _drain(body, self._settings.submission_bytes_max)
                raise Problem(507.1, Message.NO_ROOM.text) from None
            if parts.xml is None:
                raise Problem(400.1, Message.NOT_A_SUBMISSION.text)
            files = [await _keep(corridor.blobs, part) for part in parts.files]
            if parts.xml.size > self._settings.xml_bytes_max:
                whole = await _keep(corridor.blobs, FilePart("oversize.xml", "text/xml", parts.xml))
                return await corridor.commit(receiving.oversize(project_id, whole, files, corridor.sender))
            if parts.xml.size <= LOOP_BYTES_MAX:
                return await corridor.commit(await self._examine(project_id, parts.xml, files, corridor))
            async with self._large:
                return await corridor.commit(await self._examine(project_id, parts.xml, files, corridor))

    async def _examine(
        self, project_id: int, upload: Upload, files: Sequence[StoredFile], corridor: Corridor
    ) -> Arrival:
        xml = upload.rewound().read()
        examine = partial(receiving.examine, project_id, xml, files, corridor.sender)
        if corridor.draft:
            return await asyncio.to_thread(examine, lambda *_: True, corridor.draft.form_id)
        known = self._node.known_forms
        if len(xml) <= LOOP_BYTES_MAX:
            with suppress(LookupError):
                return examine(known.recall)
        return await asyncio.to_thread(examine, known.ask)

    def _has_project(self, project_id: int) -> bool:
        with reading(self._node.engine) as connection:
            return forms.project_exists(connection, project_id)

    async def _commit(self, arrival: Arrival) -> Outcome:
        ticket: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        try:
            self._writer.submit(arrival, ticket)
            if not self._gathered:
                asyncio.get_running_loop().call_soon(self._gather)
            self._gathered += 1
            return await ticket
        except Exception as error:  # noqa: BLE001  (the writer has logged it)
            raise _refusal(error) from None

    def _gather(self, before: int = 0) -> None:
        """Have arrivals committed when a turn of the loop brought no more: a commit costs the same for one as for many."""
        if before < self._gathered < GATHERED_MAX:
            asyncio.get_running_loop().call_soon(self._gather, self._gathered)
            return
        self._gathered = 0
        self._writer.wake()


def settle(outcomes: Sequence[tuple[object, Outcome | Exception]]) -> None:
    """Answer the requests whose arrivals were committed, or failed; runs in the event loop."""
    for ticket, outcome in outcomes:
        assert isinstance(ticket, asyncio.Future), "the door's tickets are futures"
        if ticket.done():
            continue
        if isinstance(outcome, Exception):
            ticket.set_exception(outcome)
        else:
            ticket.set_result(outcome)


def _refusal(error: Exception) -> Problem:
    """What a tablet is told: to come again by itself, or to keep the record until somebody has seen to it."""
    if is_passing(error) or isinstance(error, (QueueFullError, BlobGoneError, PoolTimeoutError)):
        headers = (("Retry-After", str(RETRY_AFTER_S)),)
        return Problem(503.1, Message.BUSY.text, headers=headers)
    return Problem(507.1, Message.NOT_STORED.text)


async def _keep(blobs: Blobs, part: FilePart) -> StoredFile:
    digest = await asyncio.to_thread(blobs.keep, part.upload)
    return StoredFile(part.name, digest, part.upload.size, part.content_type)


def _device_id(scope: Scope) -> str:
    return _device_of(scope["query_string"])


@lru_cache(maxsize=4096)
def _device_of(query_string: bytes) -> str:
    query = parse_qs(query_string.decode("latin-1"))
    return clean_name(query["deviceID"][0]) if "deviceID" in query else ""


async def _drain(body: AsyncIterator[bytes], bytes_max: int) -> None:
    """Read what is left of a refused request, so that the answer is read and the connection lives on."""
    received = 0
    async for chunk in body:
        received += len(chunk)
        if received > bytes_max:
            return


async def _respond(send: Send, scope: Scope, status: int, message: str, headers: Headers) -> None:
    described, body = _answer_of(status, message, headers)
    await send({"type": "http.response.start", "status": status, "headers": list(described)})
    is_empty = status == 204 or scope["method"] == "HEAD"
    await send({"type": "http.response.body", "body": b"" if is_empty else body})


@lru_cache(maxsize=64)
def _answer_of(status: int, message: str, headers: Headers) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """Return the headers and the body."""
    body = openrosa_response(message, "submit_success" if status < 300 else "submit_failure")
    described = (("Content-Type", "text/xml; charset=utf-8"), ("Content-Length", str(len(body))))
    sent = (*OPENROSA_HEADERS, *headers, *(described if status != 204 else ()))
    return tuple((name.lower().encode(), value.encode("latin-1")) for name, value in sent), body

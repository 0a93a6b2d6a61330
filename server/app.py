"""The ASGI application: the submission door first, FastAPI for everything else, errors rendered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from forms.errors import FormError
from server import health
from server.api import (
    app_users,
    checks,
    cleaning,
    conflicts,
    datasets,
    days,
    diffs,
    draft_tests,
    drafts,
    entities,
    exports,
    form_check,
    form_definitions,
    forms,
    forms_diff,
    key_conflicts,
    posts,
    recodes,
    relay,
    removals,
    reviews,
    sessions,
    slots,
    submissions,
)
from server.api.bodies import Bounded
from server.api.form_json import fault_json
from server.following import Following
from server.health import Health
from server.intake import Outcome
from server.metrics import Metrics
from server.node import Node, start_serving
from server.observing import ROUTE, Observed
from server.openrosa import downloads
from server.openrosa.submission import PATH, RETRY_AFTER_S, SubmissionDoor, settle
from server.problems import OPENROSA_HEADERS, Problem, openrosa_response
from server.relay.door import RelayDoor
from server.relay.loop import Relaying
from server.store.troubles import STORE_TROUBLE, Trouble
from server.watch import Watch

GZIP_BYTES_MIN = 1000
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would send paths, which hold tablets' tokens, and texts of errors to whoever the environment names."""
ENCODING = b"content-encoding"
NUL = "\x00"
RELAY_PATH = "/v1/relay"
SUBMISSION_ROUTE = "/projects/{project_id}/submission"
TEST_ROUTE = "/projects/{project_id}/forms/{form_id}/draft/submission"

log = logging.getLogger("chapar.app")
_trouble = Trouble(log, "requests fail")


class Application:
    """One node as an ASGI application. Its lifespan starts and stops the writer and what leads.

    leads: whether this process brings the state up to the journal and watches the disks; one of several does.
    """

    def __init__(self, node: Node, *, leads: bool = True) -> None:
        self._door: SubmissionDoor | None = None
        self._relay_door: RelayDoor | None = None
        self._metrics = Metrics(node)
        self._rest: ASGIApp = self._build(node, leads=leads)
        self._observed = Observed(self._dispatch, self._metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and see to it that it is counted."""
        await self._observed(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send submissions through the thin door and all else to FastAPI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
        elif any(name == ENCODING and value.lower() != b"identity" for name, value in scope["headers"]):
            refused = render(
                Request(scope), Problem(415.1, "Send the body as it is, without compressing it.")
            )
            await refused(scope, receive, send)
        elif self._door and (match := PATH.fullmatch(scope["path"])):
            scope[ROUTE] = TEST_ROUTE if match["test_token"] else SUBMISSION_ROUTE
            await self._door(scope, receive, send)
        elif self._relay_door and scope["path"] == RELAY_PATH and scope["method"] == "POST":
            scope[ROUTE] = RELAY_PATH
            await self._relay_door(scope, receive, send)
        elif NUL in scope["path"] or b"%00" in scope["query_string"]:
            refused = render(Request(scope), Problem(400.1, "An address holds no NUL."))
            await refused(scope, receive, send)
        else:
            _hide_slashes(scope)
            if scope["path"].endswith("/"):
                scope["path"] = scope["path"][:-1] or "/"
            await self._rest(scope, receive, send)

    def _build(self, node: Node, *, leads: bool) -> ASGIApp:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            loop = asyncio.get_running_loop()

            def deliver(outcomes: Sequence[tuple[object, Outcome | Exception]]) -> None:
                _hand_over(loop, outcomes)
                self._metrics.committed(serving.writer, outcomes)

            serving = start_serving(node, deliver, leads=leads)
            watch = None
            if leads:
                watch = Watch(node.settings.data, node.blobs.folder, self._metrics.clock_stepped)
            wake = serving.projector.wake if serving.projector else lambda: None
            relaying = Relaying(node, wake) if leads else None
            following = Following(node) if leads else None
            self._door = SubmissionDoor(serving)
            self._relay_door = RelayDoor(node, wake)
            app.state.health = Health(node, self._metrics, serving)
            yield
            self._door = self._relay_door = None
            app.state.health = Health(node, self._metrics)
            if relaying:
                await asyncio.to_thread(relaying.close)
            if following:
                await asyncio.to_thread(following.close)
            if watch:
                watch.close()
            await asyncio.to_thread(serving.close)

        app = FastAPI(
            title="Chapar",
            version="1",
            lifespan=lifespan,
            openapi_url="/v1/openapi.json",
            docs_url=None,  # the page would load its script from another host
            redoc_url=None,
            telemetry=NO_TELEMETRY,
            redirect_slashes=False,  # to http:// behind a proxy with a certificate, tablets' tokens in the address
            dependencies=[Depends(_show_slashes)],
        )
        app.state.node = node
        app.state.health = Health(node, self._metrics)
        for router in (
            sessions.router,
            app_users.router,
            exports.router,
            submissions.router,
            conflicts.router,
            key_conflicts.router,
            diffs.router,
        ):
            app.include_router(router, prefix="/v1")
        # Downloads before forms: `/forms/ID.xml` would else be a form named “ID.xml”.
        app.include_router(downloads.router, prefix="/v1/key/{token}", include_in_schema=False)
        app.include_router(downloads.router, prefix="/v1", tags=["OpenRosa"])
        app.include_router(downloads.tests, prefix="/v1/test/{test_token}", include_in_schema=False)
        for router in (draft_tests.router, drafts.router, form_definitions.router, forms.router):
            app.include_router(router, prefix="/v1")
        app.include_router(form_check.router, prefix="/v1")
        app.include_router(forms_diff.router, prefix="/v1")
        app.include_router(datasets.router, prefix="/v1")
        app.include_router(entities.router, prefix="/v1")
        app.include_router(reviews.router, prefix="/v1")
        for router in (cleaning.router, recodes.router, checks.router, days.router, slots.router):
            app.include_router(router, prefix="/v1")
        app.include_router(removals.router, prefix="/v1")
        app.include_router(posts.router, prefix="/v1")
        app.include_router(relay.router, prefix="/v1")
        app.include_router(health.router)
        app.add_exception_handler(Problem, _render_problem)
        app.add_exception_handler(FormError, _render_faults)
        app.add_exception_handler(RequestValidationError, _render_validation)
        app.add_exception_handler(HTTPException, _render_http)
        for unstorable in (DataError, OverflowError, UnicodeEncodeError):
            app.add_exception_handler(unstorable, _render_unstorable)
        for trouble in STORE_TROUBLE:
            app.add_exception_handler(trouble, _render_trouble)
        app.add_exception_handler(Exception, _render_failure)
        app.add_middleware(Bounded, node=node)
        app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES_MIN)
        return app


def _hide_slashes(scope: Scope) -> None:
    """Let a slash inside a name (`uuid:a%2Fb`) cross the router as NUL, which no name holds."""
    raw: bytes = scope["raw_path"]
    if b"%2f" in raw.lower():
        names = (unquote(name).replace("/", NUL) for name in raw.decode("ascii").split("/"))
        scope["path"] = "/".join(names)


async def _show_slashes(request: Request) -> None:
    """Undo `_hide_slashes`; runs before an endpoint's parameters are read."""
    names = request.scope["path_params"]
    request.scope["path_params"] = {name: text.replace(NUL, "/") for name, text in names.items()}


def _hand_over(
    loop: asyncio.AbstractEventLoop, outcomes: Sequence[tuple[object, Outcome | Exception]]
) -> None:
    try:
        loop.call_soon_threadsafe(settle, outcomes)
    except RuntimeError:
        log.info("the loop has ended; what was committed is committed")


def render(request: Request, problem: Problem) -> Response:
    """Return the problem as Collect reads it when Collect asks, as problem details to everybody else."""
    for_collect = "x-openrosa-version" in request.headers
    if for_collect:
        body = openrosa_response(problem.detail, "error")
        response: Response = Response(body, problem.status, media_type="text/xml; charset=utf-8")
    else:
        response = JSONResponse(problem.as_json(), problem.status, media_type="application/problem+json")
    for name, value in (*problem.headers, *(OPENROSA_HEADERS if for_collect else ())):
        response.headers.append(name, value)
    return response


def _render_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return render(request, error)


def _render_faults(request: Request, error: Exception) -> Response:
    assert isinstance(error, FormError)
    faults = [fault_json(fault) for fault in error.faults]
    return render(request, Problem(400.8, str(error), extra={"faults": faults}))


def _render_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": list(one["loc"]), "message": one["msg"]} for one in error.errors()]
    return render(
        request, Problem(400.1, "Some parameters are not as they must be.", extra={"faults": faults})
    )


def _render_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Problem):
        return render(request, error.__cause__)
    if error.status_code == 405:
        headers = tuple((error.headers or {}).items())  # Allow, which each 405 must have
        return render(request, Problem(405.1, "This address does not take that method.", headers=headers))
    if error.status_code == 400:
        return render(request, Problem(400.1, "The body cannot be read. Send JSON in UTF-8."))
    return render(request, Problem(404.1, "There is nothing at this address."))


def _render_unstorable(request: Request, _error: Exception) -> Response:
    return render(request, Problem(400.1, "A number or a text in the request is none that can be stored."))


def _render_trouble(request: Request, error: Exception) -> Response:
    _trouble.say(error)
    detail = "The server's disk or database fails. Try again in a few minutes; the server's log tells more."
    return render(request, Problem(503.2, detail, headers=(("Retry-After", str(RETRY_AFTER_S)),)))


def _render_failure(request: Request, error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return render(request, Problem(500.1, "This should not have happened; the log of the server tells more."))

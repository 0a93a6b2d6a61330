"""`/healthz`, `/readyz` and `/metrics`: for those who run the server, and for what watches it."""

from __future__ import annotations

import ipaddress
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from migrations import HEAD
from server import disk
from server.api.deps import get_actor
from server.metrics import Metrics
from server.node import Node, Serving
from server.permissions import Action, require
from server.problems import Problem
from server.store.engine import reading, schema_revision

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What tells that a proxy on this machine asks for somebody elsewhere."""

ASKED = ["GET", "HEAD"]
"""Probes that only want the status ask with HEAD."""

router = APIRouter(include_in_schema=False)
log = logging.getLogger("chapar.health")


@dataclass(frozen=True, slots=True)
class Health:
    """What the three addresses ask. serving: None before the server takes submissions, and after."""

    node: Node
    metrics: Metrics
    serving: Serving | None = None


@router.api_route("/healthz", methods=ASKED)
async def healthz() -> dict[str, str]:
    """Say that the process answers. In no thread: all of them may wait for a database."""
    return {"status": "ok"}


@router.api_route("/readyz", methods=ASKED)
def readyz(request: Request) -> dict[str, object]:
    """Say that a submission sent now would be stored. Raises Problem 503.3 with the reasons."""
    health: Health = request.app.state.health
    failed = dict(_failures(health))
    if failed:
        log.info("not ready: %s", ", ".join(failed))
        raise Problem(503.3, " ".join(failed.values()), extra={"failed": failed})
    rooms = disk.measure(health.node.settings.data, health.node.blobs.folder)
    return {"status": "ready", "disk_used_percent": {one.name: round(one.used_percent) for one in rooms}}


@router.api_route("/metrics", methods=ASKED)
def metrics(request: Request) -> Response:
    """Return the figures for Prometheus: to this machine, with the token, or to a signed-in administrator."""
    health: Health = request.app.state.health
    _admit(request, health.node)
    if health.serving:
        health.metrics.look_at_queue(health.serving.writer)
    return Response(health.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


def _failures(health: Health) -> Iterator[tuple[str, str]]:
    """What stands in the way, by its name. No word of it is secret: anybody may ask."""
    if health.serving is None:
        yield "writer", "The server is starting or stopping."
    elif not health.serving.writer.works:
        yield (
            "writer",
            "The writer has stopped, or a commit does not end. Look at the log and restart the server.",
        )
    try:
        with reading(health.node.engine) as connection:
            revision = schema_revision(connection)
    except SQLAlchemyError:
        yield "store", "The database does not answer."
    else:
        if revision != HEAD:
            yield "schema", f"The store's schema is {revision}, this server's is {HEAD}. Restart the server."
    try:
        rooms = disk.measure(health.node.settings.data, health.node.blobs.folder)
    except OSError:
        yield "disk", "The data directory cannot be used."
    else:
        if not rooms[0].takes_texts:
            yield "disk", "The disk is full."


def _admit(request: Request, node: Node) -> None:
    """Raise Problem 401.2 or 403.1 unless who asks may see the figures.

    A token that is set is asked of everybody. Without one, who asks from this machine is its operator, unless a proxy
    asks for somebody else.
    """
    token = node.settings.metrics_token
    given = request.headers.get("authorization", "")
    if token and secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return
    if not token and not node.settings.public_url and _is_local(request):
        return
    require(get_actor(request, node), Action.READ_METRICS)


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False

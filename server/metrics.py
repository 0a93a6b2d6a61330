"""What a running server tells Prometheus: counts and durations, never a name, an answer or an instanceID.

Counters live in a registry of this application's own; what the store knows is asked when somebody looks. Routes are
templates and methods a fixed set, so that the number of series is bounded whatever comes in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.exc import SQLAlchemyError

from server import disk
from server.disk import Room
from server.intake import Outcome, Writer
from server.node import Node
from server.projection import CURSOR
from server.relay.status import describe
from server.store import figures
from server.store.engine import reading

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ARRIVALS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MEDIA_SEEN_S = 60
"""How long the sum over all attachments stands before it is made again."""
RELAY = (
    ("contact_age_seconds", "contactAgeS", "Time since the node was met; -1 when it never was."),
    ("records_waiting", "recordsWaiting", "Records of the post that the centre has yet to get."),
    ("clock_ahead_seconds", "clockAheadS", "How far the node's clock is ahead."),
    ("received_bytes", "receivedBytes", "Bytes of messages from the node."),
    ("sent_bytes", "sentBytes", "Bytes of messages to the node."),
    ("unsendable_entries", "unsendable", "Entries that the node asks for and that were purged: an alarm."),
    (
        "unproven_entries",
        "unproven",
        "Entries that this server lost and the node gave back unproven: an alarm.",
    ),
    ("inexact_frames", "inexact", "Frames for the node that did not read back exactly, and went whole."),
    ("refused_entries", "refused", "Entries that the node sent and may not write: an alarm."),
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nothing that we ask


class Metrics:
    """The figures of one application. writer: None until it serves."""

    def __init__(self, node: Node) -> None:
        self.registry = own = CollectorRegistry()
        arrivals = Counter("chapar_arrivals", "Arrivals by what became of them.", ["outcome"], registry=own)
        self._arrivals = [(one, arrivals.labels(one.value)) for one in Outcome]
        self._failed = arrivals.labels("failed")
        self._commit_s = Histogram(
            "chapar_commit_seconds", "Duration of a commit.", buckets=SECONDS, registry=own
        )
        self._commit_arrivals = Histogram(
            "chapar_commit_arrivals", "Arrivals in a commit.", buckets=ARRIVALS, registry=own
        )
        self._queue_arrivals = Gauge(
            "chapar_queue_arrivals",
            "Arrivals that wait for the writer.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self._queue_bytes = Gauge(
            "chapar_queue_bytes",
            "Bytes of XML that wait for the writer.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self._request_s = Histogram(
            "chapar_http_request_seconds",
            "Duration of a request.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=own,
        )
        self._received = Counter("chapar_http_received_bytes", "Bytes of request bodies.", registry=own)
        self._sent = Counter("chapar_http_sent_bytes", "Bytes of answers' bodies.", registry=own)
        self._clock_steps = Counter(
            "chapar_clock_steps", "Times that the system clock was set.", registry=own
        )
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._live = [StoreFigures(node), ProcessCollector(registry=None)]

    def committed(self, writer: Writer, outcomes: Sequence[tuple[object, Outcome | Exception]]) -> None:
        """Count a commit and what became of its arrivals; called in the writer's thread after the answers."""
        became = [one for _, one in outcomes]
        for outcome, child in self._arrivals:
            child.inc(became.count(outcome))
        self._failed.inc(sum(isinstance(one, Exception) for one in became))
        self._commit_s.observe(writer.commit_s)
        self._commit_arrivals.observe(len(outcomes))
        self.look_at_queue(writer)

    def look_at_queue(self, writer: Writer) -> None:
        """Note what waits now."""
        self._queue_arrivals.set(writer.waiting)
        self._queue_bytes.set(writer.waiting_bytes)

    def answered(
        self, method: str, route: str, status: int, took_s: float, received_bytes: int, sent_bytes: int
    ) -> None:
        """Count a request. status: 0 when the client left before an answer. method: of METHODS, or `other`."""
        child = self._children.get((method, route, status))
        if child is None:
            child = self._children[method, route, status] = self._request_s.labels(method, route, status)
        child.observe(took_s)
        self._received.inc(received_bytes)
        self._sent.inc(sent_bytes)

    def clock_stepped(self) -> None:
        """Count that the system clock was set."""
        self._clock_steps.inc()

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format; with several workers, the sums over all of them."""
        shown = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        else:
            shown.register(self.registry)
        for collector in self._live:
            shown.register(collector)
        return generate_latest(shown)


class StoreFigures:
    """What the store and the disks say when asked; the same for every worker."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._media = (0.0, 0)

    def describe(self) -> Iterable[Metric]:
        """Nothing: whoever registers this must not ask the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; only chapar_store_up and the disks' while the store does not answer."""
        try:
            with reading(self._node.engine) as connection:
                found = figures.read_figures(connection, CURSOR)
                relayed = describe(connection)
                if self._media[0] < time.monotonic():
                    self._media = (time.monotonic() + MEDIA_SEEN_S, figures.attachment_bytes(connection))
        except SQLAlchemyError:
            yield _gauge("store_up", "Whether the store answers.", 0)
        else:
            yield _gauge("store_up", "Whether the store answers.", 1)
            yield _gauge("journal_position", "Position of the newest entry.", found.position)
            yield _gauge("projection_lag_entries", "Entries not yet in the derived state.", found.lag_entries)
            yield _gauge("projection_lag_seconds", "Age of the oldest of those.", found.lag_s(time.time()))
            yield _gauge("quarantine_waiting", "Arrivals that wait in quarantine.", found.quarantined)
            yield _gauge("conflicts_open", "Conflicts that wait for a person.", found.conflicts)
            yield _gauge("database_bytes", "Size of the database.", found.database_bytes)
            yield _gauge("attachment_bytes", "Bytes of submitted files, up to a minute old.", self._media[1])
            yield from _relay_figures(relayed)
        yield from self._disks()

    def _disks(self) -> Iterator[Metric]:
        try:
            rooms = disk.measure(self._node.settings.data, self._node.blobs.folder)
        except OSError:
            return
        yield _of_disks("disk_free_bytes", "Free bytes.", ((room, room.free_bytes) for room in rooms))
        yield _of_disks("disk_total_bytes", "All bytes.", ((room, room.total_bytes) for room in rooms))
        kept = ((room, disk.reserve_bytes(room.total_bytes)) for room in rooms)
        yield _of_disks("disk_reserve_bytes", "Bytes kept for texts.", kept)


def _relay_figures(found: Mapping[str, Any]) -> Iterator[Metric]:
    """How the relay stands with each node that this one relays with."""
    nodes = [*([found["centre"]] if found["centre"] else []), *found["posts"]]
    for name, key, text in RELAY:
        family = GaugeMetricFamily(f"chapar_relay_{name}", text, labels=["node"])
        for one in nodes:
            family.add_metric([one["name"]], one[key])
        yield family
    yield _gauge("relay_forks", "Logs that two stores went on with: alarms.", len(found["forks"]))
    audit = found["audit"]
    yield _gauge(
        "relay_audit_age_seconds", "Since the journal was read through; -1: never.", audit["readAgeS"]
    )
    yield _gauge("relay_payloads_lost", "Entries without payload, asked for: an alarm.", audit["lost"])
    yield _gauge("relay_payloads_damaged", "Payloads that audits found damaged.", audit["damaged"])
    yield _gauge("relay_ranges_differing", "Ranges that audits found wanting.", audit["differing"])
    yield _gauge("relay_payloads_mended", "Payloads that were put back.", audit["mended"])
    yield _gauge("relay_records_purged", "Records dropped, the centre has them.", found["recordsPurged"])
    yield _gauge("relay_files_wanted", "Files that are not here yet.", found["filesWanted"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"chapar_{name}", text, value)


def _of_disks(name: str, text: str, values: Iterable[tuple[Room, int]]) -> Metric:
    family = GaugeMetricFamily(f"chapar_{name}", text, labels=["folder"])
    for room, value in values:
        family.add_metric([room.name], value)
    return family

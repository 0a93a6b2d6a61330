"""Several processes that serve one node on one socket, and the one that starts them, again when one dies.

Each worker takes requests and commits on its own; appenders take turns on the node's row. The first one also brings the
state up to the journal and watches the disks, as a server of one process does: one projector is enough, and the others
need not look for work. The process that starts them serves nobody and opens nothing: workers are forked from it, which
takes no time and shares what is loaded.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory

from server.settings import Settings

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = "/dev/shm"  # noqa: S108  (a private folder in it)
"""Figures are kept in mapped files: on a disk that is full, a worker that counts would be killed."""
STOP_S = 40
"""Above the time that a worker gives to requests in flight."""
PAUSE_S = 1.0
"""Between the starts of a worker that dies again and again."""

_fork = multiprocessing.get_context("fork")

log = logging.getLogger("chapar.workers")


class WorkerFailedError(Exception):
    """A worker could not even start; the log says why."""


class Worker:
    """One process. It ends cleanly on SIGTERM, and when the one that started it is gone."""

    def __init__(self, settings: Settings, listener: socket.socket, *, leads: bool) -> None:
        self.leads = leads
        self.started_s = time.monotonic()
        self.says_ready, ready = _fork.Pipe(duplex=False)
        self.process = _fork.Process(target=_serve, args=(settings, listener, ready), kwargs={"leads": leads})
        self.process.start()
        ready.close()

    def close(self) -> None:
        """Wait for its end; kill it where that does not come."""
        self.process.join(STOP_S)
        if self.process.is_alive():
            log.error("worker %d did not stop and is killed", self.process.pid)
            self.process.kill()
            self.process.join()
        self.says_ready.close()


def run_workers(
    settings: Settings,
    listener: socket.socket,
    prepare: Callable[[], object],
    ready: Callable[[], object],
) -> None:
    """Keep `settings.workers` processes up until SystemExit is raised.

    prepare: called first, in a process of its own. ready: called once all workers answer. Raises WorkerFailedError when
    one ends before.
    """
    memory = MEMORY if Path(MEMORY).is_dir() else None
    with TemporaryDirectory(prefix="chapar-metrics-", dir=memory) as metrics:
        os.environ[METRICS_FOLDER] = (
            metrics  # before what follows is imported, by this process or by a worker
        )
        import server.serving

        assert server.serving, "loaded once, for all workers"
        gc.collect()
        gc.freeze()
        preparing = _fork.Process(target=prepare)
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            sys.exit(preparing.exitcode)
        workers: list[Worker] = []
        try:
            workers += (Worker(settings, listener, leads=number == 0) for number in range(settings.workers))
            _await_ready(workers)
            ready()
            while True:
                ended = wait([worker.process.sentinel for worker in workers])
                for worker in [one for one in workers if one.process.sentinel in ended]:
                    workers.remove(worker)
                    workers.append(_replace(worker, settings, listener, metrics))
        finally:
            listener.close()
            for process in multiprocessing.active_children():  # also one that a signal kept out of the list
                process.terminate()
            for worker in workers:
                worker.close()


def _await_ready(workers: list[Worker]) -> None:
    for worker in workers:
        try:
            worker.says_ready.recv_bytes()
        except EOFError:
            raise WorkerFailedError("A worker could not start; the log says why.") from None


def _replace(worker: Worker, settings: Settings, listener: socket.socket, metrics: str) -> Worker:
    """Start another worker for one that is gone."""
    from prometheus_client.multiprocess import mark_process_dead

    worker.close()
    code = worker.process.exitcode
    log.error("worker %d ended with %s; another one is started", worker.process.pid, code)
    mark_process_dead(worker.process.pid, metrics)  # type: ignore[no-untyped-call]  # what waited in it
    time.sleep(max(0.0, PAUSE_S - (time.monotonic() - worker.started_s)))
    return Worker(settings, listener, leads=worker.leads)


def _serve(settings: Settings, listener: socket.socket, ready: Connection, *, leads: bool) -> None:
    """Serve as one of several; the body of a worker."""
    from server.node import open_node
    from server.serving import run_server

    os.setsid()  # Ctrl-C is for the one that starts them
    threading.Thread(target=_stop_when_alone, daemon=True).start()
    try:
        node = open_node(settings)
        try:
            run_server(node, listener, lambda: ready.send_bytes(b"ready"), leads=leads)
        finally:
            node.close()
    except Exception:
        log.exception("worker %d failed", os.getpid())  # else multiprocessing prints the error's text
        sys.exit(1)


def _stop_when_alone() -> None:
    """Stop once the process that started this one is gone."""
    starter = multiprocessing.parent_process()
    assert starter is not None, "a worker is started by another process"
    starter.join()
    os.kill(os.getpid(), signal.SIGTERM)

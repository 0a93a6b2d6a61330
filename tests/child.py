"""A real `chapar serve` in a process of its own: to be killed, stopped and measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import commands
from conftest import HOUSEHOLD

from server import enrolment
from server.node import open_node
from server.publishing import publish
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project

CHAPAR = Path(sys.executable).with_name("chapar")


@dataclass
class Child:
    """A running server. url: as `http://127.0.0.1:40001`. log: what it wrote to standard error."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def rss_bytes(self) -> int:
        """Memory in use now."""
        return self._status_bytes("VmRSS")

    def peak_rss_bytes(self) -> int:
        """The most memory that was ever in use."""
        return self._status_bytes("VmHWM")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def _status_bytes(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith(name))
        return int(line.split()[1]) * 1024


def prepare(settings: Settings) -> str:
    """Make the store with the form `household`; return the token of an enrolled tablet."""
    node = open_node(settings)
    try:
        ensure_project(node)
        publish(node, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})
        return enrolment.create_app_user(node, PROJECT_ID, "tablet").token
    finally:
        node.close()


def chapar(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return commands.run(*arguments, "--data", str(settings.data), env=_environment(settings))


@contextmanager
def started(settings: Settings, **more: str) -> Iterator[Child]:
    """Run a server while the block lasts. more: further environment."""
    process = launched(settings, **more)
    log = log_of(settings)
    try:
        yield Child(process, _url(process, log), log)
    finally:
        process.kill()
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def launched(settings: Settings, **more: str) -> subprocess.Popen[str]:
    """Start a server and do not wait for it."""
    with log_of(settings).open("a") as errors:
        return subprocess.Popen(
            [str(CHAPAR), "serve", "--data", str(settings.data), "--port", "0"],
            env=_environment(settings) | more,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def log_of(settings: Settings) -> Path:
    """Where a server's standard error goes: not into its data directory, which a test may fill up."""
    return settings.data.parent / "server.log"


def _url(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listening on "):
            # What it says later must not fill the pipe.
            threading.Thread(target=lambda: [None for _ in process.stdout or ()], daemon=True).start()
            return line.removeprefix("listening on ").strip()
    raise AssertionError(f"the server did not start: {log.read_text()}")


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | {"CHAPAR_DATABASE_URL": settings.database_url}

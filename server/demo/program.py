"""The program itself, as an operator runs it: `chapar serve` and `chapar export` as child processes."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

COMMAND = (sys.executable, "-m", "server.cli")
LOG = "server.log"
START_S = 60
STOP_S = 40
LIMIT_BYTES = 1_500
"""What tablets are told to put into one request: low, so that a few small photos already need several."""


class DemoError(Exception):
    """The demonstration cannot go on."""


class Server:
    """A running `chapar serve`. exit_code: None while it runs."""

    def __init__(self, data: Path) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._log = data.with_name(LOG).open("wb")
        self._process = subprocess.Popen(  # noqa: S603
            [*COMMAND, "serve", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(),
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.password = ""
        self.url = ""

    def wait_until_listening(self) -> None:
        """Read what the server prints up to its address. Raises DemoError."""
        while not self.url:
            try:
                line = self._lines.get(timeout=START_S)
            except queue.Empty:
                raise DemoError(f"The server was not up within {START_S} s.") from None
            if line is None:
                raise DemoError(f"The server ended before it was up: {self._last_words()}")
            label, _, value = line.strip().partition(": ")
            if label == "one-time password":
                self.password = value.strip()
            elif line.startswith("listening on "):
                self.url = line.split()[-1]

    def stop(self) -> int:
        """Ask the server to stop; return its exit code, that of a kill when it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(STOP_S)
        self._log.close()
        return self._process.wait()

    def _last_words(self) -> str:
        return "".join(
            Path(self._log.name).read_text(errors="replace").splitlines(keepends=True)[-1:]
        ).strip()

    def _read(self) -> None:
        assert self._process.stdout, "it was opened with a pipe"
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """Start a server with the embedded default in `data`; it is stopped when the block ends."""
    server = Server(data)
    try:
        yield server
    finally:
        server.stop()


def chapar(data: Path, *words: str | Path) -> dict[str, Any]:
    """Give a command, as an operator does, also beside a running server; return what it says. Raises DemoError."""
    command = [*COMMAND, *map(str, words), "--json", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, env=_environment(), check=False)  # noqa: S603
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-2000:]
        raise DemoError(f"“chapar {words[0]} {words[1]}” failed: {said}")
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def export_form(data: Path, form_id: str, out: Path) -> list[str]:
    """Export a form; return the names of the CSVs. Raises DemoError."""
    done = chapar(data, "export", form_id, "--out", out, "--media")
    return [file["name"] for file in done["files"]]


def _environment() -> dict[str, str]:
    """The embedded default, whatever this machine is otherwise set to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAPAR_")}
    return kept | {"CHAPAR_SUBMISSION_BYTES_MAX": str(LIMIT_BYTES), "PYTHONUNBUFFERED": "1"}

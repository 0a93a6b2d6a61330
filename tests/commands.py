"""`chapar` commands, each in a process of its own that is forked from one with everything loaded.

To load it takes a second or two of a processor, and the tests run more than a hundred commands.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from server.cli import main

TIMEOUT_S = 120

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["server.cli", "server.app", "server.setup", "forms.check.check", "alembic.command"]
)


def run(
    *words: str, env: Mapping[str, str] | None = None, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("in", "out", "err")]
        streams[0].write_text(stdin)
        process = _context.Process(target=_run, args=(words, dict(env or os.environ), cwd, streams))
        process.start()
        process.join(TIMEOUT_S)
        assert process.exitcode is not None, "the command did not end"
        return subprocess.CompletedProcess(
            words, process.exitcode, *(stream.read_text() for stream in streams[1:])
        )


def _run(words: tuple[str, ...], env: dict[str, str], cwd: Path | None, streams: list[Path]) -> None:
    os.environ.clear()
    os.environ.update(env)
    if cwd:
        os.chdir(cwd)
    for number, (stream, mode) in enumerate(zip(streams, "rww", strict=True)):
        with stream.open(mode) as file:
            os.dup2(file.fileno(), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.argv = ["chapar", *words]
    main()

"""A real server that speaks S3, on loopback: rclone over a folder."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import wait_for

RCLONE = Path(sys.executable).with_name("rclone")
KEY, SECRET = "chapar-test-key-01", "chapar-test-secret-0001"
BUCKET = "field"
URL = f"s3://{BUCKET}/post/7"


@dataclass
class S3Server:
    """folder: where the buckets are."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells a client where it is, and who may."""
        return {
            "AWS_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def start(self) -> None:
        command: list[Any] = [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [*command, "--auth-key", f"{KEY},{SECRET}", self.folder], stderr=subprocess.DEVNULL
        )
        wait_for(self._answers, timeout_s=60)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(30)

    def objects(self) -> set[str]:
        """The keys of all that is stored."""
        return {
            str(path.relative_to(self.folder / BUCKET)) for path in self.folder.rglob("*") if path.is_file()
        }

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True


def new_s3(folder: Path) -> S3Server:
    """A server with one empty bucket, not started yet."""
    (folder / BUCKET).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return S3Server(folder, probe.getsockname()[1])

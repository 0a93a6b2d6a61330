"""A real `chapar serve` as a child process, and what the system says it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from server.projection import lag
from server.store.engine import open_engine

CHAPAR = str(Path(sys.executable).parent / "chapar")
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class BenchServer:
    """Serves `data` on a free port while the block lasts. database_url: PostgreSQL instead of SQLite. program: `chapar`."""

    data: Path
    database_url: str = ""
    program: Sequence[str] = (CHAPAR,)

    def __enter__(self) -> Self:
        command = [*self.program, "serve", "--port", "0", "--data", str(self.data)]
        self._environment = os.environ | {"CHAPAR_DATABASE_URL": self.database_url}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self._environment)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                break
        else:
            raise RuntimeError("the server did not start")
        self._engine = open_engine(self.data, self.database_url)
        made = self.chapar("app-user", "create", "bench")
        self.port = int(self.url.rpartition(":")[2])
        self.path = f"/v1/key/{made['token']}/projects/1/submission"
        return self

    def __exit__(
        self, _type: type | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._engine.dispose()
        self._process.terminate()
        self._process.wait(60)

    def chapar(self, *words: str) -> dict[str, object]:
        """Run a command beside the server; return its JSON."""
        command = [CHAPAR, *words, "--json", "--data", str(self.data)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=self._environment)
        result: dict[str, object] = json.loads(done.stdout)
        return result

    def lag(self) -> int:
        """Return how many journal entries are not yet state."""
        return lag(self._engine)

    def cpu_s(self) -> float:
        """Processor seconds that the server has used so far."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS_A_SECOND

    def rss_mb(self) -> float:
        """Resident memory in MB."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
        raise RuntimeError("the system does not tell the memory")

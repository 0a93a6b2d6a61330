"""One SQLite database: a table for the form and for each repeat, blank answers as NULL, codebook and manifest beside."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from server.disk import spare_for_texts
from server.exports.frames import Frame
from server.exports.names import unlike
from server.exports.sinks import Output
from server.exports.variables import Kind

CHUNK_BYTES = 1 << 18
AFFINITIES = {Kind.INTEGER: "INTEGER", Kind.DECIMAL: "REAL"}
Texts = Iterable[Sequence[str]]


def write(frames: Sequence[Frame], others: Mapping[str, Texts], output: Output, folder: Path) -> None:
    """Write all tables. others: more tables of texts, header first. Raises sqlite3.OperationalError above 2,000 columns.

    Numbers are stored as numbers, all else as it was sent.
    """
    with TemporaryDirectory(dir=folder) as own:
        path = Path(own) / "export.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN")
            names = unlike([*(one.name for one in frames), *others])
            for name, one in zip(names, frames, strict=False):
                titles = [variable.title for variable in one.variables]
                kinds = [AFFINITIES.get(variable.kind, "TEXT") for variable in one.variables]
                insert = _create(database, name, titles, kinds)
                for page in one.pages():
                    spare_for_texts([folder])
                    database.executemany(insert, ([cell or None for cell in row] for row in page))
            for name, rows in zip(names[len(frames) :], others.values(), strict=True):
                header, *body = rows
                database.executemany(_create(database, name, header, ["TEXT"] * len(header)), body)
            database.execute("COMMIT")
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                output.write(chunk)


def _create(database: sqlite3.Connection, name: str, titles: Sequence[str], kinds: Sequence[str]) -> str:
    """Make a table; return the statement that fills it."""
    columns = zip(map(_quoted, unlike(titles)), kinds, strict=True)
    database.execute(f"CREATE TABLE {_quoted(name)} ({', '.join(map(' '.join, columns))})")
    return f"INSERT INTO {_quoted(name)} VALUES ({', '.join('?' * len(titles))})"  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""').replace("\0", "") + '"'

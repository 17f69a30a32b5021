"""Stores to test, each with a way to look into it, to break it and to make it picky.

PostgreSQL is the one that DLMON_TEST_POSTGRES names, with a superuser's login, else a server that
all processes of the run share where it is installed, else the one at localhost:5432.
"""

from __future__ import annotations

import secrets
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import clickhouse_connect
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dlmon.config.urls import StoreAddress
from dlmon.stores import open_store
from dlmon.stores.base import Store
from dlmon.stores.postgresql import copying
from tests.conftest import unavailable
from tests.support.clickhouse import Engine
from tests.support.named import named_server
from tests.support.postgres import PostgresServer, answers, program
from tests.support.shared import Server, SharedServers
from tests.support.webhook import Answer, Request, Webhook

LOCAL_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"


class Place(ABC):
    """Where a store puts events, seen from behind."""

    address: StoreAddress

    @abstractmethod
    def bodies(self) -> list[bytes]:
        """What was stored, in this order."""

    @abstractmethod
    def broken(self) -> AbstractContextManager[None]:
        """Nothing can be stored inside the block."""

    def be_picky(self) -> None:
        """Refuse events with a file_size of 13 from now on."""
        raise NotImplementedError


class SqlitePlace(Place):
    def __init__(self, path: Path) -> None:
        self.address = StoreAddress(f"sqlite:///{path}")
        self._path = path

    def bodies(self) -> list[bytes]:
        with closing(sqlite3.connect(self._path)) as connection:
            rows = connection.execute("SELECT body FROM events ORDER BY rowid")
            return [body.encode() for (body,) in rows]

    @contextmanager
    def broken(self) -> Iterator[None]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield

    def be_picky(self) -> None:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(
                "CREATE TRIGGER picky BEFORE INSERT ON stored_events WHEN new.file_size = 13 "
                "BEGIN SELECT RAISE(ABORT, 'no thirteens'); END"
            )


class PostgresPlace(Place):
    def __init__(self, url: str, schema: str) -> None:
        self.schema = schema
        separator = "&" if "?" in url else "?"
        self.address = StoreAddress(f"{url}{separator}options=-csearch_path%3D{schema}")

    def execute(self, statement: LiteralString) -> list[Any]:
        with psycopg.connect(self.address.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def bodies(self) -> list[bytes]:
        rows = self.execute("SELECT body::text FROM dlmon_events ORDER BY ctid")
        return [body.encode() for (body,) in rows]

    def has(self, events: int) -> bool:
        """At least so many events."""
        ((count,),) = self.execute("SELECT count(*) FROM dlmon_events")
        return int(count) >= events

    @contextmanager
    def broken(self) -> Iterator[None]:
        with psycopg.connect(self.address.url) as other:
            other.execute("LOCK TABLE dlmon_events IN ACCESS EXCLUSIVE MODE")
            yield

    def be_picky(self) -> None:
        self.execute("ALTER TABLE dlmon_events ADD CONSTRAINT no_thirteens CHECK (file_size <> 13)")


class NdjsonPlace(Place):
    def __init__(self, path: Path) -> None:
        self.address = StoreAddress(f"ndjson:{path}")
        self._path = path

    def bodies(self) -> list[bytes]:
        return self._path.read_bytes().splitlines()

    @contextmanager
    def broken(self) -> Iterator[None]:
        aside = self._path.with_suffix(".aside")
        self._path.rename(aside)
        self._path.mkdir()
        yield
        self._path.rmdir()
        aside.rename(self._path)


class WebhookPlace(Place):
    def __init__(self, webhook: Webhook) -> None:
        self.address = StoreAddress(webhook.url)
        self._webhook = webhook

    def bodies(self) -> list[bytes]:
        bodies = b",\n".join(request.body.strip()[1:-1] for request in self._webhook.taken)
        return bodies.split(b",\n") if bodies else []

    @contextmanager
    def broken(self) -> Iterator[None]:
        self._webhook.reply(Answer(500))
        yield
        self._webhook.reply(Answer())

    def be_picky(self) -> None:
        def answer(request: Request) -> Answer:
            refused = any(event["file_size"] == 13 for event in request.events)
            return Answer(422, b"no thirteens") if refused else Answer()

        self._webhook.answer = answer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may stop or kill; start it again afterwards."""
    if program("initdb") is None:
        unavailable("PostgreSQL is not installed, and this test breaks a server of its own")
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_url(shared_servers: SharedServers) -> str:
    """A PostgreSQL that works."""
    if named := named_server("DLMON_TEST_POSTGRES"):
        if not answers(named):
            pytest.fail("no PostgreSQL answers at DLMON_TEST_POSTGRES, or it refuses the login")
        return named
    if program("initdb") is not None:
        return shared_servers.url("postgresql", _start_shared)
    if not answers(LOCAL_POSTGRES):
        unavailable(
            "no PostgreSQL answers at localhost:5432; install postgresql, or name one in "
            "DLMON_TEST_POSTGRES=postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return LOCAL_POSTGRES


def _start_shared() -> Server:
    server = PostgresServer()
    server.start()
    return server.share()


@contextmanager
def own_schema(url: str) -> Iterator[PostgresPlace]:
    """A schema of the test's own, dropped afterwards."""
    schema = f"dlmon_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    yield PostgresPlace(url, schema)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(schema)))


@pytest.fixture
def postgres(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[PostgresPlace]:
    assert request.node.get_closest_marker("postgresql"), "the test needs the mark postgresql"
    with own_schema(postgres_url) as place:
        yield place


@pytest.fixture
def breakable(postgres_server: PostgresServer) -> Iterator[PostgresPlace]:
    """On a server that the test may stop; it is started again afterwards."""
    with own_schema(postgres_server.url) as place:
        yield place
        postgres_server.start()


@pytest.fixture
def engine() -> Iterator[Engine]:
    if find_spec("chdb") is None:
        unavailable("the engine of ClickHouse is not installed: pip install chdb-core")
    database = f"dlmon_test_{secrets.token_hex(6)}"
    with clickhouse_connect.get_client(interface="chdb") as client:
        client.command(f"CREATE DATABASE {database}")
        engine = Engine(database)
        yield engine
        engine.client.close()
        client.command(f"DROP DATABASE {database}")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL is given each batch by COPY first, however small it is."""
    monkeypatch.setattr(copying, "FEWEST", 1)
    monkeypatch.setattr(copying, "_PAUSE", 1)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Of the kind that the test is parametrized with."""
    kind = request.param
    if kind.startswith("postgresql"):
        if kind == "postgresql by COPY":
            request.getfixturevalue("copied")
        postgres: PostgresPlace = request.getfixturevalue("postgres")
        return postgres
    if kind == "webhook":
        return WebhookPlace(request.getfixturevalue("webhook"))
    if kind == "ndjson":
        return NdjsonPlace(tmp_path / "events.ndjson")
    return SqlitePlace(tmp_path / "events.db")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with open_store(place.address) as store:
        yield store

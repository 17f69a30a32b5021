"""ClickHouse: the client over the engine of a server, which chdb-core runs in this process."""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from dlmon.config.secrets import Secret
from dlmon.config.urls import StoreAddress, parse_store
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores import open_reader, open_store
from dlmon.stores.base import write_isolating
from dlmon.stores.clickhouse import CREATE, ClickhouseStore
from tests.support.clickhouse import Engine
from tests.support.events import make_body, make_entry
from tests.support.node import free_port


@pytest.fixture
def store(engine: Engine) -> Iterator[ClickhouseStore]:
    with engine.open() as store:
        yield store


def test_an_event_is_stored_in_typed_columns_and_byte_for_byte(
    store: ClickhouseStore, engine: Engine
) -> None:
    times = ["1900-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2299-12-31T23:59:59.999999Z"]
    bodies = [b" " + make_body(timestamp=text, note="é \0 \"'\\") for text in times]
    entries = [make_entry(body) for body in bodies]
    assert store.write(entries).stored == entries
    assert not store.write([]).stored
    found = engine.rows(
        "SELECT toUnixTimestamp64Micro(timestamp), event_id, latitude, longitude, file_size, "
        "download_speed, body FROM dlmon_events ORDER BY timestamp"
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row, text, entry in zip(found, times, entries, strict=True):
        seconds = datetime.fromisoformat(text) - epoch
        at = (seconds.days * 86_400 + seconds.seconds) * 10**6 + seconds.microseconds
        values = (at, entry.event_id, 51.935739, -8.38847, 1_596_500, 12.772, entry.body.decode())
        assert row == values


def test_a_batch_that_is_written_again_is_there_once(
    store: ClickhouseStore, engine: Engine
) -> None:
    entries = [make_entry(make_body()) for _ in range(3)]
    store.write(entries)
    store.write(entries)
    with engine.open() as other:  # as after a kill between the insert and its acknowledgement
        other.write(entries)
    assert engine.count() == 3


def test_an_event_that_is_written_again_in_another_batch_is_one_when_it_is_read(
    store: ClickhouseStore, engine: Engine
) -> None:
    again, other = make_entry(make_body()), make_entry(make_body())
    store.write([again])
    store.write([again, other])
    assert sorted(engine.bodies()) == sorted([again.body, other.body])
    engine.client.command("OPTIMIZE TABLE dlmon_events FINAL")
    assert engine.count() == 2


def test_of_two_events_with_one_id_neither_replaces_the_other(
    store: ClickhouseStore, engine: Engine
) -> None:
    first = make_entry(make_body())
    second = make_entry(make_body(event_id=first.event_id, file_size=1))
    store.write([first])
    store.write([second])
    engine.client.command("OPTIMIZE TABLE dlmon_events FINAL")
    assert sorted(engine.bodies()) == sorted([first.body, second.body])


@pytest.mark.parametrize("time", ["1899-12-31T23:59:59Z", "2300-01-01T00:00:00Z"])
def test_a_time_that_the_server_would_change_is_refused(
    store: ClickhouseStore, engine: Engine, time: str
) -> None:
    entry = make_entry(make_body(timestamp=time))
    ((refused, violation),) = store.write([entry]).refused
    assert refused is entry
    assert violation.code == "unstorable"
    assert "1900 to 2299" in violation.reason
    assert engine.bodies() == []


def test_an_event_that_a_constraint_refuses_is_found_among_its_neighbours(
    store: ClickhouseStore, engine: Engine
) -> None:
    engine.client.command(
        "ALTER TABLE dlmon_events ADD CONSTRAINT no_thirteens CHECK file_size != 13"
    )
    entries = [make_entry(make_body(file_size=size)) for size in range(11, 16)]
    with pytest.raises(EventsRefused, match="no_thirteens"):
        store.write(entries)
    assert engine.bodies() == []
    parts = list(write_isolating(store, [entries]))
    assert [entry for part in parts for entry, _ in part.refused] == [entries[2]]
    assert len(engine.bodies()) == 4


def test_a_table_that_is_gone_holds_the_events_and_is_made_again(
    store: ClickhouseStore, engine: Engine
) -> None:
    entry = make_entry(make_body())
    engine.client.command("DROP TABLE dlmon_events")
    with pytest.raises(StoreUnavailable, match="dlmon_events"):
        store.write([entry])
    assert store.write([entry]).stored == [entry]
    assert engine.bodies() == [entry.body]


def test_a_table_of_something_else_is_left_alone(engine: Engine) -> None:
    engine.client.command("CREATE TABLE dlmon_events (body String) ENGINE = Memory")
    with pytest.raises(StoreUnavailable, match="lacks event_id String, timestamp DateTime64"):
        engine.open()


def test_a_server_that_is_not_there_is_unavailable_and_the_password_stays_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for address in (
        StoreAddress(f"clickhouse://ada:s3cret@127.0.0.1:{free_port()}/events"),
        StoreAddress(f"clickhouses://ada@127.0.0.1:{free_port()}/events", Secret("s3cret")),
    ):
        with pytest.raises(StoreUnavailable, match="refused") as caught:
            open_store(address)
        assert "s3cret" not in str(caught.value)
    assert not caplog.records, "the client logs, too, what is raised"


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://ada:s3cret@db",
        "clickhouse://db/",
        "clickhouse:///x",
        "clickhouse://db/a?s3cret=1",
    ],
)
def test_a_url_that_is_not_complete_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match="clickhouse://USER") as caught:
        open_store(StoreAddress(parse_store(url)))
    assert "s3cret" not in str(caught.value)


def test_a_url_says_how_to_connect() -> None:
    calls: list[dict[str, Any]] = []

    def connect(**parameters: Any) -> Client:
        calls.append(parameters)
        raise clickhouse_connect.driver.exceptions.OperationalError("no")

    for url in ("clickhouses://a%40b:p%2Fw@db/x", "clickhouse://db:9/x?secure=1"):
        with pytest.raises(StoreUnavailable):
            ClickhouseStore(StoreAddress(url), connect=partial(connect))
    first, second = calls
    assert (first["username"], first["password"], first["port"]) == ("a@b", "p/w", 8443)
    assert (second["secure"], second["port"]) == (True, 9)
    assert first["database"] == second["database"] == "x"
    with pytest.raises(SettingsError, match=r"^Cannot use the CA file /missing\.pem: "):
        ClickhouseStore(StoreAddress("clickhouses://db/x?ca_cert=/missing.pem"))


def test_a_proxy_is_used_with_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        monkeypatch.setenv("ALL_PROXY", f"http://ada:s%40cret@127.0.0.1:{port}")
        asked = Future[bytes]()

        def answer() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.set_result(connection.recv(65536))

        Thread(target=answer, daemon=True).start()
        with pytest.raises(StoreUnavailable) as caught:
            open_store(StoreAddress("clickhouses://db.example/events"))
        text = asked.result(timeout=10)
    assert text.startswith(b"CONNECT db.example:8443 ")
    assert f"Basic {b64encode(b'ada:s@cret').decode()}".encode() in text
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "http://u:s3cret@:x"),
        ("all_proxy", "socks5h://u:s3cret@proxy:1080"),
        ("SSLKEYLOGFILE", "/s3cret/missing/keys"),
        ("SSL_CERT_FILE", "/s3cret/missing.pem"),
    ],
)
def test_a_variable_that_cannot_be_used_is_told_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable} ") as caught:
        open_store(StoreAddress("clickhouses://127.0.0.1:1/events"))
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    with pytest.raises(StoreUnavailable, match="refused"):
        open_store(StoreAddress("clickhouse://127.0.0.1:1/events"))


def test_the_documented_sql_runs(store: ClickhouseStore, engine: Engine) -> None:
    page = Path(__file__).parents[2].joinpath("docs/stores.md").read_text()
    create, question = re.findall(
        r"```sql\n(.*?)```", page.partition("## ClickHouse")[2], re.DOTALL
    )[:2]
    assert create.strip().rstrip(";") == CREATE.strip()
    store.write([make_entry(make_body(download_speed=speed)) for speed in range(1, 102)])
    assert engine.rows(question.strip().rstrip(";")) == [
        (datetime(2026, 3, 1, 12), 101, [11.0, 51.0, 91.0])
    ]


def test_who_follows_a_store_is_told_which_can_be_followed() -> None:
    with pytest.raises(SettingsError, match="SQLite and PostgreSQL"):
        open_reader(StoreAddress("clickhouse://db/events"))

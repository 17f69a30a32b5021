"""`consume` with stores that are somewhere else, as a process of its own, over the local broker."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.config.urls import StoreAddress
from dlmon.errors import ExitCode, UsageError
from dlmon.event import id_from_body
from dlmon.messages import Message, Queue
from dlmon.rejects.rejection import from_delivery
from dlmon.stores import open_store
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.conftest import settings_for
from tests.stores.conftest import PostgresPlace, WebhookPlace
from tests.support.dlmon import Dlmon
from tests.support.events import make_body, make_entry
from tests.support.messages import PATIENCE
from tests.support.metrics import samples
from tests.support.node import free_port
from tests.support.postgres import PostgresServer
from tests.support.webhook import Answer, Webhook


@pytest.fixture
def settings(tmp_path: Path, namespace: str) -> Settings:
    return settings_for(f"sqlite:///{tmp_path}/broker.db", namespace, tmp_path)


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)


def publish(settings: Settings, bodies: Sequence[bytes]) -> None:
    with open_broker(settings) as broker:
        broker.publish(Queue.ARRIVALS, [[Message(body, id_from_body(body)) for body in bodies]])


def parked(settings: Settings) -> list[tuple[bytes, str, str]]:
    validator = Validator(load_schema())
    with open_broker(settings) as broker, broker.open_reader(Queue.REJECTS) as reader:
        rejections = [from_delivery(delivery, validator) for delivery in reader.read(10_000)]
        return [(each.body, each.code, each.reason) for each in rejections]


@contextmanager
def running(dlmon: Dlmon, *arguments: str) -> Iterator[Popen[str]]:
    with dlmon.start(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], process: Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_events_survive_a_postgresql_that_restarts_again_and_again(
    dlmon: Dlmon, settings: Settings, breakable: PostgresPlace, postgres_server: PostgresServer
) -> None:
    bodies = [make_body() for _ in range(4000)]
    publish(settings, bodies)
    open_store(breakable.address).close()  # so that there is a table to look at
    url = breakable.address.url
    with running(dlmon, "consume", "--store", url, "--until-empty", "--batch", "20") as process:
        for seen in (20, 1000, 2000):
            wait_until(partial(breakable.has, seen), process)
            postgres_server.kill()
            postgres_server.start()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == ExitCode.DONE
    assert sorted(breakable.bodies()) == sorted(bodies)
    assert "Trying again; 20 events are held." in errors
    assert parked(settings) == []


def test_what_was_consumed_is_reported(dlmon: Dlmon, postgres: PostgresPlace) -> None:
    with open_store(postgres.address) as store:
        store.write([make_entry(make_body()) for _ in range(3)])
    when = ("--since", "2026-03-01", "--until", "2026-03-02")
    arguments = ("report", "--store", postgres.address.url, *when, "--output", "json")
    assert json.loads(dlmon(*arguments, "--exact").stdout)["total"]["count"] == 3
    count, deadline = 0, time.monotonic() + PATIENCE
    while not count and time.monotonic() < deadline:  # while a transaction of another test is open
        count = json.loads(dlmon(*arguments).stdout)["total"]["count"]
    assert count == 3


def test_a_consumer_deletes_what_is_older_than_it_is_to_keep(
    dlmon: Dlmon, settings: Settings, postgres: PostgresPlace
) -> None:
    old, new = make_body(), make_body()
    with open_store(postgres.address) as store:
        store.write([make_entry(old)])
    postgres.execute("UPDATE dlmon_events SET stored_at = now() - interval '31 days'")
    publish(settings, [new])
    arguments = ("consume", "--store", postgres.address.url, "--until-empty")
    assert dlmon(*arguments).returncode == ExitCode.DONE
    assert postgres.bodies() == [old, new]
    done = dlmon(*arguments, "--keep", "30d")
    assert done.returncode == ExitCode.DONE
    assert postgres.bodies() == [new]
    assert "Deleted 1 events that were stored before " in done.stderr
    assert "1 events deleted from the store, because they were older than --keep." in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_consumer_empties_no_store_until_that_is_confirmed(
    dlmon: Dlmon, settings: Settings, tmp_path: Path, workers: str
) -> None:
    path = tmp_path / "events.db"
    with open_store(StoreAddress(f"sqlite:///{path}")) as store:
        store.write([make_entry(make_body()) for _ in range(10)])
    time.sleep(1)
    publish(settings, [make_body()])
    arguments = ("consume", "--store", f"sqlite:///{path}", "--keep", "1s", "--workers", workers)
    done = dlmon(*arguments, "--until-empty")
    assert done.returncode == ExitCode.DONE
    assert "--keep deletes nothing: all events would go" in done.stderr
    assert stored(path) == 11
    port = free_port()
    with running(dlmon, *arguments, "--confirm-keep", "--metrics", str(port)) as process:
        wait_until(lambda: samples(port).get("dlmon_events_deleted_total", 0) >= 10, process)
        process.terminate()
        _, said = process.communicate(timeout=90)
    assert stored(path) <= 1
    assert "events deleted from the store" in said


def stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(events)


def test_a_consumer_says_where_it_stores_and_no_password(
    dlmon: Dlmon, postgres: PostgresPlace
) -> None:
    url = urlsplit(postgres.address.url)
    user, secret, host = url.username, url.password or "s3cret", url.netloc.rpartition("@")[2]
    store = url._replace(netloc=f"{user}:{secret}@{host}").geturl()
    done = dlmon("consume", "--store", store, "--until-empty")
    assert done.returncode == ExitCode.DONE
    assert f"into postgresql://{user}:***@" in done.stderr
    assert f":{secret}@" not in done.stderr
    refused = dlmon("consume", "--store", "postgresql://ada:s3cret@127.0.0.1:1/events")
    assert refused.returncode == ExitCode.STORE
    assert refused.stderr.startswith("dlmon: The store postgresql://ada:***@127.0.0.1:1/events ")
    assert "s3cret" not in refused.stderr


def test_events_wait_for_a_webhook_that_fails_and_only_those_it_refuses_are_parked(
    dlmon: Dlmon, settings: Settings, webhook: Webhook
) -> None:
    bodies = [make_body(file_size=size) for size in range(100)]
    publish(settings, bodies)
    place = WebhookPlace(webhook)
    webhook.reply(Answer(503, headers={"Retry-After": "1"}), Answer(500), Answer(0))
    with running(dlmon, "consume", "--store", webhook.url, "--until-empty") as process:
        wait_until(lambda: len(webhook.posts) >= 3, process)
        place.be_picky()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == ExitCode.DONE
    assert place.bodies() == bodies[:13] + bodies[14:]
    assert parked(settings) == [(bodies[13], "unstorable", "the webhook answers 422: no thirteens")]
    assert "it answers 503. Trying again; 100 events are held." in errors
    assert f"into http://{webhook.authority}/***." in errors


def test_log_rotation_makes_a_new_file_and_ends_no_consumer(
    dlmon: Dlmon, settings: Settings, tmp_path: Path
) -> None:
    path, rotated = tmp_path / "events.ndjson", tmp_path / "events.ndjson.1"
    first, second = make_body(), make_body()
    with running(dlmon, "consume", "--store", f"ndjson:{path}") as process:
        publish(settings, [first])
        wait_until(lambda: path.exists() and path.read_bytes() == first + b"\n", process)
        path.rename(rotated)
        process.send_signal(signal.SIGHUP)
        publish(settings, [second])
        wait_until(lambda: path.exists() and second in path.read_bytes().splitlines(), process)
        process.terminate()
        assert process.wait(timeout=PATIENCE) == ExitCode.DONE
    assert rotated.read_bytes() == first + b"\n"
    # The file may have been renamed before the consumer saw that its write was in the current one.
    assert path.read_bytes().splitlines() in ([second], [first, second])


@pytest.mark.parametrize(
    ("url", "library", "extra"),
    [
        ("postgresql://db/events", "psycopg", "postgres"),
        ("https://example.com/events", "httpx", "webhook"),
    ],
)
def test_an_extra_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, library: str, extra: str
) -> None:
    for module in [*sys.modules]:
        if module.startswith(("dlmon.stores.postgresql", "dlmon.stores.webhook")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"pip install 'dlmon\[{extra}\]'"):
        open_store(StoreAddress(url))

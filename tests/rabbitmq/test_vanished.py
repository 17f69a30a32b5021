"""Rejects that RabbitMQ drops by a policy, behind dlmon's back: said, wherever it can be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Depth, Reader
from dlmon.brokers.counts import ParkedCount, count_vanished
from dlmon.brokers.rabbitmq.topology import older_queue_arguments
from dlmon.commands.doctor import diagnose
from dlmon.commands.inspect_rejects import look as look_at_rejects
from dlmon.commands.status import look
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.console.rejects.summary import Notes
from dlmon.messages import Queue
from dlmon.rejects.filters import RejectFilter
from dlmon.runtime.stop import Stop
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.messages import make_messages, wait_until
from tests.support.node import PrivateNode

MISSING = "messages are missing from"


@pytest.fixture
def dropping(private_node: PrivateNode, private_settings: Settings) -> Iterator[Settings]:
    """Rejects of an early release, and a policy that has them drop all but 50."""
    namespace = private_settings.namespace
    arguments = older_queue_arguments(Names(namespace), Queue.REJECTS)
    with raw_channel(private_node.url) as channel:
        channel.queue_declare(f"{namespace}.rejects", durable=True, arguments=arguments)
    private_node.ctl("set_policy", "for-others", f"^{namespace}.rejects$", '{"max-length": 50}')
    yield private_settings
    private_node.ctl("clear_policy", "for-others")


@pytest.fixture
def expiring(private_node: PrivateNode, private_settings: Settings) -> Iterator[Settings]:
    """A policy that has messages expire after a second."""
    namespace = private_settings.namespace
    private_node.ctl("set_policy", "for-others", f"^{namespace}", '{"message-ttl": 1000}')
    yield private_settings
    private_node.ctl("clear_policy", "for-others")


@pytest.mark.slow
def test_consume_says_that_rejects_are_missing_that_it_has_parked(
    dropping: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(dropping, tmp_path)
    made = dlmon("produce", "--count", "120", "--rate", "0", "--fault", "file-size-missing")
    assert made.returncode == 0, made.stderr
    done = dlmon("consume", "--until-empty", "--store", "ndjson:stored")
    assert done.returncode == 0, done.stderr
    assert f"WARNING dlmon.commands.consume: 70 {MISSING} the rejects queue" in done.stderr
    assert "see `dlmon doctor`" in done.stderr


@pytest.mark.slow
def test_consume_says_nothing_where_all_are_there(
    private_settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(private_settings, tmp_path)
    for _ in range(2):
        dlmon("produce", "--count", "60", "--rate", "0", "--fault", "file-size-missing")
        done = dlmon("consume", "--until-empty", "--store", "ndjson:stored")
        assert MISSING not in done.stderr
        assert dlmon("inspect-rejects").stderr == ""


def test_status_says_that_messages_have_vanished_between_two_looks(expiring: Settings) -> None:
    with open_broker(expiring) as broker:
        broker.publish(Queue.REJECTS, [make_messages(20)])
        first = look(broker)
        assert first.depths[Queue.REJECTS].ready == 20
        wait_until(lambda: broker.depth(Queue.REJECTS).ready == 0)
        second = look(broker, first)
        assert second.vanished == {Queue.REJECTS: 20}
        assert look(broker, second).vanished == {}


def purge(url: str, namespace: str) -> None:
    with raw_channel(url) as channel:
        channel.queue_purge(f"{namespace}.rejects")


@pytest.mark.slow
def test_a_watch_says_it_to_people_and_to_programs(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str, tmp_path: Path
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(20)])
        with (
            dlmon.start("status", "--json", "--watch") as programs,
            dlmon.start("status", "--watch") as people,
        ):
            assert programs.stdout is not None
            assert people.stdout is not None
            assert json.loads(programs.stdout.readline())["rejects"]["vanished"] == 0
            assert people.stdout.readline()
            people.stdout.readline()
            assert "20 ready" in people.stdout.readline()
            purge(rabbitmq_url, namespace)
            assert json.loads(programs.stdout.readline())["rejects"]["vanished"] == 20
            shown = "".join(people.stdout.readline() for _ in range(4))
            assert f"20 {MISSING} {namespace}.rejects" in shown
            programs.terminate()
            people.terminate()


def test_a_look_says_that_rejects_went_before_it_could_see_them(
    rabbitmq_settings: Settings,
    rabbitmq_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(7)])
        open_reader = broker.open_reader

        def too_late(queue: Queue, limit: int | None = None) -> Reader:
            purge(rabbitmq_url, namespace)
            return open_reader(queue, limit)

        monkeypatch.setattr(broker, "open_reader", too_late)
        found = look_at_rejects(
            broker,
            Validator(load_schema()),
            RejectFilter(),
            lambda _: None,
            stop=Stop(),
            on_progress=lambda _looked, _total: None,
        )
    assert (found.looked, found.vanished, found.partial) == (0, 7, False)
    Notes(found).show()
    assert f"7 {MISSING} the rejects queue" in capsys.readouterr().err.replace("\n", " ")


def test_doctor_says_it_when_the_count_falls_while_it_looks(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(7)])
    warnings = []
    for check in diagnose(rabbitmq_settings, Stop()):
        if check.name == f"policies of {namespace}.rejects":
            purge(rabbitmq_url, namespace)
        if check.warning:
            warnings.append(check.text)
    [warning] = warnings
    assert warning.startswith(f"7 {MISSING} {namespace}.rejects")


@pytest.mark.parametrize(
    ("before", "now", "added", "vanished"),
    [
        (Depth(10, None), Depth(10, None), 0, 0),
        (Depth(10, None), Depth(4, None), 0, 6),
        (Depth(10, None), Depth(10, None), 5, 5),
        (Depth(10, None), Depth(20, None), 5, 0),  # others have added some
        (Depth(10, None, 1), Depth(4, None), 0, 0),  # a reader may have taken them
        (Depth(10, None), Depth(4, None, 1), 0, 0),
        (Depth(10, 3), Depth(4, 0), 0, 0),
    ],
)
def test_what_a_consumer_or_reader_may_have_taken_is_not_missing(
    before: Depth, now: Depth, added: int, vanished: int
) -> None:
    assert count_vanished(before, now, added) == vanished


def test_rejects_that_are_replayed_meanwhile_are_not_missing(
    rabbitmq_settings: Settings,
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        parked = ParkedCount(broker, Stop())
        parked.before_parking()
        broker.publish(Queue.REJECTS, [make_messages(10)])
        parked.add(10)
        with broker.open_reader(Queue.REJECTS) as reader:
            reader.acknowledge(reader.read(10))
            assert parked.vanished(due=False) == 0
        assert parked.vanished(due=False) == 0

"""What networks do to connections, while both sides are at work on the other side of a proxy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.rabbitmq import publisher
from dlmon.brokers.rabbitmq.publisher import WINDOW
from dlmon.messages import Message, Queue
from tests.conftest import settings_for
from tests.rabbitmq.faults.conftest import LOST, Reconciled, both_sides_go_on, settled
from tests.support.messages import PATIENCE, make_messages
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually
from tests.support.proxy import Proxy


@contextmanager
def swallowing(proxy: Proxy) -> Iterator[None]:
    proxy.swallow()
    yield
    proxy.heal()


def test_connections_that_are_reset(
    proxy: Proxy, proxied: Pipeline, reconciled: Reconciled
) -> None:
    producer = proxied.produce("--rate", "2000", "--invalid", "5%")
    consumer = proxied.consume()
    for _ in range(3):
        proxied.goes_on()
        proxy.reset()
    proxied.goes_on()
    assert LOST in producer.said
    assert LOST in consumer.said
    assert producer.stop() == 0, producer.said
    proxied.takes_all()  # a slow disk confirms what is parked late, and a stop waits for 4 s
    assert consumer.stop() == 0, consumer.said
    reconciled(proxied)


def test_a_network_that_swallows_everything(
    proxy: Proxy, proxied: Pipeline, reconciled: Reconciled
) -> None:
    both_sides_go_on(proxied, reconciled, swallowing(proxy))


def test_confirms_that_are_lost(
    proxy: Proxy,
    proxied: Pipeline,
    reconciled: Reconciled,
) -> None:
    producer = proxied.produce("--rate", "0", "--count", "20000")
    eventually(lambda: proxied.confirmed > 2_000)
    proxy.swallow(to_server=False, of=b"publishing")
    confirmed = settled(lambda: proxied.confirmed)
    # The broker has what the producer does not know of: no more than its window.
    arrivals = settled(lambda: proxied.ready("arrivals"))
    assert confirmed < arrivals <= confirmed + WINDOW
    proxy.heal()
    assert producer.ends() == 0, producer.said
    reconciled(proxied)
    assert 0 < proxied.duplicates <= WINDOW


def test_a_network_that_is_slow_and_slices(
    proxy: Proxy, proxied: Pipeline, reconciled: Reconciled
) -> None:
    proxy.slow_down(97, 0.001)
    producer = proxied.produce("--rate", "0", "--count", "500", "--invalid", "5%")
    consumer = proxied.consume("--count", "500")
    assert producer.ends() == 0, producer.said
    assert consumer.ends() == 0, consumer.said
    assert LOST not in producer.said + consumer.said
    proxy.heal()
    reconciled(proxied)
    assert proxied.duplicates == 0


def test_a_broker_that_confirms_nothing_is_told_of_with_how_long_it_has_not(
    private_node: PrivateNode,
    proxy: Proxy,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(publisher, "WARN_EVERY", 1.0)

    def told() -> list[int]:
        return [int(seconds) for seconds in re.findall(r"nothing for (\d+) s; 3 ", caplog.text)]

    def batches() -> Iterator[Sequence[Message]]:
        proxy.swallow(to_server=False)
        yield make_messages(3)
        deadline = time.monotonic() + PATIENCE
        while len(told()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
            yield ()
        proxy.heal()

    settings = settings_for(proxy.url(private_node.url), namespace, tmp_path)
    with open_broker(settings) as broker:
        assert broker.publish(Queue.ARRIVALS, [make_messages(1)]) == 1
        assert broker.publish(Queue.ARRIVALS, batches()) == 3
    first, second = told()
    assert 1 <= first < second

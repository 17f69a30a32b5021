"""What networks do to connections, while both sides are at work on the other side of a proxy."""

from __future__ import annotations

import time
from collections.abc import Callable

from dlmon.brokers.rabbitmq.publication import WINDOW
from dlmon.settings import Settings
from tests.rabbitmq.faults.conftest import Reconciled
from tests.rabbitmq.faults.test_broker import LOST, NOTICED_WITHIN
from tests.support.amqp import raw_channel
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually
from tests.support.proxy import Proxy


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
    assert consumer.stop() == 0, consumer.said
    reconciled(proxied)


def test_a_network_that_swallows_everything(
    proxy: Proxy, proxied: Pipeline, reconciled: Reconciled
) -> None:
    producer = proxied.produce("--rate", "2000", "--invalid", "5%")
    consumer = proxied.consume()
    proxied.goes_on()
    started = time.monotonic()
    proxy.swallow()
    for side in (producer, consumer):
        side.says(LOST, NOTICED_WITHIN + 1)
    noticed = time.monotonic() - started
    proxy.heal()
    proxied.goes_on()
    assert producer.stop() == 0, producer.said
    assert consumer.stop() == 0, consumer.said
    reconciled(proxied, **{"s until noticed": noticed})


def test_confirms_that_are_lost(
    private_node: PrivateNode,
    private_settings: Settings,
    proxy: Proxy,
    proxied: Pipeline,
    reconciled: Reconciled,
) -> None:
    producer = proxied.produce("--rate", "0", "--count", "20000")
    eventually(lambda: proxied.confirmed > 2_000)
    proxy.swallow(to_server=False, of=b"publishing")
    confirmed = _settled(lambda: proxied.confirmed)
    # The broker has what the producer does not know of: no more than its window.
    arrivals = _settled(lambda: _arrivals(private_node, private_settings))
    assert confirmed < arrivals <= confirmed + WINDOW
    proxy.heal()
    assert producer.ends() == 0, producer.said
    reconciled(proxied)
    assert 0 < proxied.duplicates <= WINDOW


def test_a_network_that_is_slow_and_slices(
    proxy: Proxy, proxied: Pipeline, reconciled: Reconciled
) -> None:
    proxy.slow_down(97, 0.001)
    producer = proxied.produce("--rate", "0", "--count", "1000", "--invalid", "5%")
    consumer = proxied.consume("--count", "1000")
    assert producer.ends() == 0, producer.said
    assert consumer.ends() == 0, consumer.said
    assert LOST not in producer.said + consumer.said
    proxy.heal()
    reconciled(proxied)
    assert proxied.duplicates == 0


def _settled(count: Callable[[], int]) -> int:
    """A number, once it has stayed the same for half a second."""
    seen, since = count(), time.monotonic()

    def stays() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    eventually(stays)
    return seen


def _arrivals(node: PrivateNode, settings: Settings) -> int:
    """How many messages the node has in arrivals."""
    with raw_channel(node.url) as channel:
        declared = channel.queue_declare(f"{settings.namespace}.arrivals", passive=True)
        return int(declared.method.message_count)

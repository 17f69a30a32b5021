"""What networks do to connections, while both sides are at work on the other side of a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dlmon.brokers.rabbitmq.publication import WINDOW
from tests.rabbitmq.faults.conftest import LOST, Reconciled, both_sides_go_on, settled
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

"""RabbitMQ and the local broker, behind one contract."""

from __future__ import annotations

from collections.abc import Iterator

from dlmon.brokers.base import Broker, Check
from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from dlmon.runtime.stop import Stop


def open_broker(settings: Settings, stop: Stop | None = None) -> Broker:
    """Connect to the configured broker and declare the topology.

    Waits up to `settings.wait` seconds for one that does not answer; `stop` ends the wait.

    Raises: BrokerUnreachable, BrokerRefused, TopologyMismatch, Interrupted.
    """
    if isinstance(settings.broker, LocalAddress):
        from dlmon.brokers.local import LocalBroker

        return LocalBroker(settings.broker.path, settings.names, stop)
    from dlmon.brokers.rabbitmq import RabbitMQBroker

    return RabbitMQBroker(settings, stop)


def feeds_itself(source: Settings, target: Settings, stop: Stop) -> bool:
    """Whether what is published to the arrivals of `target` comes to the arrivals of `source`,
    because two addresses lead to one RabbitMQ.

    Raises: BrokerUnreachable, BrokerRefused, Interrupted.
    """
    if isinstance(source.broker, LocalAddress) or isinstance(target.broker, LocalAddress):
        return False
    from dlmon.brokers.rabbitmq.identity import feeds_itself as feeds_itself_there

    return feeds_itself_there(source, target, stop)


def diagnose_broker(settings: Settings, stop: Stop) -> Iterator[Check]:
    """Check the configured broker step by step, and change nothing.

    A step that depends on one that failed is left out.
    """
    if isinstance(settings.broker, LocalAddress):
        from dlmon.brokers.local.diagnostics import diagnose as diagnose_local

        yield from diagnose_local(settings.broker.path, settings.names, stop)
    else:
        from dlmon.brokers.rabbitmq.diagnostics import diagnose

        yield from diagnose(settings, stop)

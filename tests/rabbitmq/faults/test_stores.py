"""Stores that are slow or that fail for a while: the batch is held, nothing is acknowledged or
given back, and the connection lives on.

What is given back once, after five minutes, is tested by tests/contract/test_consume_flow.py; a
PostgreSQL that restarts and a webhook that fails by tests/stores/test_consume.py. Events that
satisfy the schema and fit no store are among the invalid ones of every test of faults.
"""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest

from tests.rabbitmq.faults.conftest import HEARTBEAT, LOST, Reconciled
from tests.support.metrics import samples
from tests.support.node import free_port
from tests.support.pipeline import Pipeline, Running, eventually


@contextmanager
def locked(pipeline: Pipeline, consumer: Running) -> Iterator[None]:
    with closing(sqlite3.connect(pipeline.store, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN EXCLUSIVE")
        consumer.says("another process keeps it locked")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(pipeline: Pipeline, consumer: Running) -> Iterator[None]:
    """The file may not grow, as on a disk that is full."""
    _, most = resource.prlimit(consumer.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(consumer.process.pid, resource.RLIMIT_FSIZE, (8192, most))
    consumer.says("cannot be used")
    yield
    resource.prlimit(consumer.process.pid, resource.RLIMIT_FSIZE, (most, most))


Failing = Callable[[Pipeline, Running], AbstractContextManager[None]]


@pytest.mark.parametrize("failing", [locked, full])
def test_a_store_that_fails_for_a_while(
    pipeline: Pipeline, reconciled: Reconciled, failing: Failing
) -> None:
    port = free_port()
    producer = pipeline.produce("--rate", "500", "--invalid", "5%")
    consumer = pipeline.consume("--metrics", str(port))
    pipeline.goes_on()
    with failing(pipeline, consumer):
        # Longer than a peer may be silent.
        time.sleep(3 * HEARTBEAT)
        assert "Works again" not in consumer.said
    consumer.says("Works again")
    pipeline.goes_on()
    assert producer.stop() == 0, producer.said
    pipeline.takes_all()
    assert samples(port)["dlmon_events_redelivered_total"] == 0
    assert consumer.stop() == 0, consumer.said
    assert LOST not in consumer.said
    reconciled(pipeline)
    assert pipeline.duplicates == 0


def test_a_store_that_is_slower_than_two_heartbeats(
    pipeline: Pipeline, reconciled: Reconciled
) -> None:
    port = free_port()
    assert pipeline.produce("--rate", "0", "--count", "100", "--invalid", "5%").ends() == 0
    consumer = pipeline.consume_into(
        f"sleeps={3.5 * HEARTBEAT}", "--until-empty", "--metrics", str(port)
    )
    eventually(lambda: pipeline.stored > 0)
    assert consumer.ends() == 0, consumer.said
    assert LOST not in consumer.said
    reconciled(pipeline)
    assert pipeline.duplicates == 0

"""Producers and consumers that are killed or asked to stop, at any moment.

Killed between commit and acknowledgement, between park and acknowledgement, and with confirmed
events on the broker; four consumers of which some are killed at random; an event that kills each
consumer that gets it; signals at any moment, also while a store hangs.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import dlmon
from dlmon.sources.base import VALID
from tests.rabbitmq.faults.conftest import Reconciled, settled
from tests.support.ledger import read_ledger
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, Running, eventually
from tests.support.proxy import Proxy
from tests.support.thorough import repetitions

_PACKED = pytest.mark.parametrize("packed", ["1", "100"], ids=["single", "packed"])
"""Events in each message."""


@_PACKED
def test_a_consumer_killed_after_the_commit_and_before_its_acknowledgement(
    private_node: PrivateNode, proxy: Proxy, proxied: Pipeline, reconciled: Reconciled, packed: str
) -> None:
    broker = ("--broker", private_node.url)
    events = ("--rate", "1000", "--invalid", "5%", "--events-per-message", packed)
    producer = proxied.produce(*broker, *events)
    for _ in range(repetitions(ordinary=2, thorough=10)):
        consumer = proxied.consume("--batch", "50")
        proxied.goes_on(100)
        proxy.swallow(to_client=False, of=b"consuming")
        settled(lambda: proxied.stored)
        consumer.kill()
        proxy.heal()
    assert producer.stop() == 0, producer.said
    reconciled(proxied)
    assert proxied.duplicates > 0


@_PACKED
def test_a_consumer_killed_after_the_park_and_before_its_acknowledgement(
    private_node: PrivateNode, proxy: Proxy, proxied: Pipeline, reconciled: Reconciled, packed: str
) -> None:
    broker = ("--broker", private_node.url)
    events = ("--rate", "500", "--invalid", "20%", "--events-per-message", packed)
    producer = proxied.produce(*broker, *events)
    parked = 0
    for _ in range(repetitions(ordinary=2, thorough=10)):
        consumer = proxied.consume("--batch", "50")
        consumer.says("Rejected")  # so that it has a connection to park with
        proxy.swallow(to_server=False, of=b"publishing")
        # It waits for the confirm of a park, and the broker has what was parked.
        settled(lambda: proxied.stored)
        consumer.kill()
        proxy.heal()
        parked = max(parked, proxied.ready("rejects"))
    assert producer.stop() == 0, producer.said
    assert parked > 0
    reconciled(proxied)


def test_four_consumers_and_two_producers_of_which_any_is_killed_at_random(
    pipeline: Pipeline, reconciled: Reconciled
) -> None:
    chance = random.Random(25)
    produce = ("--rate", "500", "--invalid", "5%")
    packed = (*produce, "--events-per-message", "100")
    producers = [pipeline.produce(*produce), pipeline.produce(*packed)]
    consumers = [pipeline.consume("--batch", "50") for _ in range(4)]
    pipeline.goes_on()
    over = time.monotonic() + repetitions(ordinary=8, thorough=60)
    kills = 0
    while time.monotonic() < over:
        time.sleep(chance.uniform(0.2, 1.0))
        if chance.random() < 0.8:
            number = chance.randrange(2)  # the other two live on
            consumers[number].kill()
            consumers[number] = pipeline.consume("--batch", "50")
        else:
            number = chance.randrange(2)
            producers[number].kill()
            producers[number] = pipeline.produce(*(produce, packed)[number])
        kills += 1
    pipeline.goes_on()
    for running in (*producers, *consumers):
        running.says("ing ")  # producing or consuming: it has begun, and heeds signals
        assert running.stop() == 0, running.said
    reconciled(pipeline, kills=kills)


def test_a_producer_that_is_killed_has_on_the_broker_what_it_confirmed(
    pipeline: Pipeline, reconciled: Reconciled
) -> None:
    for _ in range(4):
        producer = pipeline.produce("--rate", "0", "--invalid", "5%")
        confirmed = pipeline.confirmed
        eventually(lambda before=confirmed: pipeline.confirmed > before)  # type: ignore[misc]
        producer.kill()
    reconciled(pipeline)


def interrupted_at_its_start(said: str) -> bool:
    """Whether Python tells of a Ctrl-C that came before any line of dlmon was run."""
    return "KeyboardInterrupt" in said and f"{Path(dlmon.__file__).parent}{os.sep}" not in said


def begun(said: str) -> bool:
    return "Producing" in said or "Consuming" in said


def ignored_at_its_start(running: Running) -> Callable[[str], bool]:
    """Whether a Ctrl-C that comes now is ignored before any line of dlmon is run.

    Python ignores it in callbacks, with a message; each import runs one. Coverage is loaded within
    `except: pass`, so where it measures, all that shows is that the command begins nevertheless.
    """
    measured = not {"COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"}.isdisjoint(os.environ)
    silently = measured and not begun(running.said)

    def ignored(said: str) -> bool:
        shown = "Exception ignored" in said and interrupted_at_its_start(said)
        return shown or (silently and begun(said))

    return ignored


def test_signals_at_any_moment(pipeline: Pipeline, reconciled: Reconciled) -> None:
    chance = random.Random(9)
    # Before the command has begun, Python's own ways hold.
    early = {-signal.SIGINT, -signal.SIGTERM}
    longest = 0.0
    codes: Counter[int] = Counter()
    steady = pipeline.produce("--rate", "500", "--invalid", "5%")
    numbers = (signal.SIGINT, signal.SIGTERM) * repetitions(ordinary=3, thorough=20)
    for place, number in enumerate(numbers):
        producer = pipeline.produce("--rate", "500", "--invalid", "5%")
        consumer = pipeline.consume()
        if place < 2:  # however long its start takes on a busy machine
            producer.says("Producing")
            consumer.says("Consuming")
        time.sleep(chance.uniform(0, 2.0))
        for running in (producer, consumer):
            started = time.monotonic()
            code = running.stop(number, again_if=ignored_at_its_start(running))
            longest = max(longest, time.monotonic() - started)
            ours = code not in early and not interrupted_at_its_start(running.said)
            story = f"{code} after {signal.Signals(number).name}:\n{running.said}"
            assert not ours or code in {0, 130}, story
            assert not ours or "Traceback" not in running.said, story
            codes[code] += 1
    assert codes[0] > 0, codes
    assert steady.stop() == 0
    reconciled(pipeline, **{"s until ended": longest})


def test_a_signal_while_the_store_hangs(pipeline: Pipeline, reconciled: Reconciled) -> None:
    producer = pipeline.produce("--rate", "0", "--count", "400", "--invalid", "5%")
    assert producer.ends() == 0
    for number in (signal.SIGTERM, signal.SIGINT):
        consumer = pipeline.consume_into("sleeps=3600")
        pipeline.takes_all()
        assert consumer.stop(number) == 130, consumer.said
        assert "unacknowledged events will be delivered again" in consumer.said
        eventually(lambda: pipeline.ready("arrivals") == 400)
    reconciled(pipeline)
    assert pipeline.duplicates == 0


def test_one_event_of_two_thousand_kills_each_consumer_and_goes_to_rejects_alone(
    pipeline: Pipeline,
) -> None:
    assert pipeline.produce("--rate", "0", "--count", "2000").ends() == 0
    planned, _ = read_ledger(pipeline.ledger)
    (poison, _) = sorted(planned)[1000]
    arguments = (f"dies-of={poison}", "--batch", "50", "--until-empty")
    killed = 0
    while (code := (consumer := pipeline.consume_into(*arguments)).ends()) != 0:
        assert code == 70, consumer.said
        killed += 1
        assert killed < 40
    eventually(lambda: pipeline.ready("rejects") == 1)
    found = pipeline.reconcile()
    assert found.unexpected == Counter({(poison, "undeliverable"): 1})
    assert not found.lost
    assert (found.stored, found.rejected) == (1999, 1)
    assert planned[poison, VALID] == 1
    assert killed > 20

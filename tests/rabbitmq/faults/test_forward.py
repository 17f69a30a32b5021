"""Events that were collected in a file and are forwarded, whatever happens on the way."""

from __future__ import annotations

from dlmon.brokers.base import Depth
from dlmon.brokers.local import LocalBroker
from dlmon.config.names import Names
from dlmon.messages import Queue
from tests.rabbitmq.faults.conftest import LOST, Reconciled
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually
from tests.support.thorough import repetitions

COLLECTED = ("--from", "sqlite:///van.db")


def test_what_a_van_collected_arrives_through_an_outage_kills_and_a_crash(
    private_node: PrivateNode, pipeline: Pipeline, reconciled: Reconciled
) -> None:
    count = 1_500 * repetitions(ordinary=4, thorough=20)
    collected = pipeline.produce(
        "--broker", "sqlite:///van.db", "--rate", "0", "--count", str(count), "--invalid", "5%"
    )
    assert collected.ends() == 0, collected.said
    assert pipeline.dlmon("status").returncode == 0  # and there are queues
    private_node.stop()
    forward = pipeline.start("forward", *COLLECTED, "--rate", "1500")
    forward.says(LOST)
    private_node.start()
    for _ in range(repetitions(ordinary=3, thorough=15)):
        seen = pipeline.ready("arrivals")
        eventually(lambda: pipeline.ready("arrivals") > seen + 200, story=lambda: pipeline.story)  # noqa: B023
        forward.kill()
        packing = ("--events-per-message", "20") if seen % 2 else ()
        forward = pipeline.start("forward", *COLLECTED, "--rate", "1500", *packing)
    private_node.kill()
    forward.says(LOST)
    private_node.start()
    with LocalBroker(pipeline.dlmon.folder / "van.db", Names(pipeline.namespace)) as van:
        eventually(lambda: van.depth(Queue.ARRIVALS) == Depth(0, 0), story=lambda: pipeline.story)
    assert forward.stop() == 0, forward.said
    reconciled(pipeline)
    assert pipeline.confirmed == count

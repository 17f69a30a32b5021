"""Queues that are full, or that are deleted, while both sides are at work.

What exists with other arguments is tested by tests/rabbitmq/test_topology.py, and what is refused
(login, virtual host, permission) by tests/rabbitmq/test_refusals.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dlmon.config.settings import Settings
from tests.rabbitmq.faults.conftest import Reconciled, settled
from tests.support.amqp import raw_channel
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually

FULL = (
    "reached its length limit. Empty it, or remove the limit, which a policy may set. Trying again;"
)


@contextmanager
def limit(node: PrivateNode, queue: str, length: int) -> Iterator[None]:
    """A queue that takes so many messages and refuses more."""
    definition = f'{{"max-length":{length},"overflow":"reject-publish"}}'
    node.ctl("set_policy", "--apply-to", "queues", queue, f"^{queue}$", definition)
    yield
    node.ctl("clear_policy", queue)


def test_arrivals_that_are_full(
    private_node: PrivateNode,
    private_settings: Settings,
    pipeline: Pipeline,
    reconciled: Reconciled,
) -> None:
    assert pipeline.produce("--count", "1").ends() == 0  # so that there is a queue
    with limit(private_node, f"{private_settings.namespace}.arrivals", 500):
        producer = pipeline.produce("--rate", "0", "--count", "5000", "--invalid", "5%")
        producer.says(FULL)
        held = settled(lambda: pipeline.ready("arrivals"))
        assert 500 <= held < 5_000
        consumer = pipeline.consume()
        assert producer.ends() == 0, producer.said
    pipeline.takes_all()
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline)
    assert pipeline.confirmed == 5_001


def test_rejects_that_are_full(
    private_node: PrivateNode,
    private_settings: Settings,
    pipeline: Pipeline,
    reconciled: Reconciled,
) -> None:
    assert pipeline.produce("--rate", "0", "--count", "3000", "--invalid", "20%").ends() == 0
    with limit(private_node, f"{private_settings.namespace}.rejects", 20):
        consumer = pipeline.consume("--batch", "100")
        consumer.says(FULL)
        settled(lambda: pipeline.ready("rejects"))
        # Those in hand are neither acknowledged nor given back: they can all be had again.
        taken = 3_000 - pipeline.ready("arrivals")
        stored = settled(lambda: pipeline.stored)
        consumer.kill()
        eventually(lambda: pipeline.ready("arrivals") > 3_000 - taken)
        back = settled(lambda: pipeline.ready("arrivals"))
        assert back + stored + pipeline.ready("rejects") >= 3_000
    consumer = pipeline.consume("--batch", "100")
    pipeline.takes_all()
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline)


def test_queues_that_are_deleted_underneath(
    private_node: PrivateNode,
    private_settings: Settings,
    pipeline: Pipeline,
    reconciled: Reconciled,
) -> None:
    consumer = pipeline.consume()
    assert pipeline.produce("--rate", "0", "--count", "500").ends() == 0
    eventually(lambda: pipeline.stored == 500)
    consumer.says("500 received")
    with raw_channel(private_node.url) as channel:
        for queue in ("arrivals", "rejects"):
            channel.queue_delete(f"{private_settings.namespace}.{queue}")
    consumer.says(f"The queue {private_settings.namespace}.arrivals was deleted.")
    consumer.says("again.\n")
    assert pipeline.produce("--rate", "0", "--count", "500", "--invalid", "5%").ends() == 0
    pipeline.takes_all()
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline)

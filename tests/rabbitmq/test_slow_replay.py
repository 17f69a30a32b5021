from __future__ import annotations

from collections.abc import Iterator

import pytest

from dlmon.brokers import open_broker
from dlmon.commands.replay_rejects import Rules, replay
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.rejects.actions import Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.queue import QueuedRejects
from dlmon.runtime.stop import Stop
from dlmon.validation.violations import Violation
from tests.support.events import make_body
from tests.support.node import PrivateNode
from tests.support.rejections import VALIDATOR, ids, park, rejection

OLD = Violation("type", "/file_size", "what an older schema said")


@pytest.fixture
def impatient_node(private_node: PrivateNode) -> Iterator[PrivateNode]:
    """A node that closes a channel which holds a delivery for longer than a second."""
    set_both = (
        "application:set_env(rabbit, consumer_timeout, {}), "
        "application:set_env(rabbit, channel_tick_interval, {})."
    )
    private_node.ctl("eval", set_both.format(1000, 300))
    yield private_node
    private_node.ctl("eval", set_both.format(1_800_000, 60_000))


@pytest.mark.parametrize(
    "lifetime", [0.5, 900.0], ids=["opened again in time", "closed by the broker"]
)
def test_a_slow_replay_outlives_the_consumer_timeout(
    impatient_node: PrivateNode, private_settings: Settings, lifetime: float
) -> None:
    parked = [rejection(make_body(), OLD) for _ in range(24)]
    left = [rejection(make_body(file_size=-1)) for _ in range(6)]
    stop = Stop()
    with open_broker(private_settings, stop) as broker:
        park(broker, [*left, *parked])
        with QueuedRejects(broker, VALIDATOR, stop, lifetime=lifetime) as rejects:
            receipt = replay(rejects, broker, Rules(VALIDATOR, RejectFilter()), Run(stop), rate=6)
        assert (receipt.error, receipt.unremoved) == (None, 0)
        assert (receipt.done, receipt.left.total()) == (24, 6)
        assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in parked)
        assert ids(broker, Queue.REJECTS) == sorted(one.message_id for one in left)

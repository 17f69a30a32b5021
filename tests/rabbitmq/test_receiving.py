from __future__ import annotations

from pathlib import Path

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Delivery, Queue
from tests.conftest import settings_for
from tests.support.messages import in_queue, make_messages, wait_until
from tests.support.node import PrivateNode
from tests.support.proxy import Proxy


def test_receiving_only_so_many_over_a_slow_link_has_none_handed_out_twice(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    namespace = private_settings.namespace
    with Proxy(private_node.port) as proxy, open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(400)])
        url = proxy.url(private_node.url)
        proxy.slow_down(97, 0.001)
        deliveries: list[Delivery] = []
        with (
            open_broker(settings_for(url, namespace, tmp_path)) as slow,
            slow.open_consumer(500, 350) as consumer,
        ):
            while len(deliveries) < 350:
                batch = consumer.receive(100, 5.0)
                consumer.acknowledge(batch)
                deliveries += batch
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 50)
        deliveries += in_queue(broker, Queue.ARRIVALS)
    assert {delivery.message_id for delivery in deliveries} == {
        message.message_id for message in make_messages(400)
    }
    assert {delivery.delivery_count for delivery in deliveries} == {0}

"""The ceiling of pika: no validation, no store, acknowledgements in batches."""

from __future__ import annotations

from typing import Any

import pika

from benchmarks.contenders.clock import ACKNOWLEDGED_AT_ONCE, PREFETCH, Clock, task

TASK = task()


def main() -> None:
    received = 0
    clock: Clock

    def opened(connection: Any) -> None:
        connection.channel(on_open_callback=consume)

    def consume(channel: Any) -> None:
        nonlocal clock
        clock = Clock()
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.basic_consume(TASK.queue, receive)

    def receive(channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        nonlocal received
        received += 1
        if received % ACKNOWLEDGED_AT_ONCE == 0 or received == TASK.count:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if received == TASK.count:
            channel.close()
            channel.add_on_close_callback(lambda *_: connection.close())

    def closed(*_: object) -> None:
        clock.report(received)
        connection.ioloop.stop()

    connection = pika.SelectConnection(
        pika.URLParameters(TASK.url), on_open_callback=opened, on_close_callback=closed
    )
    connection.ioloop.start()


main()

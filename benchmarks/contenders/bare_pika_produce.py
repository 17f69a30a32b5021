"""The ceiling of pika: ready-made bodies, a window of unconfirmed messages."""

from __future__ import annotations

import uuid
from typing import Any

import pika

from benchmarks.contenders.clock import ROUTING_KEY, WINDOW, Clock, task

TASK = task()
_REFILL = 200


def main() -> None:
    bodies = TASK.bodies()
    published = confirmed = 0
    clock: Clock

    def opened(connection: Any) -> None:
        connection.channel(
            on_open_callback=lambda channel: channel.confirm_delivery(
                lambda frame: answered(channel, frame), callback=lambda _: start(channel)
            )
        )

    def start(channel: Any) -> None:
        nonlocal clock
        clock = Clock()
        publish(channel)

    def publish(channel: Any) -> None:
        nonlocal published
        for body in bodies[published : confirmed + WINDOW]:
            properties = pika.BasicProperties(
                content_type="application/json", delivery_mode=2, message_id=str(uuid.uuid4())
            )
            channel.basic_publish(TASK.exchange, ROUTING_KEY, body, properties, mandatory=True)
            published += 1

    def answered(channel: Any, frame: Any) -> None:
        nonlocal confirmed
        assert isinstance(frame.method, pika.spec.Basic.Ack)
        if frame.method.multiple:
            confirmed = frame.method.delivery_tag
        else:
            confirmed += 1
        if confirmed == len(bodies):
            clock.report(confirmed)
            connection.close()
        elif published - confirmed <= WINDOW - _REFILL:
            publish(channel)

    connection = pika.SelectConnection(
        pika.URLParameters(TASK.url),
        on_open_callback=opened,
        on_close_callback=lambda *_: connection.ioloop.stop(),
    )
    connection.ioloop.start()


main()

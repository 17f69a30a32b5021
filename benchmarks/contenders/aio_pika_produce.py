"""aio-pika with confirms, a full window at a time."""

from __future__ import annotations

import asyncio
import uuid

import aio_pika

from benchmarks.contenders.clock import ROUTING_KEY, WINDOW, Clock, task

TASK = task()


async def main() -> None:
    bodies = TASK.bodies()
    room = asyncio.Semaphore(WINDOW)

    async def publish(exchange: aio_pika.abc.AbstractExchange, body: bytes) -> None:
        message = aio_pika.Message(
            body,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=str(uuid.uuid4()),
        )
        try:
            await exchange.publish(message, ROUTING_KEY)
        finally:
            room.release()

    async with await aio_pika.connect(TASK.url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(TASK.exchange)
        clock = Clock()
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                await room.acquire()
                group.create_task(publish(exchange, body))
        clock.report(len(bodies))


asyncio.run(main())

"""aio-pika with orjson and jsonschema-rs."""

from __future__ import annotations

import asyncio

import aio_pika
import jsonschema_rs
import orjson
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.contenders.clock import PREFETCH, Clock, schema, task

TASK = task()


async def main() -> None:
    validator = jsonschema_rs.validator_for(schema(), validate_formats=True)
    done = asyncio.Event()
    received = 0

    async def receive(message: AbstractIncomingMessage) -> None:
        nonlocal received
        async with message.process():
            validator.validate(orjson.loads(message.body))
        received += 1
        if received == TASK.count:
            done.set()

    async with await aio_pika.connect(TASK.url) as connection:
        channel = await connection.channel()
        await channel.set_qos(PREFETCH)
        queue = await channel.get_queue(TASK.queue)
        clock = Clock()
        await queue.consume(receive)
        await done.wait()
        await channel.close()
        clock.report(TASK.count)


asyncio.run(main())

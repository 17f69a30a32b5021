"""FastStream with a pydantic model."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated
from uuid import UUID

from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from pydantic import AwareDatetime, BaseModel, Field

from benchmarks.contenders.clock import PREFETCH, Clock, task

TASK = task()


class Coordinates(BaseModel):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class Download(BaseModel):
    event_id: UUID
    timestamp: AwareDatetime
    coordinates: Coordinates
    file_size: Annotated[int, Field(ge=0, lt=2**53)]
    download_speed: Annotated[float, Field(ge=0)]


broker = RabbitBroker(
    TASK.url, default_channel=Channel(prefetch_count=PREFETCH), log_level=logging.DEBUG
)
app = FastStream(broker, logger=None)
queue = RabbitQueue(TASK.queue, durable=True, queue_type=QueueType.QUORUM, declare=False)
received = 0
clock: Clock


@broker.subscriber(queue)
async def receive(_event: Download) -> None:
    global received
    received += 1
    if received == TASK.count:
        app.exit()


@app.on_startup
def start() -> None:
    global clock
    clock = Clock()


@app.after_shutdown
def tell() -> None:
    clock.report(received)


asyncio.run(app.run(log_level=logging.WARNING))

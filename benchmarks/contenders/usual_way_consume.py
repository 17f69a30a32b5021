"""What tutorials show: BlockingConnection, jsonschema.validate, one acknowledgement a message."""

from __future__ import annotations

import json

import jsonschema
import pika

from benchmarks.contenders.clock import PREFETCH, Clock, schema, task

TASK = task()
SCHEMA = schema()


def main() -> None:
    connection = pika.BlockingConnection(pika.URLParameters(TASK.url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    clock = Clock()
    messages = channel.consume(TASK.queue)
    for received, (method, _, body) in enumerate(messages, 1):
        jsonschema.validate(json.loads(body), SCHEMA)
        channel.basic_ack(method.delivery_tag)
        if received == TASK.count:
            break
    connection.close()
    clock.report(TASK.count)


main()

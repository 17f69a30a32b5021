"""Alarms of a node: RabbitMQ stops reading from connections that publish while there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.node import PrivateNode


@contextmanager
def memory_alarm(node: PrivateNode) -> Iterator[None]:
    node.ctl("set_vm_memory_high_watermark", "0")
    try:
        yield
    finally:
        node.ctl("set_vm_memory_high_watermark", "0.4")


@contextmanager
def disk_alarm(node: PrivateNode) -> Iterator[None]:
    node.ctl("set_disk_free_limit", "1000000GB")
    try:
        yield
    finally:
        node.ctl("set_disk_free_limit", "50MB")

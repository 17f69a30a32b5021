"""The steps of `dlmon doctor` for the local broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dlmon.brokers.base import Check
from dlmon.brokers.local.broker import LocalBroker
from dlmon.errors import DlmonError
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop


def diagnose(path: Path, namespace: str, stop: Stop) -> Iterator[Check]:
    """The steps, each as soon as it is done."""
    try:
        with LocalBroker(path, namespace, stop) as broker:
            yield Check("broker", f"{path} can be written to")
            for queue in Queue:
                yield Check(f"queue {namespace}.{queue}", f"{broker.depth(queue).ready:,} ready")
    except DlmonError as error:
        yield Check("broker", str(error), error)

"""The steps of `dlmon doctor` for the local broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dlmon.brokers.base import Check
from dlmon.brokers.local.broker import LocalBroker
from dlmon.config.names import Names
from dlmon.errors import DlmonError
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop


def diagnose(path: Path, names: Names, stop: Stop) -> Iterator[Check]:
    """The steps, each as soon as it is done."""
    try:
        with LocalBroker(path, names, stop) as broker:
            yield Check("broker", f"{path} can be written to")
            for queue in Queue:
                name = names.queue(queue)
                yield Check(f"queue {name}", f"{broker.depth(queue).ready:,} ready")
    except DlmonError as error:
        yield Check("broker", str(error), error)
